"""The app of the simulation, and what each of its queries should say: worked out naively."""

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from flow_backend.functions.function import Function
from flow_backend.functions.registry import App, make_app
from flow_backend.testing.client import QueryOutcome
from flow_backend.values.value import JsonValue
from tests.simulation import jobs_app
from tests.simulation.simapp import s
from tests.simulation.simapp.schema import Applied, Counter, Entry, Left, Note, Right


def _sim_app(jobs: Mapping[str, Function[..., Any]]) -> App:
    functions: list[Function[..., Any]] = [
        *(s.append, s.remove_first, s.move_first, s.count, s.transfer, s.note, s.fail, s.look),
        *(s.append_inside, s.append_later, s.entries, s.first_entries, s.last_entry, s.counter),
        *(s.sums, s.pair, s.my_notes, s.notes_if_counted, s.few_entries, s.page),
    ]
    documents = [Entry, Counter, Left, Right, Note, Applied, *jobs_app.DOCUMENTS]
    return make_app("sim", documents, {**{f"s:{each.name}": each for each in functions}, **jobs})


APP = _sim_app(jobs_app.NOW)
LATER = _sim_app(jobs_app.LATER)
"""The app's next version, in which functions that jobs name are gone or take other arguments."""


# --- The naive evaluator --------------------------------------------------------------------------

Row = Mapping[str, JsonValue]
Tables = Mapping[str, list[Row]]
"""All rows of each table, in the order of their creation."""


def _entries(tables: Tables, of: JsonValue) -> list[JsonValue]:
    return [*sorted(str(row["token"]) for row in tables["entries"] if row["list"] == of)]


def _amount(tables: Tables, table: str, key: JsonValue) -> JsonValue:
    return next((row["amount"] for row in tables[table] if row["key"] == key), 0)


def _notes(tables: Tables, who: str | None) -> list[JsonValue]:
    return [row["text"] for row in tables["notes"] if row["owner"] == (who or "")]


def _counter(tables: Tables, name: JsonValue) -> JsonValue:
    return next((row["value"] for row in tables["counters"] if row["name"] == name), None)


def _few(tables: Tables, args: Row) -> QueryOutcome:
    size = len(_entries(tables, args["of"]))
    return QueryOutcome(f"many in {args['of']}", True) if size > 3 else QueryOutcome(size)


def _numbers(tables: Tables, table: str) -> float:
    return sum(float(str(row["amount"])) for row in tables[table])


def _states(tables: Tables) -> list[JsonValue]:
    states: list[Any] = [row["state"] for row in tables["_scheduled_functions"]]
    return [state["kind"] for state in states]


def in_force(tables: Tables) -> tuple[int, str]:
    """Give the serial number of the version in force, and of which sort it is.

    The message of a deployment says both; a version that comes from the disk has none.
    """
    rows = {row["number"]: row for row in tables["_deployments"]}
    for row in rows.values():
        if row["state"] == "active":
            message = str(rows.get(row["restores"], row)["message"])
            serial, _, sort = message.partition(" ")
            return int(serial or 0), sort or "plain"
    return 0, "plain"


def _starred(tables: Tables, stars: JsonValue) -> list[JsonValue]:
    return [row["text"] for row in tables["notes"] if row.get("stars", 0) == stars]


_NAIVE: Mapping[str, Callable[[Tables, Row, str | None], JsonValue]] = {
    "s:entries": lambda t, a, _: _entries(t, a["of"]),
    "s:first_entries": lambda t, a, _: _entries(t, a["of"])[: int(float(str(a["most"])))],
    "s:last_entry": lambda t, a, _: [None, *_entries(t, a["of"])][-1],
    "s:counter": lambda t, a, _: _counter(t, a["name"]),
    "s:sums": lambda t, _a, _: _numbers(t, "lefts") + _numbers(t, "rights"),
    "s:pair": lambda t, a, _: [_amount(t, "lefts", a["key"]), _amount(t, "rights", a["key"])],
    "s:states": lambda t, _a, _: _states(t),
    "v:number": lambda t, _a, _: in_force(t)[0],
    "v:numbers": lambda t, _a, _: [in_force(t)[0], in_force(t)[0], len(t["stamps"])],
    "v:tokens": lambda t, _a, _: [*sorted(str(row["token"]) for row in t["entries"])],
    "v:starred": lambda t, a, _: _starred(t, a["stars"]),
    "s:my_notes": lambda t, _a, who: _notes(t, who),
    "s:notes_if_counted": lambda t, a, who: (
        _notes(t, who) if int(float(str(_counter(t, a["name"]) or 0))) % 2 else []
    ),
}


PAGE = "s:page"
PASSED = "s:passed"


def _position(cursor: object) -> str | None:
    """Give the token behind which a cursor stands; "" for the beginning, None for the end."""
    if cursor is None:
        return ""
    place: Any = orjson.loads(urlsafe_b64decode(str(cursor)))[1]
    return None if place is None else str(place[1])


def wrong_page(tables: Tables, args: Row, shown: QueryOutcome | None) -> str | None:
    """Say what is wrong with a page: it must be all that lies between its two cursors."""
    if shown is None or shown.failed:
        return f"a page failed: {shown}"
    options: Any = args["paginationOpts"]
    found: Any = shown.value
    start, end = _position(options["cursor"]), _position(found["continueCursor"])
    if start is None:
        right: list[JsonValue] = []
    else:
        tokens = [str(token) for token in _entries(tables, args["of"])]
        right = [token for token in tokens if token > start and (end is None or token <= end)]
    tokens_shown = [row["token"] for row in found["page"]]
    if tokens_shown != right or found["isDone"] != (end is None):
        return f"between {start} and {end} it shows {found}, right is {right}"
    return None


def expected(tables: Tables, path: str, args: Row, who: str | None) -> QueryOutcome:
    """Say what a query should give on this state, by the simplest means."""
    if path == "s:few_entries":
        return _few(tables, args)
    return QueryOutcome(_NAIVE[path](tables, args, who))
