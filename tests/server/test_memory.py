"""The server refuses new work at its memory limit, before the kernel kills it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from flow_backend.actors.gate import Gate
from flow_backend.server.app import Server, open_server
from flow_backend.server.config import Settings
from flow_backend.server.memory import MemoryWatch, default_memory_bytes, resident_bytes
from tests.server.stand_in import StandIn, masked, raw, upgraded


def test_g_the_gate_shuts_past_the_limit_and_opens_below_it():
    watch = MemoryWatch(Gate(), 1000)

    assert [watch.decide(now) for now in (1000, 1001, 1000, 951, 950, 1000)] == [
        *(False, True, True, True, False, False)
    ]


def test_g_the_default_limit_is_less_than_the_machine_has_and_more_than_is_used():
    assert resident_bytes() < default_memory_bytes()


@asynccontextmanager
async def gated() -> AsyncGenerator[tuple[Server, Gate]]:
    gate = Gate()
    settings = Settings(port=0, linger_seconds=0.5, stop_seconds=2.0)
    async with open_server(StandIn(), settings, gate=gate) as server:
        yield server, gate


async def test_g_without_memory_a_new_connection_is_told_when_to_come_and_others_stay():
    async with gated() as (server, gate), upgraded(server) as old:
        gate.shut = True
        async with raw(server) as new:
            head = await new.read_head()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: " in head
        await old.send(masked(0x81, b"?"))
        assert await old.read_frame() == (0x81, b"?")

        gate.shut = False
        async with upgraded(server) as new:
            await new.send(masked(0x81, b"?"))
            assert await new.read_frame() == (0x81, b"?")
        assert gate.refusals == 1


async def test_g_without_memory_a_body_on_its_way_is_refused():
    async with gated() as (server, gate), raw(server) as client:
        head = b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        await client.send(head + b" " * 1000)
        gate.shut = True
        await client.send(b" " * 1000)

        answer = await client.read_head()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: " in answer.lower()


async def test_g_without_memory_a_call_on_an_open_connection_is_refused():
    """Calls that are answered directly read their body by themselves."""
    call = b'POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n{"path":"t:rich"}'
    async with gated() as (server, gate), raw(server) as client:
        for shut, status in ((False, b" 200 "), (True, b" 503 "), (False, b" 200 ")):
            gate.shut = shut
            await client.send(call)
            head = await client.read_head()
            assert status in head
            await client.read(int(head.lower().split(b"content-length: ")[1].split()[0]))


async def test_g_without_memory_a_large_message_on_its_way_is_closed_with_try_later():
    async with gated() as (server, gate), upgraded(server) as client:
        frame = masked(0x81, b"x" * 1_000_000)
        await client.send(frame[:200_000])
        gate.shut = True
        await client.send(frame[200_000:400_000])

        assert (await client.read_close())[0] == 1013


async def test_g_readiness_and_metrics_tell_that_memory_is_full():
    async with gated() as (server, gate), httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.get("/readyz")).text == "ready"
        gate.shut = True
        assert (await http.get("/readyz")).status_code == 503
        assert "flow_memory_is_full 1.0" in (await http.get("/metrics")).text
