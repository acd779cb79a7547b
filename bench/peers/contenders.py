"""Flow and its peers, each as the load sees it: a board, an audience, and clients that move."""

import random
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, cast

import orjson

from bench.boards import COLUMNS, Deck, body_text, fill_board
from bench.fanout import Audience, Watcher
from bench.http_load import HttpClient, ask
from bench.processes import Started
from bench.wire import Hub, LoadError, Peer, Writer, open_sockets

_TEXT: Final = 0x81


class Crew(Protocol):
    """A client that moves tasks, one move after the other."""

    requests: int
    answers: int
    answer_ts: int


class Contender(ABC):
    """One server under the load. It is a ``Mover`` for the fan-out."""

    def __init__(self, name: str, server: Started) -> None:
        self.name = name
        self.server = server
        self.hub = Hub(server.address)
        self.audience = Audience()
        self.watchers: list[Watcher] = []
        self.crew: Sequence[Crew] = []
        self.moved: Callable[[Crew], None] | None = None
        self._answers = 0

    @abstractmethod
    def fill(self, tasks: int, body_bytes: int) -> None:
        """Make the board that is watched from now on."""

    @abstractmethod
    def hire(self, count: int) -> None:
        """Connect a crew."""

    @abstractmethod
    def move(self, crew: Crew) -> None:
        """Let one of the crew ask for the next move."""

    @abstractmethod
    def open_watchers(self, count: int) -> list[Watcher]:
        """Connect those who watch the board."""

    def admit(self, count: int) -> None:
        """Let an audience in."""
        self.watchers = self.open_watchers(count)
        self.audience.after_ts = max((watcher.ts for watcher in self.watchers), default=0)

    def dismiss(self) -> None:
        """Let the audience out."""
        self.hub.discard(self.watchers)
        self.watchers = []

    def ask(self) -> None:
        """Start a move."""
        self._answers = self.crew[0].answers
        self.move(self.crew[0])

    def is_answered(self) -> bool:
        """Say whether the answer is there."""
        return self.crew[0].answers > self._answers

    def check(self) -> int:
        """Make sure that all were shown the move. Returns: its place in the order."""
        if any(watcher.ts < self.crew[0].answer_ts for watcher in self.watchers):
            raise LoadError(f"{self.name} showed a state from before the move, and not the move")
        return max(watcher.ts for watcher in self.watchers)

    def has_caught_up(self) -> bool:
        """Say whether all were shown all that was answered."""
        newest = max(crew.answer_ts for crew in self.crew)
        return all(watcher.ts >= newest for watcher in self.watchers)

    def take(self, crew: Crew) -> None:
        """Pass on that one of the crew has its answer."""
        if self.moved is not None:
            self.moved(crew)


class FlowBoard(Contender):
    """Flow, by its sync protocol."""

    def fill(self, tasks: int, body_bytes: int) -> None:
        [writer] = self.hub.open_writers(1)
        self.deck = fill_board(self.hub, writer, tasks, body_bytes)
        self.hub.discard([writer])

    def hire(self, count: int) -> None:
        crew = self.hub.open_writers(count)
        for writer in crew:
            writer.on_answer = self.take
        self.crew = crew

    def move(self, crew: Crew) -> None:
        assert isinstance(crew, Writer)
        crew.mutate("tasks:move", self.deck.next_move())

    def open_watchers(self, count: int) -> list[Watcher]:
        queries = [("tasks:list", dict[str, object](board=self.deck.board))]
        return self.hub.open_watchers(
            [queries] * count, lambda connection: Watcher(connection, self.audience)
        )


class _BoardWords(Peer):
    """Understands the hand-written servers: ``{"v":…,"tasks":[…]}`` and ``{"id":…,"v":…}``."""

    def _begin(self, opcode: int, head: bytes) -> None:
        if opcode == _TEXT and head.startswith(b'{"v":'):
            self._next_ts = int(head[5 : head.index(b",")])
            self._in_transition = True
            self.transition_bytes = self._left
        elif opcode == _TEXT and head.startswith(b'{"id":'):
            self.answered(head)
        else:
            super()._begin(opcode, head)


class BoardWatcher(_BoardWords, Watcher):
    """Watches a board of a hand-written server."""


class BoardCrew(_BoardWords):
    """Moves tasks of a hand-written server."""

    def __init__(self, connection: socket.socket, take: Callable[[Crew], None]) -> None:
        super().__init__(connection)
        self.requests = 0
        self.answers = 0
        self.answer_ts = 0
        self._take = take

    def answered(self, head: bytes) -> None:
        """Note the answer."""
        self.answers += 1
        self.answer_ts = int(orjson.loads(head)["v"])
        self._take(self)


class HandWritten(Contender):
    """A server written by hand, in Node or in Python."""

    def fill(self, tasks: int, body_bytes: int) -> None:
        client = HttpClient(self.server.address)
        self.hub.add(client)
        bodies = [body_text(number, body_bytes) for number in range(tasks)]
        made = ask(self.hub, client, "/fill", {"bodies": bodies})["value"]
        board, columns = cast("dict[str, Any]", made).values()
        self.deck = Deck(board, columns, random.Random(7))
        self.hub.discard([client])

    def hire(self, count: int) -> None:
        crew = [BoardCrew(one, self.take) for one in open_sockets(self.server.address, count)]
        for each in crew:
            self.hub.add(each)
        self.crew = crew

    def move(self, crew: Crew) -> None:
        assert isinstance(crew, BoardCrew)
        crew.send({"id": crew.requests, "move": self.deck.next_move()})
        crew.requests += 1

    def open_watchers(self, count: int) -> list[Watcher]:
        connections = open_sockets(self.server.address, count)
        watchers: list[Watcher] = [BoardWatcher(one, self.audience) for one in connections]
        for watcher in watchers:
            self.hub.add(watcher)
            watcher.send({"watch": self.deck.board})
        self.hub.wait(lambda: all(watcher.transitions for watcher in watchers), "the first boards")
        return watchers


