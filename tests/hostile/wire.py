"""What the cases are made of, and how a server is asked them over real sockets."""

import os
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import orjson
import trio
from attrs import define, field, frozen

from tests.server.stand_in import UPGRADE, RawClient, masked
from tests.server_process import ServerProcess

CANARY = "canary-0b1d-5ecret"
"""Stands in arguments, tokens, bodies and addresses; no output of the server may have it."""

STILL_HERE = b"are you still there"
DEADLINE_SECONDS = 20
_AT_ONCE = 8
_GROWTH_KIB_MAX = 96 << 10
_PEAK_KIB_MAX = 640 << 10
CONNECT = (
    b'{"type":"Connect","sessionId":"7f0c1c52-9a39-4c0c-8a53-%012d",'
    b'"connectionCount":0,"lastCloseReason":"InitialConnect"}'
)

Data = bytes | Callable[[], bytes]


@frozen
class Close:
    """The server closes with this status, and says nothing before."""

    status: int


@frozen
class Fatal:
    """The server sends a FatalError of this code, then closes with 1000."""

    code: str = "WSMessageInvalidJson"


@frozen
class AuthError:
    """The server sends an AuthError that says the token was looked at, then closes with 1000."""


@frozen
class Alive:
    """The session goes on; one of its texts holds ``text``."""

    text: str = ""


Ending = Close | Fatal | AuthError | Alive


@frozen
class FrameCase:
    """Bytes after an upgrade, and what comes of them."""

    name: str
    data: Data
    ending: Ending


@frozen
class RequestCase:
    """A whole request over HTTP and the answer to it; ``codes`` are those that its body may have.

    An answer of several numbers is one of them; with none, the server hangs up without a word.
    """

    name: str
    data: Data
    status: int | tuple[int, ...] | None
    code: str | None = None
    text: bytes = b""


Case = TypeVar("Case", FrameCase, RequestCase)


def bytes_of(data: Data) -> bytes:
    """Give the bytes of a case; large ones are made when they are needed."""
    return data if isinstance(data, bytes) else data()


def text(message: object) -> bytes:
    """A message of a client, as a frame."""
    raw = message if isinstance(message, bytes) else orjson.dumps(message)
    return masked(0x81, raw) if len(raw) < 65536 else unmasked_long(0x81, raw)


def unmasked_long(first: int, payload: bytes) -> bytes:
    """A frame whose mask is zeros, which changes nothing: quick for many megabytes."""
    return bytes((first, 0xFF)) + len(payload).to_bytes(8, "big") + bytes(4) + payload


