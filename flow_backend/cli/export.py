"""The command that writes the data into a file."""

from pathlib import Path
from time import sleep
from typing import Any

import click

from flow_backend.cli.progress import Progress
from flow_backend.cli.target import CommandError, Target, target_options

_LATEST = "_system/cli/exports:getLatest"
_POLL_SECONDS = 0.1


@click.command()
@click.option("--path", default=".", show_default=True, type=click.Path(path_type=Path),
              help="The file to write, or the folder for one.")  # fmt: skip
@click.option("--table", help="Only this table, as JSON lines or CSV.")
@click.option("--format", "form", type=click.Choice(["zip", "jsonl", "csv"]),
              help="zip, or with --table jsonl or csv.")  # fmt: skip
@target_options
def export(path: Path, table: str | None, form: str | None, target: Target) -> None:
    """Write all data, as of one moment, into a zip in Convex's snapshot format.

    Ids and creation times are in it, so that `flow import` can put everything back. The server goes
    on meanwhile.
    """
    if path.exists() and not path.is_dir():
        raise CommandError(f"{path} exists already: name another file, or remove it.")
    if not path.is_dir() and not path.parent.is_dir():
        raise CommandError(f"There is no folder {path.parent}.")
    form = form or ("zip" if table is None else "jsonl")
    with target.client() as client:
        asked: dict[str, str | int] = {} if table is None else {"table": table}
        client.post(f"/api/export/request/{form}", **asked)
        done = _wait(client.post)
        started = done["start_ts"]
        name = Path(str(done["zip_object_key"])).name
        place = path / name if path.is_dir() else path
        # Under its own name only when it is whole.
        unfinished = place.with_name(f"{place.name}.part")
        try:
            with Progress("Downloading", "bytes", int(done["bytes"])) as progress:
                client.download(f"/api/export/{form}/{started}", unfinished, progress.add)
            unfinished.replace(place)
        finally:
            unfinished.unlink(missing_ok=True)
    click.echo(f"Wrote {int(done['documents']):,} documents to {place}")


def _wait(post: Any) -> dict[str, Any]:
    """Wait for the export, and give what the server says of it."""
    with Progress("Exporting", "documents", None) as progress:
        while True:
            answer = post("/api/query", {"path": _LATEST, "args": {}, "format": "export_json"})
            if answer["status"] != "success":
                raise CommandError(str(answer.get("errorMessage")))
            latest: dict[str, Any] = answer["value"]
            if latest["state"] == "failed":
                raise CommandError(f"The export failed: {latest.get('error')}")
            if latest["state"] == "completed":
                return latest
            progress.set(int(latest["documents"]))
            sleep(_POLL_SECONDS)
