"""Type checking: an app of 500 functions, its types generated, and the same typed by hand."""

import importlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.report import Options, Section, median
from flow_backend.deploy.codegen import types_of
from flow_backend.functions.registry import App, load_app

_ROOT: Final = Path(__file__).parent.parent
_PACKAGES: Final = _ROOT / "flow_web" / "node_modules"
_APP: Final = "typed_app"
_MODULES: Final = 20
_GROUPS: Final = 5
"""Of functions in each module; a group is five functions about one table."""

_CONFIG: Final = """{
  "compilerOptions": {
    "target": "ES2023", "lib": ["ES2023", "DOM"], "module": "ESNext", "types": [],
    "moduleResolution": "bundler", "strict": true, "exactOptionalPropertyTypes": true,
    "verbatimModuleSyntax": true, "skipLibCheck": true, "noEmit": true
  }, "include": ["."]
}
"""

_PYTHON: Final = '''
@document("{t}s")
class {T}(Document):
    """A thing of its own kind."""

    title: str
    owner: "Id[{T}] | None" = None
    due: Instant | None = None
    labels: tuple[str, ...] = ()
    state: Literal["open", "done", "removed"] = "open"

@frozen
class {T}View:
    thing: {T}
    others: list[{T}]
    place: float | None

@query
def list_{t}(ctx: QueryCtx, owner: Id[{T}]) -> list[{T}]: ...
@query
def page_{t}(ctx: QueryCtx, state: str, pagination_opts: PaginationOptions) -> Page[{T}]: ...
@query
def view_{t}(ctx: QueryCtx, thing: Id[{T}], days: int = 7) -> {T}View | None: ...
@mutation
def add_{t}(ctx: MutationCtx, title: str, due: Instant | None = None,
            labels: list[str] | None = None) -> Id[{T}]: ...
@mutation
def move_{t}(ctx: MutationCtx, thing: Id[{T}], before: Id[{T}] | None = None) -> None: ...
'''

_HAND_TYPES: Final = """
export type {T} = {{
  _id: GenericId<"{t}s">; _creationTime: number; title: string; owner: GenericId<"{t}s"> | null;
  due: number | null; labels: string[]; state: "open" | "done" | "removed";
}};
export type {T}View = {{ thing: {T}; others: {T}[]; place: number | null }};
"""

_HAND: Final = """
    list_{t}: makeFunctionReference<"query", {{ owner: GenericId<"{t}s"> }}, {T}[]>("{m}:list_{t}"),
    page_{t}: makeFunctionReference<
      "query", {{ state: string; paginationOpts: PaginationOptions }}, PaginationResult<{T}>
    >("{m}:page_{t}"),
    view_{t}: makeFunctionReference<
      "query", {{ thing: GenericId<"{t}s">; days?: number }}, {T}View | null
    >("{m}:view_{t}"),
    add_{t}: makeFunctionReference<
      "mutation",
      {{ title: string; due?: number | null; labels?: string[] | null }},
      GenericId<"{t}s">
    >("{m}:add_{t}"),
    move_{t}: makeFunctionReference<
      "mutation", {{ thing: GenericId<"{t}s">; before?: GenericId<"{t}s"> | null }}, null
    >("{m}:move_{t}"),"""

_USES: Final = """
export const use{T} = () => {{
  const add = useMutation(api.{m}.add_{t});
  const move = useMutation(api.{m}.move_{t});
  const {{ results }} = usePaginatedQuery(
    api.{m}.page_{t}, {{ state: "open" }}, {{ initialNumItems: 9 }},
  );
  const first = results[0];
  const view = useQuery(api.{m}.view_{t}, first === undefined ? "skip" : {{ thing: first._id }});
  const all = useQuery(api.{m}.list_{t}, first === undefined ? "skip" : {{ owner: first._id }});
  const title: string | undefined = view?.others[0]?.title ?? all?.[0]?.title;
  return {{
    title,
    add: async () => {{
      const thing = await add({{ title: title ?? "" }});
      await move({{ thing, before: first?._id ?? null }});
    }},
  }};
}};
"""


