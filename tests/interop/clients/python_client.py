"""Scenarios for the official Python client, in a process of their own.

Some of its calls hold the interpreter's lock while they wait, so a proxy in the same process would
stand still, and a call that hangs could not be given up.
"""

import json
import sys
import time
from typing import Any

from convex import ConvexClient, ConvexError, convex_to_json, json_to_convex
from convex.http_client import ConvexHttpClient

Client = ConvexClient | ConvexHttpClient


def report(line: object) -> None:
    """Tell the test: one line of JSON."""
    print(json.dumps(line), flush=True)


def outcome(client: Client, kind: str, path: str, args: Any) -> dict[str, object]:
    """Call a function and give its value, or its error. All are in the wire's encoding."""
    try:
        value = getattr(client, kind)(path, json_to_convex(args))
    except ConvexError as error:
        return {"kind": "ConvexError", "data": convex_to_json(error.data)}
    except Exception as error:
        # The HTTP client has a ConvexError of its own.
        if type(error).__name__ == "ConvexError":
            return {"kind": "ConvexError", "data": convex_to_json(getattr(error, "data"))}  # noqa: B009
        return {"kind": "Exception", "message": str(error)}
    return {"value": convex_to_json(value)}


def calls(url: str, calls: list[tuple[str, str, Any]]) -> None:
    """Each call over a socket and over HTTP, then a good one over the same socket."""
    client, http = ConvexClient(url), ConvexHttpClient(url)
    for kind, path, args in calls:
        report(outcome(client, kind, path, args))
        report(outcome(http, kind, path, args))
    report(outcome(client, "query", "values:ask", {"value": "still there"}))


def special(url: str) -> None:
    """The kinds of values, as this client sees them."""
    value = ConvexClient(url).query("values:special")
    report({name: repr(value[name]) for name in sorted(value)})


def live(url: str, direct: str, name: str, changes: int) -> None:
    """A live query over ``url``; another client changes its counter over ``direct``."""
    counter = ConvexClient(url).subscribe("counters:get", {"name": name})
    report(next(counter))
    other = ConvexClient(direct)
    for _ in range(changes):
        other.mutation("counters:add", {"name": name})
        report(next(counter))


def board(url: str) -> None:
    """One client moves a task, the other one watches."""
    mover, watcher = ConvexClient(url), ConvexClient(url)
    made = mover.mutation("boards:create", {"title": "Python"})
    task = mover.mutation("tasks:add", {"board": made, "title": "one"})
    tasks = watcher.subscribe("tasks:list", {"board": made})
    for _ in range(2):
        state: Any = next(tasks)
        report([each["column"] for each in state])
        mover.mutation("tasks:move", {"task": task, "column": "doing"})


def large(url: str, megabytes: float) -> None:
    """Many megabytes in one result."""
    texts = ConvexClient(url).query("values:large", {"megabytes": megabytes})
    report([len(text.encode()) for text in texts])


def people(url: str, token: str) -> None:
    """Sign in on an open socket, and sign out."""
    client = ConvexClient(url)
    report(client.query("people:me"))
    client.set_auth(token)
    report(client.query("people:me"))
    report(client.mutation("people:change"))
    report(client.action("people:act"))
    client.clear_auth()
    report(client.query("people:me"))


def idle(url: str, idle_seconds: float) -> None:
    """Listen to a server that has nothing to say."""
    client = ConvexClient(url)
    counter = client.subscribe("counters:get", {"name": "idle in Python"})
    report(next(counter))
    time.sleep(idle_seconds)
    client.mutation("counters:add", {"name": "idle in Python"})
    report(next(counter))


def passed(url: str, wait_seconds: float) -> None:
    """Hold a query that asks the clock until its instant has come; then go on as before."""
    client = ConvexClient(url)
    at = (time.time() + wait_seconds) * 1000
    answers = client.subscribe("clock:passed", {"at": at})
    report(next(answers))
    report(next(answers))
    report(client.query("values:ask", {"value": "still there"}))


if __name__ == "__main__":
    globals()[sys.argv[1]](**json.loads(sys.argv[2]))