# --- PocketBase ----------------------------------------------------------------------------------

_RECORDS: Final = "/api/collections/tasks/records"
_CLIENT_ID: Final = re.compile(rb'"clientId":"(\w+)"')
_MOVE: Final = re.compile(rb'"move":(\d+)')
EMAIL: Final = "bench@example.com"
PASSWORD: Final = "a long password, for this folder alone"


class EventReader(Watcher):
    """Reads PocketBase's events; each names one record, and the number of the move in it."""

    def __init__(self, connection: socket.socket, audience: Audience) -> None:
        super().__init__(connection, audience)
        self.client_id = ""
        self._text = b""

    def feed(self, data: memoryview) -> None:
        """Take what the socket gave."""
        *events, self._text = (self._text + bytes(data)).split(b"\n\n")
        for event in events:
            if b"event:tasks/" in event and (found := _MOVE.search(event)):
                # Moves that are made at once come in any order.
                self.ts = max(self.ts, int(found[1]))
                self.transitions += 1
                self.transition_bytes = len(event)
                self.shown()
            elif found := _CLIENT_ID.search(event):
                self.client_id = found[1].decode()


class PocketCrew(HttpClient):
    """Moves tasks in PocketBase: each move is a PATCH of one record."""

    answer_ts = 0

    def answered(self) -> None:
        """Note which move was answered."""
        if found := _MOVE.search(self.body):
            self.answer_ts = int(found[1])


class PocketBase(Contender):
    """PocketBase as it ships. The client thinks up the ranks: no code of ours is on the server."""

    moves = 0
    sent_before = 0

    def __init__(self, name: str, server: Started) -> None:
        super().__init__(name, server)
        self.admin = HttpClient(server.address)
        self.hub.add(self.admin)
        answer = ask(
            self.hub,
            self.admin,
            "/api/collections/_superusers/auth-with-password",
            {"identity": EMAIL, "password": PASSWORD},
        )
        token = f"Authorization: {answer['token']}\r\n".encode()
        self._ask("/api/collections", _COLLECTION, token)

    def _ask(self, path: str, body: object, headers: bytes = b"") -> dict[str, object]:
        answers = self.admin.answers
        self.admin.send("POST", path, body, headers)
        self.hub.wait(lambda: self.admin.answers > answers, path)
        return dict(orjson.loads(self.admin.body or b"{}"))

    def fill(self, tasks: int, body_bytes: int) -> None:
        columns = {name: list[str]() for name in COLUMNS}
        self.ranks: dict[str, float] = {}
        for number in range(tasks):
            body = body_text(number, body_bytes)
            column = COLUMNS[number % len(COLUMNS)]
            task = {"board": "board", "column": column, "title": f"Task {number:05}", "body": body}
            made = str(self._ask(_RECORDS, {**task, "rank": float(number)})["id"])
            columns[column].append(made)
            self.ranks[made] = float(number)
        self.deck = Deck("board", columns, random.Random(7))

    def hire(self, count: int) -> None:
        crew = [PocketCrew(self.server.address) for _ in range(count)]
        for each in crew:
            each.on_answer = lambda client: self.take(client)  # type: ignore[arg-type]
            self.hub.add(each)
        self.crew = crew

    def move(self, crew: Crew) -> None:
        assert isinstance(crew, PocketCrew)
        place = self.deck.next_move()
        task, before = str(place["task"]), place.get("before")
        rank = self.ranks[str(before)] - 1e-6 if before else max(self.ranks.values()) + 1
        self.ranks[task] = rank
        self.moves += 1
        body = {"column": place["column"], "rank": rank, "move": self.moves}
        crew.send("PATCH", f"{_RECORDS}/{task}", body)

    def open_watchers(self, count: int) -> list[Watcher]:
        host, port = self.server.address
        request = f"GET /api/realtime HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
        readers: list[EventReader] = []
        for _ in range(count):
            connection = socket.create_connection(self.server.address)
            connection.sendall(request)
            readers.append(EventReader(connection, self.audience))
            self.hub.add(readers[-1])
        self.hub.wait(lambda: all(reader.client_id for reader in readers), "the clients' ids")
        for reader in readers:
            reader.ts = self.moves
            wanted = {"clientId": reader.client_id, "subscriptions": ["tasks/*"]}
            self._ask("/api/realtime", wanted)
        self.sent_before = self.moves
        return list(readers)

    def has_caught_up(self) -> bool:
        """Say whether all were shown each single move."""
        sent = self.moves - self.sent_before
        return all(watcher.transitions >= sent for watcher in self.watchers)


_COLLECTION: Final = {
    "name": "tasks",
    "type": "base",
    **dict.fromkeys(("listRule", "viewRule", "createRule", "updateRule", "deleteRule"), ""),
    "fields": [
        *({"name": name, "type": "text"} for name in ("board", "column", "title", "body")),
        *({"name": name, "type": "number"} for name in ("rank", "move")),
    ],
    "indexes": ["CREATE INDEX by_place ON tasks (board, `column`, rank)"],
}
