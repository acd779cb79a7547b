"""The webhook of reminders: each ring reaches its receiver, signed, however often it fails.

Source: the guarantees, F8.
"""

import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from ipaddress import ip_network
from itertools import pairwise
from time import time as wall_clock
from typing import Any

import h11
import pytest
import trio
from attrs import define, field

from flow_backend import WebhookRejected, verify_webhook
from flow_backend.actors.settings import BackendSettings
from tests.flow.support import open_running_flow, value_of
from tests.flow.test_recurrence import at
from tests.flow.timeline import Timeline, open_timeline

SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="
RINGS_AT = "2026-10-29 12:00"


@define
class Receiver:
    """A server on this machine that checks what it gets, and answers as it is told."""

    port: int = 0
    statuses: list[int] = field(factory=list[int])
    got: list[tuple[str, dict[str, Any]]] = field(factory=list[tuple[str, dict[str, Any]]])
    headers: list[Mapping[str, str]] = field(factory=list[Mapping[str, str]])
    now_seconds: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        headers: dict[str, str] = {}
        body = b""
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some(65_536))
            elif isinstance(event, h11.Request):
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                return
        status = self.statuses.pop(0) if self.statuses else 204
        if status == 0:
            return  # Hangs up without a word.
        ident = verify_webhook(SECRET, headers, body, self.now_seconds)
        self.headers.append(headers)
        self.got.append((ident, json.loads(body)))
        head = h11.Response(status_code=status, headers=[("Content-Length", "0")])
        for sent in (head, h11.EndOfMessage()):
            await stream.send_all(connection.send(sent) or b"")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, found.serve, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        found.port = listeners[0].socket.getsockname()[1]
        yield found
        nursery.cancel_scope.cancel()


@pytest.fixture
async def time(receiver: Receiver) -> AsyncIterator[Timeline]:
    with open_timeline("2026-10-28 22:00") as opened:
        opened.do("people:change_settings", webhook_url=receiver.url, webhook_secret=SECRET)
        try:
            yield opened
        finally:
            await opened.runner.outgoing.aclose()


def create(time: Timeline, **more: Any) -> str:
    made = time.do("reminders:create", title="Tee 🍵", at=at(RINGS_AT), **more)
    assert isinstance(made, str)
    return made


async def pass_time(time: Timeline, receiver: Receiver, until: str) -> None:
    """Let time pass; each action runs as soon as it has begun, at that instant."""
    while (waiting := time.pending()) and waiting[0]["due"] <= at(until):
        time.clock[0] = max(time.now, waiting[0]["due"])
        receiver.now_seconds = time.now / 1000
        time.catch_up()
        await time.act()
    time.clock[0] = at(until)


def hook(time: Timeline) -> dict[str, Any]:
    [found] = [each for each in time.rows("deliveries") if each["channel"] == "webhook"]
    return found


def attempts(time: Timeline, reminder: str) -> list[tuple[int | None, str | None]]:
    """Give how each attempt went, the first one first."""
    found = time.query("reminders:attempts", reminder=reminder)
    return [(each["status"], each["error"]) for each in reversed(found)]


async def test_a_ring_is_sent_signed(time: Timeline, receiver: Receiver) -> None:
    tea = create(time)

    await pass_time(time, receiver, RINGS_AT)

    [(ident, body)] = receiver.got
    assert ident == hook(time)["_id"]
    assert body == {
        "type": "reminder.rang",
        "timestamp": "2026-10-29T12:00:00.000Z",
        "data": {
            "reminder": tea,
            "delivery": ident,
            "occurrence": "2026-10-29T12:00:00Z",
            "title": "Tee 🍵",
            "task": None,
            "due_at": "2026-10-29T12:00:00.000Z",
            "late_seconds": 0,
            "missed": 0,
            "silent": False,
        },
    }
    assert receiver.headers[0]["content-type"] == "application/json"
    assert hook(time)["state"] == "acknowledged"
    assert attempts(time, tea) == [(204, None)]
    assert time.pending() == []


@pytest.mark.slow
async def test_a_ring_reaches_the_receiver_by_itself(receiver: Receiver) -> None:
    """With the whole backend, in real time: the jobs and the action run without anybody's help."""
    settings = BackendSettings(outgoing_allow=(ip_network("127.0.0.0/8"),))
    async with open_running_flow(settings) as flow:
        receiver.now_seconds = wall_clock()
        await flow.do("people:change_settings", webhook_url=receiver.url, webhook_secret=SECRET)
        tea = await flow.do("reminders:create", title="Tea", at=wall_clock() * 1000 + 50)

        statuses: list[int | None] = []
        with trio.fail_after(20):
            while statuses != [204]:
                await trio.sleep(0.02)
                found = await flow.query("reminders:attempts", reminder=tea)
                statuses = [each["status"] for each in found]

        [(_, body)] = receiver.got
        assert body["data"]["title"] == "Tea"
        assert len(await flow.query("reminders:ringing")) == 1


async def test_another_secret_is_refused_by_the_receiver(receiver: Receiver) -> None:
    """The receiver of these tests does look: else they would show nothing."""
    with pytest.raises(WebhookRejected):
        verify_webhook(SECRET, {}, b"{}", 0)


