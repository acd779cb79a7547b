"""What is told of an error that ended a call, to its caller and to the log."""

from types import TracebackType
from typing import Final

from flow_backend.errors import AppError, FlowError
from flow_backend.schema.plain_names import plain_names

_FRAMES_SHOWN: Final = 10
_BASE: Final = "flow_backend."


def uncaught(error: BaseException) -> str:
    """Print an error as the client's console shows it, with the app's own lines of the stack."""
    try:
        said = plain_names(str(error))
    except Exception as worse:  # The error's own __str__ is the app's, and at fault.
        said = f"(it cannot be printed: {type(worse).__name__})"
    if isinstance(error, FlowError) and not isinstance(error, AppError):
        first = said
    else:
        first = f"Uncaught {_kind(error)}: {said}"
    # A lone surrogate has no place on the wire.
    return _with_frames(first.encode(errors="replace").decode(), error)


def wordless(error: BaseException) -> str:
    """Print an error without its own words, which may quote arguments and documents."""
    return _with_frames(_kind(error), error)


def _kind(error: BaseException) -> str:
    return "ConvexError" if isinstance(error, AppError) else type(error).__name__


def _with_frames(first: str, error: BaseException) -> str:
    frames = [f"    {frame}" for frame in app_frames(error.__traceback__)]
    return "\n".join([first, *frames])


def app_frames(trace: TracebackType | None) -> list[str]:
    """Give the innermost frames of a traceback that are the app's, innermost first."""
    found: list[str] = []
    while trace is not None:
        frame = trace.tb_frame
        if not str(frame.f_globals.get("__name__", "")).startswith(_BASE):
            code = frame.f_code
            short = "/".join(code.co_filename.replace("\\", "/").split("/")[-2:])
            found.append(f"at {code.co_name} ({short}:{trace.tb_lineno})")
        trace = trace.tb_next
    return found[: -_FRAMES_SHOWN - 1 : -1]