def run(options: Options, disk: Path) -> Section:
    """Let the TypeScript compiler check a client that calls every function once, both ways."""
    names = list(_names(2 if options.smoke else _MODULES))
    count = len(names) * 5
    section = Section(f"Types of {count:,} functions, each called once (TypeScript compiler)")
    begun = time.perf_counter()
    app = _python_app(disk, names)
    loaded = time.perf_counter()
    generated = types_of(app)
    written = time.perf_counter()
    folders = {
        "generated": _project(disk / "generated", names, generated),
        "by hand": _project(disk / "hand", names, {"api.ts": _by_hand(names)}),
    }
    seconds: dict[str, list[float]] = {name: [] for name in folders}
    found: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        for name, folder in folders.items():
            found[name] = _compile(folder)
            seconds[name].append(found[name]["Total time"])
    hand = median(seconds["by hand"])
    for name in folders:
        taken = median(seconds[name])
        section.rows.append(
            {
                "types": name,
                "compiler s": taken,
                "checking s": found[name]["Check time"],
                "types made": found[name]["Types"],
                "instantiations": found[name]["Instantiations"],
                "memory MB": found[name]["Memory used"] / 1000,
                "s / by hand": taken / hand,
                "goal": f"< 2 s: {'yes' if taken < 2 else 'NO'}" if name == "generated" else None,
            }
        )
    section.notes.append(
        f"Loading the Python took {loaded - begun:.2f} s, generating {written - loaded:.2f} s."
    )
    return section


def _names(modules: int) -> Iterator[tuple[str, str]]:
    """Give module and table of each group of functions."""
    for module in range(modules):
        for group in range(_GROUPS):
            yield f"module{module}", f"thing{module}x{group}"


def _filled(template: str, names: list[tuple[str, str]]) -> str:
    return "".join(template.format(m=m, t=t, T=t.capitalize()) for m, t in names)


def _python_app(disk: Path, names: list[tuple[str, str]]) -> App:
    package = disk / _APP
    package.mkdir()
    (package / "__init__.py").write_text("")
    head = (
        "from typing import Literal\nfrom attrs import frozen\n"
        "from flow_backend import Document, Id, Instant, MutationCtx, Page, PaginationOptions\n"
        "from flow_backend import QueryCtx, document, mutation, query\n"
    )
    for module in sorted({m for m, _ in names}):
        own = [each for each in names if each[0] == module]
        (package / f"{module}.py").write_text(head + _filled(_PYTHON, own))
    sys.path.insert(0, str(disk))
    importlib.invalidate_caches()
    try:
        return load_app(_APP)
    finally:
        sys.path.remove(str(disk))


def _by_hand(names: list[tuple[str, str]]) -> str:
    """Type the same functions as one would without a generator."""
    parts = [
        'import { makeFunctionReference } from "convex/server";\n'
        'import type { PaginationOptions, PaginationResult } from "convex/server";\n'
        'import type { GenericId } from "convex/values";\n',
        _filled(_HAND_TYPES, names),
        "\nexport const api = {",
    ]
    for module in sorted({m for m, _ in names}):
        own = [each for each in names if each[0] == module]
        parts.append(f"\n  {module}: {{{_filled(_HAND, own)}\n  }},")
    return "".join([*parts, "\n};\n"])


def _project(folder: Path, names: list[tuple[str, str]], types: dict[str, str]) -> Path:
    folder.mkdir()
    head = (
        'import { useMutation, usePaginatedQuery, useQuery } from "convex/react";\n'
        'import { api } from "./api";\n'
    )
    files = {**types, "uses.ts": head + _filled(_USES, names), "tsconfig.json": _CONFIG}
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "node_modules").symlink_to(_PACKAGES.resolve())
    return folder


def _compile(folder: Path) -> dict[str, float]:
    """Check a project; give what the compiler says of its work: seconds, counts, kB."""
    tsc = _PACKAGES / "typescript" / "bin" / "tsc"
    command = ["node", str(tsc), "--pretty", "false", "--extendedDiagnostics"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{folder.name} does not compile: {done.stdout[:2000]}")
    found = re.findall(r"^([A-Z][A-Za-z ]+):\s+([0-9.]+)(?:s|K)?$", done.stdout, re.MULTILINE)
    return {name: float(number) for name, number in found}
