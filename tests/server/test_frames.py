"""Frames, without sockets: what another implementation writes is read, and the other way round."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, TextMessage
from wsproto.frame_protocol import CloseReason

from flow_backend.server.frames import (
    Control,
    FrameRefused,
    MessageReader,
    Opcode,
    close_frame,
    control_frame,
    text_frame,
)
from tests.server.stand_in import masked

TEXT = st.text(max_size=300) | st.integers(0, 70_000).map("ü".__mul__)


def read_in_pieces(data: bytes, cuts: list[int], most: int = 1 << 25) -> list[bytes | Control]:
    """All that a reader makes of ``data``, when it comes cut at these places."""
    reader = MessageReader(most)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    events: list[bytes | Control] = []
    for start, end in pairwise(places):
        reader.feed(data[start:end])
        while (event := reader.next_event()) is not None:
            events.append(event)
    return events


@pytest.mark.slow
@given(st.lists(TEXT, max_size=5), st.lists(st.integers(0, 1 << 20), max_size=9))
def test_what_a_client_writes_is_read_however_it_is_cut(texts: list[str], cuts: list[int]):
    client = Connection(ConnectionType.CLIENT)
    data = b"".join(
        client.send(TextMessage(text)) + client.send(Ping(text.encode()[:125])) for text in texts
    )

    events = read_in_pieces(data, cuts)

    expected: list[bytes | Control] = []
    for text in texts:
        expected += [text.encode(), Control(Opcode.PING, text.encode()[:125])]
    assert events == expected


@given(st.binary(max_size=400), st.integers(1, 9), st.lists(st.integers(0, 1 << 20), max_size=9))
def test_a_message_in_fragments_is_put_together(raw: bytes, count: int, cuts: list[int]):
    text = raw.hex().encode()
    size = len(text) // count + 1
    parts = [text[at : at + size] for at in range(0, max(len(text), 1), size)]
    frames: list[bytes] = []
    for place, part in enumerate(parts):
        final = 0x80 if place == len(parts) - 1 else 0
        frames += [masked(final | (0 if place else 1), part), masked(0x89, b"between")]

    events = read_in_pieces(b"".join(frames), cuts)

    assert [event for event in events if isinstance(event, bytes)] == [text]


@given(st.lists(st.binary(max_size=70_000), max_size=4))
def test_what_the_server_writes_is_read_by_a_client(parts: list[bytes]):
    parts = [part.hex().encode() for part in parts]
    client = Connection(ConnectionType.CLIENT)

    client.receive_data(b"".join(text_frame(parts)))

    [event] = client.events()
    assert isinstance(event, TextMessage)
    assert event.data.encode() == b"".join(parts)


def test_long_parts_are_shared_not_copied():
    """A thousand clients that watch one query share the bytes of its result."""
    body = b"x" * 10_000

    frame = text_frame([b"prefix", body, b"]}"])

    assert any(part is body for part in frame)


def test_a_close_is_read_by_a_client():
    client = Connection(ConnectionType.CLIENT)

    client.receive_data(close_frame(1013, "TooManyConcurrentRequests"))

    [event] = client.events()
    assert isinstance(event, CloseConnection)
    assert (event.code, event.reason) == (CloseReason.TRY_AGAIN_LATER, "TooManyConcurrentRequests")


@given(st.binary(max_size=2000), st.lists(st.integers(0, 1 << 20), max_size=5))
def test_no_bytes_break_the_reader(data: bytes, cuts: list[int]):
    """It gives messages or refuses, and never keeps more than was allowed."""
    status = 1002
    events: list[bytes | Control] = []
    try:
        events = read_in_pieces(data, cuts, most=500)
    except FrameRefused as error:
        status = error.status
    assert status in (1002, 1003, 1007, 1009)
    assert all(len(event) <= 500 for event in events if isinstance(event, bytes))


def test_control_frames_are_not_masked():
    assert control_frame(Opcode.PING, b"abc") == b"\x89\x03abc"
