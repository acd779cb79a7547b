# Two commands do everything on a fresh machine: `make serve` and `make test`.
# Needs Python 3.11+, Node 20+ and make; everything else comes from the package registries.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := .stamps
WEB    := flow/web/index.html
WEB_SOURCES := $(shell find flow_web -path flow_web/node_modules -prune -o -type f -print 2>/dev/null)

.PHONY: serve test bench bench-peers check soak fuzz setup web web-test types clean reference

serve: setup web
	$(BIN)/flow serve $(ARGS)

test: setup web
	@$(BIN)/python -m tests.browser_notice
	$(MAKE) --no-print-directory web-test
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

bench: setup web
	$(BIN)/python -m bench $(ARGS)

bench-peers: setup
	$(BIN)/python -m bench --peers $(ARGS)

# The full numbers of cases: hours. ARGS="--share 0.1" runs a tenth of them.
soak: setup
	$(BIN)/python -m tests.soak $(ARGS)

fuzz: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz $(ARGS)

# The API reference, from the docstrings.
reference: setup
	$(BIN)/python -m tests.architecture.reference

# Quick enough to run before every commit.
check: setup
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports
	$(BIN)/mypy --no-error-summary
	$(BIN)/pyright --warnings >/dev/null || $(BIN)/pyright
	$(BIN)/flow codegen --check >/dev/null

setup: $(STAMPS)/python

$(STAMPS)/python: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/node: flow_web/package-lock.json
	@# Not npm ci: it refuses a lock file without the builds of oxlint for other systems, which a registry
	@# may lack. The versions are those of the lock file all the same.
	cd flow_web && npm install --no-save --no-audit --no-fund --loglevel=error
	mkdir -p $(STAMPS)
	touch $@

web: $(WEB)

$(WEB): $(STAMPS)/node $(WEB_SOURCES)
	cd flow_web && npm run --silent build
	touch $@

# The types of the functions, for flow_web: to run after a change of arguments, results or documents.
types: setup
	$(BIN)/flow codegen

web-test: setup $(STAMPS)/node
	$(BIN)/flow codegen --check
	cd flow_web && npm run --silent lint && npm run --silent typecheck && npm test --silent

clean:
	rm -rf $(VENV) $(STAMPS) flow/web flow_web/node_modules
