"""The load counts what a server sends, however the bytes are cut."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.wire import LoadError, Peer, Writer, client_frame
from flow_backend.server.frames import text_frame
from flow_backend.sync.codec import mutation_response, transition_parts
from flow_backend.sync.messages import IdentityVersion, QueryId, QuerySetVersion, RequestId, Version
from flow_backend.values.timestamp import NO_COMMIT, CommitTs


def _version(ts: int) -> Version:
    return Version(query_set=QuerySetVersion(1), identity=IdentityVersion(0), ts=CommitTs(ts))


def _transition(ts: int, body_bytes: int) -> bytes:
    body = b'"value":"%b","logLines":[],"journal":null}' % (b"x" * body_bytes)
    changes = [(QueryId(0), body, True)]
    return b"".join(text_frame(transition_parts(_version(NO_COMMIT), _version(ts), changes, [])))


@given(
    frames=st.lists(st.tuples(st.integers(1, 2**40), st.integers(0, 70_000)), max_size=4),
    cuts=st.lists(st.integers(1, 3_000), max_size=20),
)
def test_transitions_are_counted_whole(frames: list[tuple[int, int]], cuts: list[int]) -> None:
    """A frame that has arrived in part counts as nothing; the timestamp shown is the last one."""
    stream = b"".join(_transition(ts, body_bytes) for ts, body_bytes in frames)
    with socket.socket() as connection:
        peer = Peer(connection)

        for cut in cuts:
            peer.feed(memoryview(stream[:cut]))
            stream = stream[cut:]
        if stream:
            peer.feed(memoryview(stream[:-1]))
            assert peer.transitions < len(frames)
            peer.feed(memoryview(stream[-1:]))

        assert peer.transitions == len(frames)
        assert peer.ts == (frames[-1][0] if frames else 0)


def test_an_answer_carries_its_timestamp() -> None:
    """What is compared with the transitions is the timestamp of the response."""
    with socket.socket() as connection:
        writer = Writer(connection)

        for frame in text_frame([mutation_response(RequestId(0), b'"done"', CommitTs(77), ())]):
            writer.feed(memoryview(frame))

        assert (writer.answers, writer.answer_ts, writer.result) == (1, 77, "done")


def test_a_close_voids_the_measurement() -> None:
    """A server that throws clients out has fewer to serve: that must not look fast."""
    with socket.socket() as connection:
        peer = Peer(connection)

        with pytest.raises(LoadError, match="closed"):
            peer.feed(memoryview(b"\x88\x04\x03\xf3no"))


def test_masking_with_zero_leaves_the_payload() -> None:
    """The load's frames are legal, and cost it no masking."""
    assert client_frame(0x81, b"abc") == b"\x81\x83\0\0\0\0abc"
