"""What clients of bad will send is answered as the specifications say, and nobody else feels it."""

import pytest

from tests.hostile import frames, messages
from tests.hostile.wire import Alive, FrameCase, Target, bytes_of, judge, run_all, text, unmoved
from tests.server.stand_in import masked

pytestmark = pytest.mark.slow


async def converse_all(target: Target, cases: list[FrameCase], *, connect: bool = True) -> None:
    async def run(case: FrameCase) -> str | None:
        wanted = case.ending.text if isinstance(case.ending, Alive) else ""
        said = await target.converse(bytes_of(case.data), connect=connect, wanted=wanted)
        return judge(said, case.ending)

    async with unmoved(target):
        await run_all(cases, run)


async def test_j9_frames_that_break_the_rules_end_their_own_connection(target: Target):
    await converse_all(target, frames.CASES)


async def test_j9_messages_that_are_none_end_their_own_session(target: Target):
    await converse_all(target, messages.CASES)


async def test_j9_nothing_comes_before_connect(target: Target):
    await converse_all(target, messages.BEFORE_CONNECT, connect=False)


async def test_g_messages_of_too_many_values_are_refused_before_they_are_read(target: Target):
    for bomb in messages.BOMBS:
        await converse_all(target, [bomb])


async def test_a_message_after_a_close_is_not_heard(target: Target):
    """What comes behind a client's close is no request of its own: a mutation would be done."""
    call = {"requestId": 0, "udfPath": "counters:add", "args": [{"name": "after a close"}]}
    await target.converse(masked(0x88, b"\x03\xe8") + text({"type": "Mutation", **call}))

    said = await target.converse(
        text({"type": "Mutation", **call, "requestId": 1}), wanted="result"
    )
    assert b'"result":1.0' in b"".join(said.texts)
