# An image of Flow: the server and its web app, and nothing that was only needed to build them.
# docs/hosting.md says how to run it; tests/architecture/test_hosting.py holds it to the code.

FROM node:20-slim AS web
WORKDIR /src/flow_web
COPY flow_web/package.json flow_web/package-lock.json ./
# Not npm ci, for the reason in the Makefile; the versions are those of the lock file all the same.
RUN npm install --no-save --no-audit --no-fund --loglevel=error
COPY flow_web/ ./
RUN npm run --silent build

FROM python:3.11-slim AS server
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY fixtures/workspace.json fixtures/
COPY flow_backend/ flow_backend/
COPY flow/ flow/
COPY --from=web /src/flow/web/ flow/web/
RUN python -m venv /opt/flow && /opt/flow/bin/pip install --no-cache-dir -c requirements.lock .

FROM python:3.11-slim
COPY --from=server /opt/flow/ /opt/flow/
RUN useradd --system --user-group --no-create-home --uid 10001 flow \
    && install --directory --owner=flow --group=flow --mode=0700 /data
USER flow
# An app of one's own is found here.
WORKDIR /app
# The container is the border: what reaches it is for whoever publishes the port to decide.
ENV FLOW_HOST=0.0.0.0 FLOW_PORT=3210 FLOW_DATA=/data
EXPOSE 3210
VOLUME ["/data"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["/opt/flow/bin/python", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ['FLOW_PORT']), timeout=3); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
# Supervised: a service that starts containers again knows nothing of exit codes.
ENTRYPOINT ["/opt/flow/bin/flow", "serve", "--supervise"]
