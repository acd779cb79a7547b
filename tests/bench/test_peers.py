"""The load understands what the peers send, however the bytes are cut."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fanout import Audience, Watcher
from bench.peers.contenders import BoardCrew, BoardWatcher, EventReader
from bench.wire import LoadError
from flow_backend.server.frames import text_frame

BOARDS = b"".join(
    b"".join(text_frame([b'{"v":%d,"tasks":[%b]}' % (version, b"1," * 300 + b"1")]))
    for version in (7, 8)
)
EVENT = b'id:abc\nevent:tasks/*\ndata:{"action":"update","record":{"move":%d,"rank":1}}\n\n'
EVENTS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3c\r\nid:x\nevent:PB_CONNECT\n"
    b'data:{"clientId":"x7"}\n\n\r\n' + b"4d\r\n" + EVENT % 8 + b"\r\n4d\r\n" + EVENT % 7
)


def _feed(watcher: Watcher, stream: bytes, cuts: list[int]) -> None:
    for cut in cuts:
        watcher.feed(memoryview(stream[:cut]))
        stream = stream[cut:]
    watcher.feed(memoryview(stream))


@given(cuts=st.lists(st.integers(1, 400), max_size=6))
def test_boards_and_events_are_counted_whole(cuts: list[int]) -> None:
    """A peer whose answers were counted twice, or not at all, would be compared unfairly."""
    with socket.socket() as connection:
        board, events = (kind(connection, Audience()) for kind in (BoardWatcher, EventReader))

        _feed(board, BOARDS, cuts)
        _feed(events, EVENTS, cuts)

        assert (board.transitions, board.ts) == (2, 8)
        # PocketBase has no order between records: the newest number counts.
        assert (events.transitions, events.ts, events.client_id) == (2, 8, "x7")


def test_an_answer_of_a_peer_is_taken_and_a_failure_voids_the_measurement() -> None:
    taken: list[object] = []
    with socket.socket() as connection:
        crew = BoardCrew(connection, taken.append)

        for part in text_frame([b'{"id":0,"v":12}']):
            crew.feed(memoryview(part))
        with pytest.raises(LoadError):
            crew.feed(memoryview(b"".join(text_frame([b'{"error":"gone"}']))))

        assert (crew.answers, crew.answer_ts, taken) == (1, 12, [crew])