async def test_f8_what_fails_is_tried_again_with_the_same_id(
    time: Timeline, receiver: Receiver
) -> None:
    receiver.statuses = [500, 0, 302, 204]
    tea = create(time)

    await pass_time(time, receiver, "2026-10-29 13:00")

    said = attempts(time, tea)
    assert [status for status, _ in said] == [500, None, 302, 204]
    assert said[0][1] == "The answer was status 500."
    assert "RemoteProtocolError" in (said[1][1] or "")
    assert len({ident for ident, _ in receiver.got}) == 1
    assert hook(time)["state"] == "acknowledged"
    # 5 s, 25 s and 125 s apart, each shortened by a quarter at most.
    times = [each["at"] for each in reversed(time.query("reminders:attempts", reminder=tea))]
    pauses = [(b - a) / 1000 for a, b in pairwise(times)]
    assert all(0.75 * 5**n <= pause <= 5**n for n, pause in enumerate(pauses, 1))


async def test_what_never_works_is_given_up_visibly(time: Timeline, receiver: Receiver) -> None:
    receiver.statuses = [503] * 20
    tea = create(time)

    await pass_time(time, receiver, "2026-10-31 12:00")

    assert len(attempts(time, tea)) == 8
    assert (hook(time)["state"], hook(time)["error"]) == ("failed", "The answer was status 503.")
    # The ring itself is still there for people.
    assert len(time.query("reminders:ringing")) == 1
    assert time.pending() == []


async def test_a_receiver_that_is_gone_switches_it_off(time: Timeline, receiver: Receiver) -> None:
    receiver.statuses = [410]
    tea = create(time, rule="FREQ=DAILY")

    await pass_time(time, receiver, "2026-10-31 13:00")

    assert attempts(time, tea) == [(410, "The answer was status 410.")]
    shown = time.query("people:settings")
    assert (shown["webhook_url"], shown["webhook_gone_at"]) == (receiver.url, at(RINGS_AT))
    time.do("people:change_settings", webhook_url=receiver.url, webhook_secret=SECRET)
    assert time.query("people:settings")["webhook_gone_at"] is None
    await pass_time(time, receiver, "2026-11-01 13:00")
    assert attempts(time, tea)[-1] == (204, None)


async def test_what_is_acknowledged_is_not_sent_any_more(
    time: Timeline, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    tea = create(time)
    await pass_time(time, receiver, RINGS_AT)

    time.do("reminders:acknowledge", reminder=tea)
    await pass_time(time, receiver, "2026-10-29 14:00")

    assert len(attempts(time, tea)) == 1
    assert hook(time)["state"] == "ended"
    assert time.pending() == []


async def test_a_ring_after_a_snooze_is_another_message(time: Timeline, receiver: Receiver) -> None:
    tea = create(time)
    await pass_time(time, receiver, RINGS_AT)

    time.do("reminders:snooze", reminder=tea, preset="10_minutes")
    await pass_time(time, receiver, "2026-10-29 14:00")

    first, second = (ident for ident, _ in receiver.got)
    assert second == f"{first}-2"


@pytest.mark.parametrize("calls", [0, 1])
async def test_f8_a_delivery_that_was_interrupted_is_tried_again(
    time: Timeline, receiver: Receiver, calls: int
) -> None:
    """The server is killed before the request, or when it was answered and that is not noted.

    Then the receiver hears of it a second time, under the same id.
    """
    tea = create(time)
    time.go(RINGS_AT)
    time.catch_up()
    receiver.now_seconds = time.now / 1000
    time.killed_after = calls
    await time.act()
    assert len(receiver.got) == calls
    time.killed_after = None

    await pass_time(time, receiver, "2026-10-29 14:00")

    first, second = attempts(time, tea)
    assert "Interrupted" in (first[1] or "")
    assert second == (204, None)
    assert {ident for ident, _ in receiver.got} == {hook(time)["_id"]}
    assert hook(time)["state"] == "acknowledged"
    assert time.pending() == []


async def test_f8_a_turn_that_comes_twice_sends_once(time: Timeline, receiver: Receiver) -> None:
    create(time)
    await pass_time(time, receiver, RINGS_AT)
    found = hook(time)

    for attempt in (1, 2):
        time.internal("webhook:turn", delivery=found["_id"], rings=1, attempt=attempt)
    await pass_time(time, receiver, "2026-10-29 14:00")

    assert len(receiver.got) == 1


async def test_without_a_webhook_nothing_is_sent(time: Timeline, receiver: Receiver) -> None:
    time.do("people:change_settings", webhook_url="")
    create(time)

    await pass_time(time, receiver, RINGS_AT)

    assert receiver.got == []
    assert [each["channel"] for each in time.rows("deliveries")] == ["app"]


async def test_an_answer_without_an_end_is_not_read(
    time: Timeline, receiver: Receiver, nursery: trio.Nursery
) -> None:
    """It would hold one of the few places for actions, and memory."""

    async def pour(stream: trio.SocketStream) -> None:
        await stream.receive_some(65_536)
        try:
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
            while True:
                await stream.send_all(b"x" * 65_536)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    listeners = await nursery.start(partial(trio.serve_tcp, pour, 0, host="127.0.0.1"))
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
    time.do("people:change_settings", webhook_url=url, webhook_secret=SECRET)
    tea = create(time)

    with trio.fail_after(15):
        await pass_time(time, receiver, RINGS_AT)

    assert attempts(time, tea) == [(200, None)]
    nursery.cancel_scope.cancel()


async def test_the_message_tells_nobody_the_secret(time: Timeline) -> None:
    from flow_backend.functions.context import NOBODY

    snapshot = time.storage.open_snapshot()
    snapshot.begin()
    try:
        result = time.runner.query("webhook:message", {"delivery": "x"}, NOBODY, snapshot).result
    finally:
        snapshot.end()
        snapshot.close()
    with pytest.raises(AssertionError, match="Could not find public function"):
        value_of(result)
