"""Actors that begin anew in the middle of something: what is left over, and who is told."""

import pytest
from trio.testing import MockClock

from flow_backend.actors import query
from flow_backend.sync.client_identity import ClientIdentity
from flow_backend.testing.client import QueryOutcome
from flow_backend.testing.link import SimLink
from tests.actors.stage import stage
from tests.actors.test_supervision import fail_queries, fail_writer


async def test_h_no_round_comes_between_the_parts_of_what_a_session_tells_anew(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many sessions the QueryActor takes what they tell in several helpings.

    A round that knew of a session's queries, but not yet of its identity, would end the session.
    """
    monkeypatch.setattr(query, "_MESSAGES_AT_ONCE", 1)
    async with stage() as on:
        client = on.client(token="ann")
        client.subscribe("s:entries", of="a")
        await client.wait_for(lambda: client.version.identity == 1)
        await on.rest()

        fail_queries(on)
        await on.mutate(client, "s:append", token="1", to="a")

        assert client.results == {0: QueryOutcome(["1"])}
        assert client.close_codes == []


async def test_h_connections_that_have_said_nothing_outlive_the_writer(
    autojump_clock: MockClock,
) -> None:
    """When the writer fails all sessions get a round, but not one that has not said Connect."""
    async with stage() as on:
        silent = SimLink(runtime=on.runtime)
        on.nursery.start_soon(on.backend.run_session, silent, ClientIdentity("npm", "1.48.0"))
        await on.rest()

        fail_writer(on)
        await on.rest()

        assert silent.close_code is None
        assert len(on.backend.sessions) == 1
