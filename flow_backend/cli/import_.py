"""The command that puts a file's documents into the database."""

from pathlib import Path
from time import sleep
from typing import Any, Final

import click

from flow_backend.cli.progress import Progress
from flow_backend.cli.target import AdminClient, CommandError, Target, target_options

_STATE: Final = "_system/cli/queryImport:default"
_PART_BYTES: Final = 5 * 2**20
_POLL_SECONDS: Final = 0.1
_FORMATS: Final = {
    ".zip": "zip",
    ".jsonl": "jsonLines",
    ".ndjson": "jsonLines",
    ".json": "jsonArray",
    ".csv": "csv",
}


@click.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--table", help="The table that the documents go into; a zip names its own.")
@click.option("--format", "form", type=click.Choice(["zip", "jsonLines", "jsonArray", "csv"]),
              help="What the file is, if its name does not say it.")  # fmt: skip
@click.option("--append", "mode", flag_value="append", help="Add to what the tables have.")
@click.option("--replace", "mode", flag_value="replace",
              help="Replace the tables that are in the file.")  # fmt: skip
@click.option("--replace-all", "mode", flag_value="replaceAll",
              help="Replace all tables; those that are not in the file are emptied.")  # fmt: skip
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@target_options
def import_(
    file: Path, table: str | None, form: str | None, mode: str | None, yes: bool, target: Target
) -> None:
    """Put the documents of a file into the database, all of them or none.

    A zip is in Convex's snapshot format, as `flow export` writes it. The file is checked whole
    against the app's schema first, and what it would change is shown. Without a mode the tables
    must be empty.
    """
    form = form or _FORMATS.get(file.suffix.lower())
    if form is None:
        raise CommandError(f"What is {file.name}? Say it with --format zip, jsonLines, ... .")
    if form != "zip" and table is None:
        raise CommandError("Say which table the documents go into: --table NAME.")
    if form == "zip" and table is not None:
        raise CommandError("A zip names its tables itself: leave --table away.")
    wanted = {"format": form, "mode": mode or "requireEmpty"}
    if table is not None:
        wanted["tableName"] = table
    with target.client() as client:
        ident = _upload(client, file, wanted)
        state = _wait(client, ident, "Checking", {"waiting_for_confirmation"})
        _confirm(client, ident, state, yes)
        client.post("/api/perform_import", {"importId": ident})
        state = _wait(client, ident, "Importing", {"completed"})
    click.echo(f"Added {int(state['num_rows_written']):,} documents.")


def _upload(client: AdminClient, file: Path, wanted: dict[str, str]) -> str:
    token = client.post("/api/import/start_upload")["uploadToken"]
    parts: list[str] = []
    size = file.stat().st_size
    with file.open("rb") as opened, Progress("Uploading", "bytes", size) as progress:
        while piece := opened.read(_PART_BYTES):
            number = len(parts) + 1
            answer = client.post(
                "/api/import/upload_part", piece, uploadToken=token, partNumber=number
            )
            parts.append(answer)
            progress.add(len(piece))
    body = {"import": wanted, "uploadToken": token, "partTokens": parts}
    return str(client.post("/api/import/finish_upload", body)["importId"])


def _wait(client: AdminClient, ident: str, what: str, until: set[str]) -> dict[str, Any]:
    """Wait for one of these states. Raises: CommandError with all that the server found."""
    question = {"path": _STATE, "args": {"importId": ident}, "format": "export_json"}
    shown = ""
    with Progress(what, "documents", None) as progress:
        while True:
            answer = client.post("/api/query", question)
            if answer["status"] != "success" or answer["value"] is None:
                raise CommandError(str(answer.get("errorMessage", "The import is not known.")))
            state: dict[str, Any] = answer["value"]["state"]
            if state["state"] == "failed":
                raise CommandError(str(state["error_message"]))
            if state["state"] in until:
                return state
            message = str(state.get("progress_message", ""))
            if message != shown and message.split(" ")[0].replace(",", "").isdecimal():
                progress.set(int(message.split(" ")[0].replace(",", "")))
                shown = message
            sleep(_POLL_SECONDS)


def _confirm(client: AdminClient, ident: str, state: dict[str, Any], yes: bool) -> None:
    click.echo(state["message_to_confirm"])
    if yes or not state["require_manual_confirmation"]:
        return
    try:
        confirmed = click.confirm("Documents will be deleted. Go on?", default=False)
    except click.Abort:
        confirmed = False
    if not confirmed:
        client.post("/api/cancel_import", {"importId": ident})
        raise CommandError("Nothing was imported. (-y goes on without asking.)")
