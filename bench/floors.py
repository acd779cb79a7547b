"""The floors: raw sockets and SQLite alone, each in a process of its own, with no line of ours."""

import random
import select
import socket
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, Protocol, cast

import apsw
import orjson

_ANSWER: Final = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
_PREFIX: Final = (
    b'{"type":"Transition","startVersion":{"querySet":1,"identity":0,"ts":"AAAAAAAAAAA="},'
    b'"endVersion":{"querySet":1,"identity":0,"ts":"'
)
_CHECKPOINT_PAGES: Final = 64 * 2**20 // 4096


class RawServer:
    """Sends one frame to all its clients, by direct sends, whenever one client says anything.

    It knows no protocol: it answers an opening without reading it. A message is a number, the size
    of the payload from then on; "watch", to get the frames; or "send", to send one to all. Only the
    timestamp in the frame changes, so that the load can count.
    """

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        # Linux gives it to each connection that is accepted here.
        self.listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.listening.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listening.fileno(), select.EPOLLIN)
        self.clients = dict[int, socket.socket]()
        self.watching = dict[int, socket.socket]()
        self.unsent = dict[int, memoryview]()
        self.payload = b""
        self.ts = 0

    def run(self) -> None:
        """Work until the process is ended."""
        while True:
            for number, event in self.epoll.poll():
                if number == self.listening.fileno():
                    self._accept()
                elif event & select.EPOLLOUT:
                    self._send_rest(number)
                else:
                    self._read(number)

    def _accept(self) -> None:
        try:
            while True:
                client, _ = self.listening.accept()
                client.setblocking(False)
                self.clients[client.fileno()] = client
                self.epoll.register(client.fileno(), select.EPOLLIN)
        except BlockingIOError:
            return

    def _read(self, number: int) -> None:
        data = self.clients[number].recv(1 << 16)
        if not data:
            self.epoll.unregister(number)
            self.watching.pop(number, None)
            self.clients.pop(number).close()
        elif data.startswith(b"GET "):
            self.clients[number].send(_ANSWER)
        else:
            self._take(number, data[6:])

    def _take(self, number: int, payload: bytes) -> None:
        command = orjson.loads(payload)
        if isinstance(command, int):
            self.payload = b"x" * command
        elif command == "watch":
            self.watching[number] = self.clients[number]
        else:
            self._send_to_all()

    def _send_to_all(self) -> None:
        self.ts += 1
        text = _PREFIX + b64encode(self.ts.to_bytes(8, "little")) + b'"}}' + self.payload
        frame = memoryview(_header(len(text)) + text)
        for number in self.watching:
            self._send(number, frame)

    def _send(self, number: int, data: memoryview) -> None:
        try:
            sent = self.clients[number].send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            # A full socket waits until it has room. The load waits until all have the frame, so
            # none is ever sent behind one that is cut.
            self.unsent[number] = data[sent:]
            self.epoll.modify(number, select.EPOLLIN | select.EPOLLOUT)

    def _send_rest(self, number: int) -> None:
        self.epoll.modify(number, select.EPOLLIN)
        self._send(number, self.unsent.pop(number))


def _header(size: int) -> bytes:
    if size < 126:
        return bytes((0x81, size))
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


# --- SQLite alone -------------------------------------------------------------------------------

_CREATE: Final = """
CREATE TABLE tasks (_rowid INTEGER PRIMARY KEY, _id TEXT NOT NULL, _creationTime REAL NOT NULL,
    _schema INTEGER NOT NULL, _document BLOB NOT NULL, board TEXT, "column" TEXT, rank TEXT);
CREATE UNIQUE INDEX by_id ON tasks (_id);
CREATE INDEX by_creation_time ON tasks (_creationTime);
CREATE INDEX by_place ON tasks (board, "column", rank, _creationTime);
CREATE TABLE _commit_log (_rowid INTEGER PRIMARY KEY, ts INTEGER NOT NULL,
    "table" INTEGER NOT NULL, id TEXT NOT NULL, before BLOB, after BLOB);
CREATE TABLE _request_records (_rowid INTEGER PRIMARY KEY, session TEXT NOT NULL, request NOT NULL,
    ts INTEGER NOT NULL, result BLOB NOT NULL, log_lines BLOB NOT NULL, at INTEGER NOT NULL,
    UNIQUE (session, request));
CREATE TABLE _clock (only INTEGER PRIMARY KEY CHECK (only = 1), ts INTEGER NOT NULL,
    created_at REAL NOT NULL);
INSERT INTO _clock VALUES (1, 1, 0.0);
"""
_PRAGMAS: Final = (
    "PRAGMA journal_mode = wal; PRAGMA synchronous = 2; PRAGMA wal_autocheckpoint = 0; "
    "PRAGMA mmap_size = 0; PRAGMA cache_size = -32768; PRAGMA trusted_schema = 0"
)
_MOVE: Final = (
    'UPDATE tasks SET _schema = 1, _document = ?, "column" = ?, rank = ? WHERE _rowid = ?'
)
_LOG: Final = 'INSERT INTO _commit_log (ts, "table", id, before, after) VALUES (?, ?, ?, ?, ?)'
_RECORD: Final = (
    "INSERT INTO _request_records (session, request, ts, result, log_lines, at) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_ADD: Final = "INSERT INTO tasks VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)"
