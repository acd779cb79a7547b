"""What an actor was at work on when it failed: named for the log, and never given to it again."""

import hashlib
from types import TracebackType

import orjson
from attrs import frozen

from flow_backend.actors.messages.calls import Call
from flow_backend.errors import leaves
from flow_backend.values.value import JsonValue


@frozen
class Asked:
    """A query that somebody watches: its path, and its arguments as they are told apart."""

    path: str
    key: bytes


def described(message: object) -> dict[str, str]:
    """Give a message's kind and a hash of its arguments; the arguments themselves are secret."""
    if message is None:
        return {}
    told = {"message": type(message).__name__}
    call = getattr(message, "call", None)
    if isinstance(call, Call):
        told |= {"function": call.path, "arguments_hash": _hash(_encoded(call.args))}
    if isinstance(message, Asked):
        told |= {"function": message.path, "arguments_hash": _hash(message.key)}
    return told


def shown(error: BaseException) -> str:
    """Show an error by kind and place. Its text may quote arguments, which no log may hold."""
    return "; ".join(
        " < ".join([type(leaf).__name__, *_places(leaf.__traceback__)]) for leaf in leaves(error)
    )


def _places(trace: TracebackType | None) -> list[str]:
    """Give where an error was raised and through what it came, innermost first."""
    places: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        short = "/".join(code.co_filename.replace("\\", "/").split("/")[-2:])
        places.append(f"{code.co_name} ({short}:{trace.tb_lineno})")
        trace = trace.tb_next
    return places[::-1]


def _encoded(args: JsonValue) -> bytes:
    try:
        return orjson.dumps(args, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # Perhaps just this is what the actor failed at.
        return b"?"


def _hash(encoded: bytes) -> str:
    return hashlib.blake2b(encoded, digest_size=8).hexdigest()
