"""The board as one writes it by hand in Python: Starlette, sqlite3, and all of it to everyone.

board.py <folder> [fold]: with "fold", what came in one turn of the loop is one transaction and one
broadcast.
"""

import asyncio
import secrets
import socket
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

FOLDER: Final = Path(sys.argv[1])
FOLDS: Final = "fold" in sys.argv[2:]
COLUMNS: Final = ("to-do", "doing", "done")

LAST: Final = 'SELECT max(rank) FROM tasks WHERE board = ? AND "column" = ?'
BEFORE: Final = f"{LAST} AND rank < ?"
IN_ORDER: Final = 'SELECT _id FROM tasks WHERE board = ? AND "column" = ? ORDER BY rank'

db: Final = sqlite3.connect(FOLDER / "board.db", isolation_level=None)
db.row_factory = sqlite3.Row
db.executescript("""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE tasks (_id TEXT PRIMARY KEY, _creationTime REAL, board TEXT, body TEXT, "column" TEXT,
    completedAt REAL, labels TEXT, rank REAL, title TEXT);
CREATE INDEX by_place ON tasks (board, "column", rank);
CREATE TABLE accounts (number INTEGER PRIMARY KEY, balance INTEGER);
""")

watchers: Final = defaultdict[str, set[WebSocket]](set)
Change = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class State:
    """What changes: the version of everything, and the changes that wait for their commit."""

    version = 0
    waiting: ClassVar[list[Change]] = []
    tasks: ClassVar[set[asyncio.Task[None]]] = set()


lock: Final = asyncio.Lock()


def one(statement: str, *values: object) -> Any:
    """Give the first value of the first row, None if there is none."""
    row = db.execute(statement, values).fetchone()
    return None if row is None else row[0]


def fill(body: dict[str, Any]) -> dict[str, Any]:
    """Make a board."""
    board, columns = secrets.token_hex(16), {name: list[str]() for name in COLUMNS}
    for number, text in enumerate(body["bodies"]):
        ident, column = secrets.token_hex(16), COLUMNS[number % len(COLUMNS)]
        row = (ident, time.time() * 1000, board, text, column, float(number), f"Task {number:05}")
        db.execute("INSERT INTO tasks VALUES (?, ?, ?, ?, ?, NULL, '[]', ?, ?)", row)
        columns[column].append(ident)
    return {"board": board, "columns": columns}


def move(task: str, column: str, before: str | None = None) -> str:
    """Move a task. Returns: its board."""
    board = one("SELECT board FROM tasks WHERE _id = ?", task)
    if board is None:
        raise ValueError("this task is gone")
    if before is None:
        rank = (one(LAST, board, column) or 0) + 1
    else:
        high = one("SELECT rank FROM tasks WHERE _id = ?", before)
        low = one(BEFORE, board, column, high)
        rank = high - 1 if low is None else (low + high) / 2
        if low is not None and high - low < 1e-9:
            rows = db.execute(IN_ORDER, (board, column))
            for number, row in enumerate(rows.fetchall()):
                db.execute("UPDATE tasks SET rank = ? WHERE _id = ?", (number * 2.0, row[0]))
            rank = one("SELECT rank FROM tasks WHERE _id = ?", before) - 1
    db.execute('UPDATE tasks SET "column" = ?, rank = ? WHERE _id = ?', (column, rank, task))
    return str(board)


def transfer(body: dict[str, Any]) -> None:
    """Move money."""
    source, target, amount = body["source"], body["target"], body["amount"]
    payer = one("SELECT balance FROM accounts WHERE number = ?", source)
    payee = one("SELECT balance FROM accounts WHERE number = ?", target)
    if payer is None or payee is None:
        raise ValueError("there is no such account")
    db.execute("UPDATE accounts SET balance = ? WHERE number = ?", (payer - amount, source))
    db.execute("UPDATE accounts SET balance = ? WHERE number = ?", (payee + amount, target))


def open_accounts(body: dict[str, Any]) -> None:
    """Open all accounts."""
    rows = ((number, body["balance"]) for number in range(body["count"]))
    db.executemany("INSERT INTO accounts VALUES (?, ?)", rows)


def total(_body: dict[str, Any]) -> dict[str, Any]:
    """Give what all accounts hold."""
    return {"total": one("SELECT sum(balance) FROM accounts")}


def board_text(board: str) -> str:
    """Write the whole board."""
    rows = db.execute('SELECT * FROM tasks WHERE board = ? ORDER BY "column", rank', (board,))
    tasks = [{**row, "labels": orjson.loads(row["labels"])} for row in rows]
    return orjson.dumps({"v": State.version, "tasks": tasks}).decode()


async def change(run: Callable[[], Any]) -> Any:
    """Make a change, alone or with all that came while the last one was sent."""
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    State.waiting.append((run, done))
    if not FOLDS or len(State.waiting) == 1:
        task = asyncio.create_task(commit())
        State.tasks.add(task)
        task.add_done_callback(State.tasks.discard)
    return await done


async def commit() -> None:
    """Make what waits one transaction, answer, and tell everyone."""
    # Without the lock a slow broadcast would be overtaken by the next, and boards go back in time.
    async with lock:
        if FOLDS:
            batch, State.waiting = State.waiting, []
        else:
            batch = [State.waiting.pop(0)]
        State.version += 1
        db.execute("BEGIN IMMEDIATE")
        results = [run() for run, _ in batch]
        db.execute("COMMIT")
        for (_, done), result in zip(batch, results, strict=True):
            done.set_result(result)
        for board in {result for result in results if isinstance(result, str)}:
            if watchers[board]:
                text = board_text(board)
                for watcher in tuple(watchers[board]):
                    await watcher.send_text(text)


async def serve_socket(websocket: WebSocket) -> None:
    """Serve one client."""
    await websocket.accept()
    watched = ""
    try:
        while True:
            message = orjson.loads(await websocket.receive_text())
            if "watch" in message:
                watched = message["watch"]
                watchers[watched].add(websocket)
                await websocket.send_text(board_text(watched))
            else:
                await change(lambda message=message: move(**message["move"]))
                await websocket.send_text(f'{{"id":{message["id"]},"v":{State.version}}}')
    except WebSocketDisconnect:
        watchers[watched].discard(websocket)


def post(path: str, run: Callable[[dict[str, Any]], Any]) -> Route:
    """Make a change that is asked for by POST."""

    async def answer(request: Request) -> Response:
        body = orjson.loads(await request.body())
        value = await change(lambda: run(body))
        text = orjson.dumps({"status": "success", "value": value})
        return Response(text, media_type="application/json")

    return Route(path, answer, methods=["POST"])


listening: Final = socket.create_server(("127.0.0.1", 0), backlog=4096)


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Say where it listens."""
    print("Python is ready at http://{}:{}".format(*listening.getsockname()), flush=True)
    yield


app: Final = Starlette(
    routes=[
        WebSocketRoute("/{path:path}", serve_socket),
        post("/fill", fill),
        post("/accounts", open_accounts),
        post("/total", total),
        post("/transfer", transfer),
    ],
    lifespan=lifespan,
)
config = uvicorn.Config(
    app, log_level="error", timeout_keep_alive=60, ws_per_message_deflate=False, loop="uvloop"
)
uvicorn.Server(config).run(sockets=[listening])
