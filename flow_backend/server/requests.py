"""Reading HTTP requests: bodies by their bounds, who asks, and what to call."""

import re
from base64 import b64decode
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final, Literal

import trio
from attrs import frozen
from starlette.requests import ClientDisconnect, Request

from flow_backend.actors.gate import Gate
from flow_backend.errors import FlowError, InvalidValue
from flow_backend.server.config import Settings
from flow_backend.sync.codec import canonical_path
from flow_backend.sync.messages import AdminToken, NoToken, Token, UserToken
from flow_backend.values.amount import VALUES_MAX, has_too_many_values
from flow_backend.values.encode import parse_json
from flow_backend.values.timestamp import CommitTs, decode_ts
from flow_backend.values.value import JsonValue

Format = Literal["convex_encoded_json", "json", "export_json"]

_FORMATS: Final[dict[str, Format]] = {
    "convex_encoded_json": "convex_encoded_json",
    "convex_json": "convex_encoded_json",
    "json": "json",
    "convex_clean_json": "json",
    "export_json": "export_json",
}
_PATH: Final = re.compile(r"[0-9A-Za-z_./:]{1,1000}")
_KEY_CHARACTERS_MAX: Final = 255
_DEPLOYMENT_PREFIX: Final = re.compile(r"[a-z-]+:(?=[^|]*\|)")


class RequestRefused(FlowError):
    """A request is answered with an HTTP error; ``code`` and the text are its body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = code


@frozen
class FunctionRequest:
    """A function that is to be called, and the form that its result is wanted in.

    ``ts`` is there if the body names one.
    """

    path: str
    args: JsonValue
    format: Format
    ts: CommitTs | None = None


async def read_body(request: Request, settings: Settings, gate: Gate) -> bytes:
    """Read a request's body, never storing more than is allowed.

    Raises: RequestRefused if it is too large (413), too slow or cut short (408), compressed (415);
        Overloaded if the server's memory is full.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestRefused(415, "UnsupportedEncoding", "Send the body uncompressed.")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > settings.body_bytes_max:
        raise _too_large(settings)
    try:
        return await _read_pieces(request, settings, gate)
    except ClientDisconnect:
        raise RequestRefused(408, "ClientDisconnect", "The client has gone.") from None


async def _read_pieces(request: Request, settings: Settings, gate: Gate) -> bytes:
    body = bytearray()
    with trio.move_on_after(settings.body_seconds):
        async with aclosing(request.stream()) as stream:
            while True:
                with trio.move_on_after(settings.body_stall_seconds) as patience:
                    piece = await anext(stream, None)
                    if piece is None:
                        return bytes(body)
                    body += piece
                if patience.cancelled_caught:
                    break
                gate.check()
                if len(body) > settings.body_bytes_max:
                    raise _too_large(settings)
    raise RequestRefused(408, "RequestTimeout", "The body of this request came too slowly.")


def _too_large(settings: Settings) -> RequestRefused:
    return RequestRefused(
        413, "MessageTooLarge", f"A body has at most {settings.body_bytes_max} bytes."
    )


def parse_object(body: bytes) -> dict[str, JsonValue]:
    """Parse a body that is one JSON object.

    Raises: RequestRefused, for more than a million values as well.
    """
    if has_too_many_values(body):
        raise RequestRefused(413, "MessageTooLarge", f"A body holds at most {VALUES_MAX} values.")
    try:
        parsed = parse_json(body)
    except InvalidValue as error:
        raise RequestRefused(400, "BadJsonBody", f"The body is no JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise RequestRefused(400, "BadJsonBody", "The body is one JSON object.")
    return parsed


def function_request(fields: dict[str, JsonValue]) -> FunctionRequest:
    """Read which function a body asks for.

    Raises: RequestRefused, naming the field that is wrong.
    Source: the HTTP API, "Function endpoints".
    """
    path = fields.get("path")
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise RequestRefused(
            400,
            "BadConvexFunctionIdentifier",
            "The field 'path' names a function as its module and its name: tasks:move.",
        )
    return FunctionRequest(
        canonical_path(path), _args(fields), _format(fields.get("format")), _ts(fields.get("ts"))
    )


def query_parameters(request: Request) -> FunctionRequest:
    """Read which query the parameters of a GET ask for.

    Raises: RequestRefused.
    """
    fields: dict[str, JsonValue] = dict(request.query_params)
    text = request.query_params.get("args")
    try:
        fields["args"] = parse_json(text) if text is not None else {}
    except InvalidValue as error:
        raise RequestRefused(400, "BadJsonArgs", f"'args' is no JSON: {error}") from None
    return function_request(fields)


def _args(fields: dict[str, JsonValue]) -> JsonValue:
    args = fields.get("args", {})
    # The JavaScript client puts the object into an array, the Python client does not.
    if isinstance(args, list) and len(args) == 1:
        args = args[0]
    if not isinstance(args, dict):
        raise RequestRefused(
            400, "InvalidArguments", "'args' is an object, or an array that holds just one."
        )
    return args


def _format(name: JsonValue) -> Format:
    if name is None:
        return "json"
    chosen = _FORMATS.get(name) if isinstance(name, str) else None
    if chosen is None:
        known = ", ".join(_FORMATS)
        raise RequestRefused(400, "BadFormat", f"The field 'format' is one of {known}.")
    return chosen


def _ts(text: JsonValue) -> CommitTs | None:
    if text is None:
        return None
    try:
        return decode_ts(text if isinstance(text, str) else "")
    except InvalidValue as error:
        raise RequestRefused(400, "BadTimestamp", f"The field 'ts' is wrong: {error}") from None


def token_of(headers: Mapping[str, str]) -> Token:
    """Read who a request says it speaks for. Nothing is checked here.

    Raises: RequestRefused for a header of another form; it never shows the header.
    Source: the HTTP API, "Authentication header".
    """
    header = headers.get("authorization")
    if header is None:
        return NoToken()
    scheme, _, value = header.strip().partition(" ")
    match scheme.lower():
        case "bearer" if value.strip():
            return UserToken(value.strip())
        case "convex" if value.strip():
            return _admin_token(value.strip())
        case _:
            raise RequestRefused(
                401,
                "Unauthenticated",
                "The header Authorization is 'Bearer <token>' or 'Convex <admin key>'.",
            )


def _admin_token(value: str) -> AdminToken:
    # It stands at the start or nowhere. To look for it further on would take the square of the
    # header's length, in which one request could hold the loop until the watchdog ends the process.
    prefix = _DEPLOYMENT_PREFIX.match(value)
    key, colon, encoded = value[prefix.end() if prefix else 0 :].partition(":")
    if not colon:
        return AdminToken(key)
    try:
        user = parse_json(b64decode(encoded, validate=True))
    except (ValueError, InvalidValue):
        user = None
    if not isinstance(user, dict):
        raise RequestRefused(
            401, "Unauthenticated", "What follows the admin key is a JSON object in base64."
        )
    return AdminToken(key, user)


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """Give the key under which a mutation runs only once, if the caller made one.

    Raises: RequestRefused if it is empty or long.
    """
    key = headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= _KEY_CHARACTERS_MAX:
        raise RequestRefused(
            400,
            "BadIdempotencyKey",
            f"The header Idempotency-Key has 1 to {_KEY_CHARACTERS_MAX} characters.",
        )
    return key
