"""Loads an example workspace into a running server, through its HTTP API."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from hashlib import blake2b
from json import JSONDecodeError, dumps, loads
from pathlib import Path
from time import time
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import cattrs
import httpx
from attrs import define, field, frozen, has
from cattrs.cols import is_sequence, list_structure_factory
from cattrs.gen import make_dict_structure_fn
from cattrs.v import format_exception

_PACKED: Final = Path(__file__).parent / "workspace.json"
_IN_CHECKOUT: Final = Path(__file__).parents[1] / "fixtures" / "workspace.json"
_ANSWER_SECONDS_MAX: Final = 30.0
_KEY_BYTES: Final = 16
_SHOWN_MAX: Final = 60

# --- A workspace in a file


class SeedError(Exception):
    """The file or the server cannot be used; the message is for whoever gave the command."""


@frozen(kw_only=True)
class TaskInFile:
    """A task; its place is its place in the file.

    Attributes:
        in_days: when it is due, counted from the day on which the file is loaded; it may be past.
        time: on the wall at home, such as ``17:00``; None is all of that day.
    """

    title: str
    body: str = ""
    labels: list[str] = field(factory=list[str])
    completed: bool = False
    in_days: int | None = None
    time: str | None = None


@frozen(kw_only=True)
class ColumnInFile:
    """A column and its tasks, from the top."""

    title: str
    tasks: list[TaskInFile] = field(factory=list[TaskInFile])


@frozen(kw_only=True)
class BoardInFile:
    """A board and its columns, from the left."""

    title: str
    columns: list[ColumnInFile]


@frozen(kw_only=True)
class NoteInFile:
    """A note."""

    title: str
    body: str = ""
    tags: list[str] = field(factory=list[str])
    pinned: bool = False


@frozen(kw_only=True)
class ReminderInFile:
    """A reminder, counted from the day on which the file is loaded.

    Attributes:
        in_days: in how many days, one at least: examples should not ring at once.
        time: on the wall at home, such as ``18:00``; None is all of that day.
        rule: the body of an RRULE, for one that comes again.
    """

    title: str
    in_days: int
    time: str | None = None
    rule: str | None = None


@frozen(kw_only=True)
class Workspace:
    """All that is in a file: boards, and what stands beside them."""

    boards: list[BoardInFile]
    notes: list[NoteInFile] = field(factory=list[NoteInFile])
    captures: list[str] = field(factory=list[str])
    reminders: list[ReminderInFile] = field(factory=list[ReminderInFile])


def default_file() -> Path:
    """Give the workspace that comes with Flow: packed beside this module, or in a checkout."""
    return _PACKED if _PACKED.exists() else _IN_CHECKOUT


def read_workspace(file: Path) -> Workspace:
    """Read a workspace from a JSON file.

    Raises: SeedError that says where in the file what is wrong.
    """
    try:
        content: object = loads(file.read_text("utf-8"))
    except OSError as error:
        raise SeedError(
            f"{file} cannot be read: {error.strerror}. Name another file with --file."
        ) from error
    except UnicodeDecodeError as error:
        raise SeedError(f"{file} is not UTF-8 text: {error}.") from error
    except JSONDecodeError as error:
        raise SeedError(f"{file}:{error.lineno}: this is not JSON: {error.msg}.") from error
    try:
        return _converter().structure(content, Workspace)
    except (cattrs.BaseValidationError, TypeError) as error:
        found = cattrs.transform_error(error, "$", _explain)
        raise SeedError(
            f"{file} is not a workspace, which has boards, their columns and tasks:"
            + "".join(f"\n  {line}" for line in found)
        ) from error


def _converter() -> cattrs.Converter:
    """Make what reads the file. By itself cattrs would make a text, or a list, of anything."""
    converter = cattrs.Converter()

    def of_object(cls: type[Any]) -> Callable[[Any, Any], Any]:
        read: Callable[[Any, Any], Any] = make_dict_structure_fn(
            cls, converter, _cattrs_forbid_extra_keys=True
        )
        return lambda value, _: read(_expect(value, dict, "an object"), cls)

    def of_list(cls: type[Any]) -> Callable[[Any, Any], Any]:
        read: Callable[[Any, Any], Any] = list_structure_factory(cls, converter)
        return lambda value, _: read(_expect(value, list, "a list"), cls)

    converter.register_structure_hook_factory(has, of_object)
    converter.register_structure_hook_factory(is_sequence, of_list)
    converter.register_structure_hook(str, lambda value, _: _expect(value, str, "a text"))
    converter.register_structure_hook(int, lambda value, _: _expect(value, int, "a whole number"))
    converter.register_structure_hook(bool, lambda value, _: _expect(value, bool, "true or false"))
    return converter


def _expect(value: Any, kind: type[object], what: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"expected {what}, not {dumps(value)[:_SHOWN_MAX]}")
    return value


def _explain(error: BaseException, cls: type[Any] | None) -> str:
    return str(error) if isinstance(error, TypeError) else format_exception(error, cls)


# --- A server that gets it


@frozen
class Added:
    """How much a server did not have yet."""

    boards: int = 0
    tasks: int = 0
    notes: int = 0
    captures: int = 0
    reminders: int = 0


@define
class Server:
    """A running server, through its HTTP API.

    Each mutation has a key that follows from its content, and a server runs one key once: what is
    sent again, after an answer was lost or by two at a time, adds nothing. A server forgets keys
    after some days; so what it shows already is not sent at all.
    """

    url: str
    _http: httpx.Client

    def seed(self, workspace: Workspace) -> Added:
        """Add what the server does not have.

        Raises: SeedError. What was added until then stays; the next time goes on from there.
        """
        there = self._ids_of_boards()
        tasks = sum(self._seed_board(board, there) for board in workspace.boards)
        return Added(
            boards=len(self._ids_of_boards().keys() - there.keys()),
            tasks=tasks,
            notes=self._seed_notes(workspace.notes),
            captures=self._seed_captures(workspace.captures),
            reminders=self._seed_reminders(workspace.reminders),
        )

    def _seed_notes(self, notes: list[NoteInFile]) -> int:
        """Add the notes whose titles are missing. Returns: how many those were."""
        there = self._count("notes:list")
        # The list has the last edited one first, so the first of the file comes last.
        for note in reversed(notes):
            if there[note.title] > 0:
                continue
            made = self._mutate("notes:create", title=note.title, body=note.body, tags=note.tags)
            if note.pinned and self._query("notes:get", note=made) is not None:
                self._mutate("notes:edit", note=made, base=1, pinned=True)
        return (self._count("notes:list") - there).total()

    def _seed_captures(self, lines: list[str]) -> int:
        """Add lines to the inbox. They have keys, so that each is added once for ever."""
        there = self._query("captures:list")
        zone = self._query("people:settings")["home_zone"]
        now = time() * 1000
        for place, line in enumerate(lines):
            key = f"seed-{_digest(line)}"
            # The first of the file is the newest.
            given = {"line": line, "captured_at": now - place * 60_000, "zone": zone, "key": key}
            self._call("mutation", "captures:add", given, {})
        return len(self._query("captures:list")) - len(there)

    def _seed_reminders(self, reminders: list[ReminderInFile]) -> int:
        """Add the reminders whose titles are missing. Returns: how many those were."""
        there = self._count("reminders:list")
        today = self._today()
        for each in reminders:
            if there[each.title] > 0:
                continue
            day = today + timedelta(days=max(1, each.in_days))
            given = {
                "title": each.title,
                "due_date": day.isoformat(),
                "due_time": each.time,
                "rule": each.rule,
            }
            key = {"Idempotency-Key": f"seed-{_digest(each.title)}"}
            # Not of the whole content: tomorrow the same example has another date.
            self._call("mutation", "reminders:create", given, key)
        return (self._count("reminders:list") - there).total()

    def _seed_board(self, board: BoardInFile, there: dict[str, str]) -> int:
        """Add a board, and the tasks that it lacks. Returns: how many those were."""
        columns = [column.title for column in board.columns]
        made = there.get(_outline(board.title, columns)) or cast(
            "str", self._mutate("boards:create", title=board.title, columns=columns)
        )
        keys = [column["key"] for column in self._query("boards:get", board=made)["columns"]]
        titles = self._titles(made)
        missing, times = titles.copy(), Counter[tuple[str, str]]()
        for key, column in zip(keys, board.columns, strict=True):
            for task in column.tasks:
                times[key, task.title] += 1
                if missing[task.title] > 0:
                    missing[task.title] -= 1
                else:
                    self._add_task(made, key, task, times[key, task.title])
        # Counted, since a task that someone has removed lately is not added again.
        return self._titles(made).total() - titles.total()

    def _add_task(self, board: str, column: str, task: TaskInFile, time: int) -> None:
        """Add a task that stands for the ``time``-th time in the file: twice is two tasks."""
        text = {"title": task.title, "body": task.body, "labels": task.labels}
        made = self._mutate("tasks:add", time, board=board, column=column, **text)
        if self._query("tasks:get", task=made) is None:
            return  # It was added before, and somebody has removed it.
        if task.completed:
            self._mutate("tasks:complete", task=made)
        if task.in_days is not None:
            day = self._today() + timedelta(days=task.in_days)
            due = {"due_date": day.isoformat(), "due_time": task.time}
            # Without a key: said again, tomorrow, it is another date.
            self._call("mutation", "tasks:set_due", {"task": made, **due}, {})

    def _ids_of_boards(self) -> dict[str, str]:
        return {
            _outline(board["title"], [column["title"] for column in board["columns"]]): board["_id"]
            for board in self._query("boards:list")
        }

    def _titles(self, board: str) -> Counter[str]:
        return Counter(task["title"] for task in self._query("tasks:list", board=board))

    def _today(self) -> date:
        return datetime.now(ZoneInfo(self._query("people:settings")["home_zone"])).date()

    def _count(self, path: str) -> Counter[str]:
        return Counter(each["title"] for each in self._query(path))

    def _query(self, path: str, **args: object) -> Any:
        return self._call("query", path, args, {})

    def _mutate(self, path: str, times: int = 1, /, **args: object) -> Any:
        key = _digest(dumps([path, args, times], sort_keys=True))
        return self._call("mutation", path, args, {"Idempotency-Key": f"seed-{key}"})

    def _call(
        self, kind: str, path: str, args: Mapping[str, object], headers: dict[str, str]
    ) -> Any:
        body = {"path": path, "args": args, "format": "json"}
        try:
            answer = self._http.post(f"{self.url}/api/{kind}", json=body, headers=headers)
        except httpx.TimeoutException as error:
            raise SeedError(f"{self.url} does not answer in {_ANSWER_SECONDS_MAX:g} s.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SeedError(
                f"No server answers at {self.url} ({error}). "
                "Start one with `flow serve`, or say where it is with --url."
            ) from error
        return _value(self.url, path, answer)


def _digest(content: str) -> str:
    return blake2b(content.encode(), digest_size=_KEY_BYTES).hexdigest()


def _outline(title: str, columns: list[str]) -> str:
    """Give what a board is known by: one with this title and these columns is the same board."""
    return dumps([title, columns])


def _value(url: str, path: str, answer: httpx.Response) -> Any:
    try:
        envelope: Any = answer.json()
    except ValueError:
        envelope = None
    match envelope:
        case {"status": "success", "value": value}:
            return value
        case {"status": "error", "errorMessage": message}:
            said = envelope.get("errorData") or cast("str", message).partition("\n")[2] or message
            raise SeedError(f"{path} at {url} refused: {said}")
        case {"code": code, "message": message}:
            raise SeedError(f"{url} refused: {message} ({code})")
        case _:
            raise SeedError(
                f"What answers at {url} is no Flow server: status {answer.status_code} for {path}."
            )


def load(file: Path, url: str) -> Added:
    """Load the workspace in a file into the server at an address.

    Raises: SeedError, in words for whoever gave the command.
    """
    workspace = read_workspace(file)
    # A proxy for the web is no way to a server of one's own.
    with httpx.Client(timeout=_ANSWER_SECONDS_MAX, trust_env=False) as http:
        return Server(url, http).seed(workspace)