_SET_CLOCK: Final = "UPDATE _clock SET ts = ?, created_at = ?"
_TASKS: Final = 200
_COLUMNS: Final = ("to-do", "doing", "done")


Value = str | bytes | int | float


class _Cursor(Protocol):
    """The part of apsw's cursor that is used here; apsw's own types need Python 3.12."""

    def execute(self, statements: str, bindings: Sequence[Value] = ..., /) -> object: ...

    def executemany(self, statements: str, bindings: Iterable[Sequence[Value]], /) -> object: ...

    def fetchall(self) -> object: ...


def _cursor(connection: apsw.Connection) -> _Cursor:
    return connection.cursor()


def _select(cursor: _Cursor, statement: str, *values: Value) -> list[tuple[Any, ...]]:
    cursor.execute(statement, values)
    return cast("list[tuple[Any, ...]]", cursor.fetchall())


class SqliteFloor:
    """Writes moves of 200 tasks as the server does, with nothing around them."""

    def __init__(self, path: Path, body: str) -> None:
        self.connection = apsw.Connection(str(path))
        self.cursor = _cursor(self.connection)
        self.tasks = [_task(number, body) for number in range(_TASKS)]
        self.documents = [orjson.dumps(task) for task in self.tasks]
        self.moves = 0
        self.log_pages = 0
        self.connection.set_wal_hook(self._note_log_size)
        self.cursor.execute(_PRAGMAS)
        self.cursor.fetchall()  # A pragma answers, and runs only as its answer is read.
        self.cursor.execute(_CREATE)
        self.cursor.execute("BEGIN")
        for number, task in enumerate(self.tasks):
            row = (task["_id"], float(number), 1, self.documents[number])
            self.cursor.execute(_ADD, (*row, task["board"], task["column"], task["rank"]))
        self.cursor.execute("COMMIT")

    def run(self, group: int, seconds: float) -> float:
        """Write for a while. Returns: moves per second, with ``group`` of them in a commit."""
        until = (begun := time.perf_counter()) + seconds
        while time.perf_counter() < until:
            self._commit(group)
        return self.moves / (time.perf_counter() - begun)

    def _commit(self, group: int) -> None:
        cursor = self.cursor
        log: list[tuple[int, int, str, bytes, bytes]] = []
        records: list[tuple[str, int, int, bytes, bytes, int]] = []
        cursor.execute("BEGIN IMMEDIATE")
        for _ in range(group):
            self.moves = move = self.moves + 1
            number, ts = move * 7 % _TASKS, time.time_ns()
            task, before = self.tasks[number], self.documents[number]
            task["column"], task["rank"] = _COLUMNS[move % 3], f"a{move % 900 + 100}"
            after = self.documents[number] = orjson.dumps(task)
            cursor.execute(_MOVE, (after, task["column"], task["rank"], number + 1))
            log.append((ts, 10_002, task["_id"], before, after))
            session = f"7f0c1c52-9a39-4c0c-8a53-0b2a0f5f1c{move % 32:02}"
            records.append((session, move, ts, b"null", b"[]", ts // 1_000_000))
        cursor.executemany(_LOG, log)
        cursor.executemany(_RECORD, records)
        cursor.execute(_SET_CLOCK, (time.time_ns(), 1.0))
        cursor.execute("COMMIT")
        if self.log_pages >= _CHECKPOINT_PAGES:
            self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _note_log_size(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self.log_pages = pages
        return apsw.SQLITE_OK


def _task(number: int, body: str) -> dict[str, str]:
    return {
        "_creationTime": f"{1_790_000_000_000 + number}",
        "_id": f"k57fd5jr0cjvqpr8k00s1yz3fs7b{number:04}",
        "board": "j57fd5jr0cjvqpr8k00s1yz3fs7bk8h2",
        "body": body,
        "column": "to-do",
        "completedAt": "null",
        "labels": "[]",
        "rank": f"a{number + 100}",
        "title": f"Task {number:03}",
    }


# --- SQLite alone, with money ---------------------------------------------------------------------

_CREATE_ACCOUNTS: Final = """
CREATE TABLE accounts (_rowid INTEGER PRIMARY KEY, _document BLOB NOT NULL, number REAL);
CREATE UNIQUE INDEX by_number ON accounts (number);
CREATE TABLE _commit_log (_rowid INTEGER PRIMARY KEY, ts INTEGER NOT NULL,
    "table" INTEGER NOT NULL, id TEXT NOT NULL, before BLOB, after BLOB);
CREATE TABLE _clock (only INTEGER PRIMARY KEY CHECK (only = 1), ts INTEGER NOT NULL,
    created_at REAL NOT NULL);
INSERT INTO _clock VALUES (1, 1, 0.0);
"""
_FIND: Final = "SELECT _rowid, _document FROM accounts WHERE number = ?"
_PATCH: Final = "UPDATE accounts SET _document = ? WHERE _rowid = ?"


def transfer_alone(path: Path, count: int, skew: float, group: int, seconds: float) -> float:
    """Transfer for a while, in a database that is made at the first time.

    Returns: transfers per second, with ``group`` of them in a commit.
    """
    is_new = not path.exists()
    connection = apsw.Connection(str(path))
    cursor = _cursor(connection)
    _select(cursor, _PRAGMAS)
    if is_new:
        cursor.execute(_CREATE_ACCOUNTS)
        rows = ((number, _account(number, 1000), float(number)) for number in range(count))
        with connection:
            cursor.executemany("INSERT INTO accounts VALUES (?, ?, ?)", rows)
    numbers = range(count)
    summed = list(accumulate((place + 1) ** -skew for place in numbers))
    made, until = 0, (begun := time.perf_counter()) + seconds
    while time.perf_counter() < until:
        log: list[tuple[int, int, str, bytes, bytes]] = []
        cursor.execute("BEGIN IMMEDIATE")
        for _ in range(group):
            for number, change in zip(
                random.choices(numbers, cum_weights=summed, k=2), (-1, 1), strict=True
            ):
                [(row, before)] = _select(cursor, _FIND, float(number))
                document = orjson.loads(before)
                document["balance"] += change
                after = orjson.dumps(document)
                cursor.execute(_PATCH, (after, row))
                log.append((time.time_ns(), 10_001, document["_id"], before, after))
        cursor.executemany(_LOG, log)
        cursor.execute(_SET_CLOCK, (time.time_ns(), 1.0))
        cursor.execute("COMMIT")
        made += group
    return made / (time.perf_counter() - begun)


def _account(number: int, balance: int) -> bytes:
    ident = f"k57fd5jr0cjvqpr8k00s1yz3f{number:07}"
    document = {"_creationTime": 1_790_000_000_000.0, "_id": ident, "balance": float(balance)}
    return orjson.dumps({**document, "number": float(number)})


# --- SQLite alone, reading -----------------------------------------------------------------------


def read_alone(path: Path, count: int, seconds: float) -> float:
    """Read boards of 200 among so many tasks for a while, and join their stored bytes.

    Returns: the median of the seconds that one board took.
    """
    connection = apsw.Connection(str(path))
    cursor = _cursor(connection)
    _select(cursor, _PRAGMAS)
    cursor.execute(_CREATE)
    boards = [f"j57fd5jr0cjvqpr8k00s1yz3fs7b{number:04}" for number in range(count // _TASKS)]
    with connection:
        for number in range(count):
            task = {**_task(number, ""), "board": boards[number % len(boards)]}
            row = (f"{number:032}", float(number), 1, orjson.dumps(task))
            cursor.execute(_ADD, (*row, task["board"], task["column"], task["rank"]))
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        board = boards[len(taken) * 7 % len(boards)]
        begun = time.perf_counter()
        found: list[bytes] = [
            row for column in _COLUMNS for (row,) in _select(cursor, _SELECT, board, column)
        ]
        result = b"[%b]" % b",".join(found)
        taken.append(time.perf_counter() - begun)
        assert len(found) == _TASKS, (len(found), len(result))
    return sorted(taken)[len(taken) // 2]


_SELECT: Final = (
    'SELECT _document FROM tasks WHERE board = ? AND "column" = ? ORDER BY rank, _creationTime'
)


# --- What a start cannot be shorter than ---------------------------------------------------------

_LIBRARIES: Final = ("trio", "hypercorn.trio", "attrs", "cattrs", "apsw", "orjson", "structlog")


def _main(kind: str, *options: str) -> None:
    if kind == "raw":
        server = RawServer()
        host, port = server.listening.getsockname()
        print(f"Raw sockets are ready at http://{host}:{port}", flush=True)
        server.run()
    elif kind == "sqlite":
        parent, group, seconds, body_bytes = options
        with tempfile.TemporaryDirectory(dir=parent) as directory:
            floor = SqliteFloor(Path(directory) / "floor.db", "x" * int(body_bytes))
            print(floor.run(int(group), float(seconds)), flush=True)
            floor.connection.close()
    elif kind == "transfers":
        path, count, skew, group, seconds = options
        rate = transfer_alone(Path(path), int(count), float(skew), int(group), float(seconds))
        print(rate, flush=True)
    elif kind == "select":
        parent, count, seconds = options
        with tempfile.TemporaryDirectory(dir=parent) as directory:
            print(read_alone(Path(directory) / "floor.db", int(count), float(seconds)), flush=True)
    elif kind == "imports":
        for name in _LIBRARIES:
            import_module(name)
        print("The libraries are ready at http://127.0.0.1:0", flush=True)
        time.sleep(60.0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
