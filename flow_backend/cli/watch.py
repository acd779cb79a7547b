"""Shows a query's result each time that it changes, until Ctrl-C."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from flow_backend.cli.target import CommandError, Target
from flow_backend.values.value import JsonValue


def watch_query(
    target: Target,
    path: str,
    args: Mapping[str, Any],
    identity: dict[str, JsonValue] | None,
    show: Callable[[JsonValue], None],
) -> None:
    """Watch a query over the sync protocol; ``show`` is given each result as plain JSON.

    It survives cuts and restarts of the server. Ctrl-C ends it.

    Raises: CommandError if the server cannot be had, or the query fails.
    """
    # Only here: other commands need no loop.
    from flow_backend.client import SyncClient
    from flow_backend.errors import AppError, ClientError
    from flow_backend.values.encode import to_clean

    with target.client() as client:
        # The client would wait for a server that is not there, and for a key to become a good one.
        client.get("/api/check_admin_key")
    try:
        with (
            SyncClient(target.url, admin_key=target.admin_key, acting_as=identity) as connected,
            closing(connected.watch(path, **args)) as results,
        ):
            for result in results:
                show(to_clean(result))
    except KeyboardInterrupt:
        return
    except (ClientError, AppError) as error:
        text = str(error)
        raise CommandError(text.partition("] Server Error\n")[2] or text) from None
