"""The commands that every app gets; an app's own command line adds to them."""

from typing import Final

from flow_backend.cli.lazy import Entry, LazyGroup

_ENTRIES: Final = {
    "serve": Entry("flow_backend.cli.serve", "serve", "Serve an app until Ctrl-C."),
    "dev": Entry("flow_backend.cli.dev.command", "dev", "Run an app while you write it."),
    "new": Entry("flow_backend.cli.new", "new", "Make an app of your own, which runs at once."),
    "codegen": Entry("flow_backend.cli.codegen", "codegen", "Write TypeScript from the app."),
    "deploy": Entry("flow_backend.cli.deploy", "deploy", "Put this folder's app in force."),
    "versions": Entry("flow_backend.cli.versions", "versions", "List the versions there were."),
    "rollback": Entry("flow_backend.cli.deploy", "rollback", "Bring an earlier version back."),
    "run": Entry("flow_backend.cli.run", "run", "Call a function of a running server."),
    "data": Entry("flow_backend.cli.data", "data", "Show the documents of a table."),
    "sql": Entry("flow_backend.cli.sql", "sql", "Read the data with plain SQL."),
    "env": Entry("flow_backend.cli.env", "env", "See and set the app's environment variables."),
    "logs": Entry("flow_backend.cli.logs", "logs", "Show what functions did, and follow it."),
    "key": Entry("flow_backend.cli.key", "key", "Make, list and revoke admin keys."),
    "export": Entry("flow_backend.cli.export", "export", "Write the data into a file."),
    "import": Entry("flow_backend.cli.import_", "import_", "Put a file's documents in."),
}


def backend_commands() -> LazyGroup:
    """Give a group of all commands of the backend."""
    return LazyGroup("Run and tend a Flow backend.", _ENTRIES)