def request(
    method: str, path: str, body: bytes = b"", headers: Sequence[str] = (), *, length: bool = True
) -> bytes:
    """Write a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
    if length and (body or method == "POST"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def head_of(*lines: str) -> bytes:
    """Write the lines of a head."""
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


@define
class Conversation:
    """What a server said to a client: its texts, and how it ended if it did."""

    texts: list[bytes] = field(factory=list[bytes])
    closed: int | None = None
    hung_up: bool = False


@define
class Target:
    """A server under fire."""

    process: ServerProcess
    _clients: int = 0
    _log_read: int = 0

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[RawClient]:
        """A connection without a word on it."""
        async with await trio.open_tcp_stream("127.0.0.1", self.process.port) as stream:
            yield RawClient(stream)

    @asynccontextmanager
    async def session(self, *, connect: bool = True) -> AsyncGenerator[RawClient]:
        """A connection after its upgrade, and its Connect."""
        async with self.connection() as client:
            await client.send(UPGRADE % (b"/api/1.48.0/sync", b""))
            assert b" 101 " in await client.read_head()
            if connect:
                self._clients += 1
                await client.send(text(CONNECT % self._clients))
            yield client

    async def converse(
        self, data: bytes, *, connect: bool = True, wanted: str = ""
    ) -> Conversation:
        """Say something, then ask whether anybody is still there.

        An answer takes longer than a pong: the client listens until it has heard ``wanted``.
        """
        async with self.session(connect=connect) as client:
            said = Conversation()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send, client, data + masked(0x89, STILL_HERE))
                try:
                    await _listen(client, said, wanted.encode())
                except (trio.BrokenResourceError, AssertionError):
                    said.hung_up = True
                nursery.cancel_scope.cancel()
            return said

    async def ask(self, data: bytes) -> tuple[int, bytes, bytes] | None:
        """Send a request; give its answer's status, head and body, None if there is none."""
        async with self.connection() as client, trio.open_nursery() as nursery:
            nursery.start_soon(_send, client, data)
            try:
                head = await client.read_head()
                status = int(head.split(b" ")[1])
                while status == 100:
                    head = await client.read_head()
                    status = int(head.split(b" ")[1])
                length = [
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ]
                body = await client.read(length[0]) if length and data[:4] != b"HEAD" else b""
            except (trio.BrokenResourceError, AssertionError):
                return None
            finally:
                nursery.cancel_scope.cancel()
            return status, head, body
        raise AssertionError("unreachable")

    # --- What must hold after a group

    def memory(self, name: str) -> int:
        """Give a line of the process's status, in KiB."""
        assert self.process.popen is not None
        status = Path(f"/proc/{self.process.popen.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith(name)]
        return int(line.split()[1])

    def forget_peak(self) -> None:
        """Measure the peak from now on."""
        assert self.process.popen is not None
        Path(f"/proc/{self.process.popen.pid}/clear_refs").write_text("5")

    def new_log(self) -> str:
        """Give what was logged since the last call."""
        log = self.process.log()
        fresh, self._log_read = log[self._log_read :], len(log)
        return fresh


async def _send(client: RawClient, data: bytes) -> None:
    # The server may hang up before it has heard all; what it said is judged.
    with suppress(trio.BrokenResourceError):
        await client.send(data)


async def _listen(client: RawClient, said: Conversation, wanted: bytes) -> None:
    answered = False
    while not (answered and any(wanted in one for one in said.texts or [b""])):
        first, payload = await client.read_frame()
        if first == 0x88:
            said.closed = int.from_bytes(payload[:2], "big") if payload else 1005
            return
        if first == 0x8A and payload == STILL_HERE:
            answered = True
        if first == 0x81:
            said.texts.append(payload)


@define
class Bystander:
    """A client that watches a query, and does nothing else."""

    client: RawClient
    seen: float = -1.0

    async def hears(self, count: float) -> None:
        """Wait until the watched counter is shown at ``count``."""
        while self.seen != count:
            first, payload = await self.client.read_frame()
            assert first != 0x88, f"the bystander was closed: {payload!r}"
            if first != 0x81:
                continue
            message = orjson.loads(payload)
            assert message["type"] in ("Transition", "Ping"), message
            for change in message.get("modifications", ()):
                assert change["type"] == "QueryUpdated", change
                self.seen = change["value"]


async def count_up(target: Target) -> float:
    """Raise the counter that bystanders watch, over HTTP."""
    body = b'{"path":"counters:add","args":{"name":"watched"}}'
    answer = await target.ask(request("POST", "/api/mutation", body))
    assert answer is not None
    return float(orjson.loads(answer[2])["value"])


@asynccontextmanager
async def unmoved(target: Target) -> AsyncGenerator[None]:
    """What happens inside is felt by no other client, nor by memory, nor by the log."""
    target.new_log()
    before = target.memory("VmRSS")
    target.forget_peak()
    async with target.session() as client:
        watch = {"type": "Add", "queryId": 0, "udfPath": "counters:get"}
        await client.send(
            text(
                {
                    "type": "ModifyQuerySet",
                    "baseVersion": 0,
                    "newVersion": 1,
                    "modifications": [{**watch, "args": [{"name": "watched"}]}],
                }
            )
        )
        bystander = Bystander(client)
        with trio.fail_after(DEADLINE_SECONDS):
            await bystander.hears(await count_up(target))
        yield
        with trio.fail_after(DEADLINE_SECONDS):
            await bystander.hears(await count_up(target))
        await client.send(masked(0x89, STILL_HERE))
        assert (await client.read_frame())[1] == STILL_HERE
    check_log(target.new_log())
    grown, peak = target.memory("VmRSS") - before, target.memory("VmHWM")
    assert grown < _GROWTH_KIB_MAX, f"{grown} KiB more than before"
    assert peak < _PEAK_KIB_MAX, f"a peak of {peak} KiB"


def check_log(log: str) -> None:
    """Whatever a client sends is no mistake of the server's, and what it sent is not logged."""
    assert CANARY not in log, log[:5000]
    assert "Traceback" not in log, log[:5000]
    levels = {orjson.loads(line).get("level") for line in log.splitlines()}
    assert levels <= {"debug", "info"}, log[:5000]


async def run_all(cases: Iterable[Case], run: Callable[[Case], Any]) -> None:
    """Run cases side by side; all that fail are named."""
    failures: list[str] = []
    room = trio.CapacityLimiter(_AT_ONCE)

    async def one(case: Case) -> None:
        async with room:
            try:
                with trio.fail_after(DEADLINE_SECONDS):
                    failure = await run(case)
            except trio.TooSlowError:
                failure = "no answer"
        if failure:
            failures.append(f"{case.name}: {failure}")

    async with trio.open_nursery() as nursery:
        for case in chosen(cases):
            nursery.start_soon(one, case)
    assert not failures, "\n" + "\n".join(sorted(failures))


def chosen(cases: Iterable[Case]) -> list[Case]:
    """Give the cases whose name holds HOSTILE_CASE, all by default."""
    wanted = os.environ.get("HOSTILE_CASE", "")
    return [case for case in cases if wanted in case.name]


def judge(said: Conversation, ending: Ending) -> str | None:
    """Say how a conversation differs from what was expected."""
    kinds = [orjson.loads(one)["type"] for one in said.texts]
    shown = f"{said.closed=} {said.hung_up=} {[one[:300] for one in said.texts]}"
    joined = b"\n".join(said.texts).decode()
    if said.hung_up:
        return f"hung up on: {shown}"
    match ending:
        case Close(status):
            fine = said.closed == status and not {"FatalError", "AuthError"} & set(kinds)
        case Fatal(code):
            fine = said.closed == 1000 and f'"FatalError","error":"{code}:' in joined
        case AuthError():
            fine = said.closed == 1000 and '"authUpdateAttempted":true' in joined
        case Alive(wanted):
            fine = said.closed is None and wanted in joined and "FatalError" not in kinds
    return None if fine and CANARY not in joined else f"expected {ending}, got {shown}"


def judge_answer(answer: tuple[int, bytes, bytes] | None, case: RequestCase) -> str | None:
    """Say how an answer differs from what was expected."""
    if answer is None:
        return None if case.status is None else "hung up without an answer"
    status, head, body = answer
    shown = f"expected {case.status} {case.code}, got {status} {body[:300]!r}"
    expected = case.status if isinstance(case.status, tuple) else (case.status,)
    if status not in expected or case.text not in body:
        return shown
    # An error of validation shows its caller what the caller sent; a token is shown to nobody.
    shown_back = b"ArgumentValidationError" in body
    if (
        (CANARY.encode() in head + body and not shown_back)
        or b"root:" in body
        or b"xtensions" in head
    ):
        return f"it tells too much: {head + body!r:.500}"
    if status == 101 or status < 400 or not body:
        return None if case.code is None else shown
    error = orjson.loads(body) if body[:1] == b"{" else {}
    if error and set(error) != {"code", "message"}:
        return shown
    return None if case.code in (None, error.get("code")) else shown
