"""Mailboxes: order, merging, room."""

import trio
from attrs import frozen
from trio.testing import MockClock, wait_all_tasks_blocked

from flow_backend.actors.mailbox import Mailbox, Reply


@frozen
class Sum:
    """Merges with its like by adding up."""

    key: str
    value: int

    @property
    def merge_key(self) -> str:
        return self.key

    def merged(self, newer: "Sum") -> "Sum":
        return Sum(self.key, self.value + newer.value)


async def test_unread_messages_of_one_key_become_one_at_the_place_of_the_first() -> None:
    box = Mailbox[Sum | int](10)
    box.put(Sum("a", 1))
    box.put(7)
    box.put(Sum("b", 1))
    box.put(Sum("a", 2))

    assert await box.receive_batch(10) == [Sum("a", 3), 7, Sum("b", 1)]


async def test_a_message_that_was_read_merges_with_none() -> None:
    """What was read is being worked on: a newer message must not vanish into it."""
    box = Mailbox[Sum | int](10)
    box.put(Sum("a", 1))
    box.put(7)
    assert await box.receive() == Sum("a", 1)

    box.put(Sum("a", 2))
    box.put(Sum("a", 4))

    assert await box.receive_batch(10) == [7, Sum("a", 6)]


async def test_send_waits_for_room_and_put_does_not(nursery: trio.Nursery) -> None:
    """Load pushes back down the walk, and never up."""
    box = Mailbox[int](1)
    sent: list[int] = []

    async def send(number: int) -> None:
        await box.send(number)
        sent.append(number)

    for number in (1, 2, 3):
        nursery.start_soon(send, number)
        await wait_all_tasks_blocked()
    assert sent == [1]
    box.put(9)

    assert await box.receive_batch(5) == [1, 9]
    await wait_all_tasks_blocked()

    assert len(sent) == 2
    assert len(box) == 1
    box.take(5)
    await wait_all_tasks_blocked()
    assert sorted(sent) == [1, 2, 3]


async def test_receive_wakes_for_the_first_message(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    box = Mailbox[int](4)

    async def later() -> None:
        await trio.sleep(3)
        box.put(1)
        box.put(2)

    nursery.start_soon(later)

    assert await box.receive_batch(1) == [1]
    assert trio.current_time() == 3
    assert await box.receive() == 2


async def test_clear_takes_everything_and_makes_room(nursery: trio.Nursery) -> None:
    box = Mailbox[int](1)
    box.put(1)
    nursery.start_soon(box.send, 2)
    await wait_all_tasks_blocked()

    assert box.clear() == [1]

    await wait_all_tasks_blocked()
    assert box.clear() == [2]


async def test_a_reply_keeps_the_first_answer() -> None:
    reply = Reply[int]()
    reply.put(1)
    reply.put(2)

    assert await reply.wait() == 1
