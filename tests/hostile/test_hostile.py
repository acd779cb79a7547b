"""What clients of bad will send is answered as the specifications say, and nobody else feels it."""

from collections import Counter

import pytest

from tests.hostile import bodies, frames, messages, requests, upgrades, values
from tests.hostile.wire import (
    CANARY,
    Alive,
    FrameCase,
    RequestCase,
    Target,
    bytes_of,
    judge,
    judge_answer,
    request,
    run_all,
    text,
    unmoved,
)
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


async def ask_all(target: Target, cases: list[RequestCase]) -> None:
    async def run(case: RequestCase) -> str | None:
        return judge_answer(await target.ask(bytes_of(case.data)), case)

    async with unmoved(target):
        await run_all(cases, run)


async def test_j9_upgrades_that_break_the_rules_are_refused(target: Target):
    await ask_all(target, upgrades.CASES)


async def test_j9_calls_that_are_none_are_refused(target: Target):
    await ask_all(target, bodies.CASES)


async def test_j9_requests_that_are_none_are_refused(target: Target):
    await ask_all(target, requests.CASES)


async def test_values_that_are_none_fail_their_call_alone(target: Target):
    async def run(case: values.ValueCase) -> str | None:
        add = (
            b'{"type":"Add","queryId":0,"udfPath":"values:ask","args":[{"value":'
            + case.json
            + b"}]}"
        )
        edit = (
            b'{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":['
            + add
            + b"]}"
        )
        wanted = f'"value":{case.back.decode()},"logLines"' if case.back else "QueryFailed"
        said = await target.converse(text(edit), wanted=wanted)
        return judge(said, Alive(wanted if case.back else case.why))

    async with unmoved(target):
        await run_all(values.CASES, run)


async def test_j11_what_it_was_sent_is_in_no_metric(target: Target):
    answer = await target.ask(request("GET", "/metrics"))
    assert answer is not None
    assert CANARY.encode() not in answer[2]


def test_there_are_five_hundred_cases():
    talks = (frames.CASES, messages.CASES, messages.BEFORE_CONNECT, values.CASES)
    groups = (*talks, upgrades.CASES, bodies.CASES, requests.CASES)
    assert sum(map(len, groups)) >= 500
    for group in groups:
        names = Counter(case.name for case in group)
        assert [name for name, count in names.items() if count > 1] == []
