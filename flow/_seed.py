"""Loads an example workspace into a running server, through its HTTP API."""

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from json import JSONDecodeError, dumps, loads
from pathlib import Path
from typing import Any, Final, cast

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
    """A task; its place is its place in the file."""

    title: str
    body: str = ""
    labels: list[str] = field(factory=list[str])
    completed: bool = False


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
class Workspace:
    """All boards of a file."""

    boards: list[BoardInFile]


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

    boards: int
    tasks: int


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
        return Added(len(self._ids_of_boards().keys() - there.keys()), tasks)

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
        if task.completed and self._query("tasks:get", task=made) is not None:
            self._mutate("tasks:complete", task=made)

    def _ids_of_boards(self) -> dict[str, str]:
        return {
            _outline(board["title"], [column["title"] for column in board["columns"]]): board["_id"]
            for board in self._query("boards:list")
        }

    def _titles(self, board: str) -> Counter[str]:
        return Counter(task["title"] for task in self._query("tasks:list", board=board))

    def _query(self, path: str, **args: object) -> Any:
        return self._call("query", path, args, {})

    def _mutate(self, path: str, time: int = 1, /, **args: object) -> Any:
        content = dumps([path, args, time], sort_keys=True)
        digest = blake2b(content.encode(), digest_size=_KEY_BYTES)
        return self._call("mutation", path, args, {"Idempotency-Key": f"seed-{digest.hexdigest()}"})

    def _call(self, kind: str, path: str, args: dict[str, object], headers: dict[str, str]) -> Any:
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
