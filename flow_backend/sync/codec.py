"""Messages as text: reading what clients send, writing what they are sent."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import orjson

from flow_backend.errors import MalformedMessage, MessageTooLarge
from flow_backend.sync.fields import (
    Fields,
    kind_of,
    optional_string,
    optional_ts,
    string,
    u32,
    variant,
    wrong,
)
from flow_backend.sync.messages import (
    Action,
    Add,
    AdminToken,
    Arguments,
    Authenticate,
    BadArguments,
    ClientMessage,
    Connect,
    Event,
    IdentityVersion,
    ModifyQuerySet,
    Mutation,
    NoToken,
    QueryId,
    QuerySetVersion,
    Remove,
    RequestId,
    SessionId,
    Token,
    UserToken,
    Version,
)
from flow_backend.values.amount import VALUES_MAX, has_too_many_values
from flow_backend.values.timestamp import CommitTs, encode_ts
from flow_backend.values.value import JsonValue

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_COMPONENT: Final = r"(?=[0-9A-Za-z_.]*[0-9A-Za-z])[0-9A-Za-z_.]{1,64}"
_FUNCTION: Final = r"(?=_*[0-9A-Za-z])[A-Za-z_][0-9A-Za-z_]{0,63}"
_PATH: Final = re.compile(f"{_COMPONENT}(?:/{_COMPONENT})*:{_FUNCTION}")
_LONGEST_CACHED_PATH: Final = 200


def parse_client_message(data: bytes | str) -> ClientMessage:
    """Read one frame.

    Fields that the protocol does not know are passed over. Arguments of a wrong shape and a path
    that names nothing are no reason to end a session: they stay in the message, and the call fails.

    Raises: MessageTooLarge for more than a million values, MalformedMessage for whatever else is no
        message, and nothing else whatever ``data`` holds.
    Source: the sync protocol, "Client → server messages".
    """
    if len(data) > VALUES_MAX and has_too_many_values(
        data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    ):
        raise MessageTooLarge(f"A message holds at most {VALUES_MAX} values.")
    try:
        message: JsonValue = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedMessage(f"A frame is one JSON object, but this is not: {error}.") from None
    if not isinstance(message, dict):
        raise MalformedMessage(f"A frame is one JSON object, but {kind_of(message)} came.")
    return variant(message, "type", _MESSAGES)


def canonical_path(text: str) -> str:
    """Give the one spelling of a function's path: no ``.js``, and the function always named.

    ``m``, ``m:default`` and ``m.js:default`` are the same function. A text that is no path is given
    back as it is: no function is called so, and looking it up gives the ordinary error.

    Source: the sync protocol, "Path canonicalization".
    """
    return _cached_path(text) if len(text) <= _LONGEST_CACHED_PATH else _canonical_path(text)


def _canonical_path(text: str) -> str:
    module, colon, function = text.rpartition(":")
    if not colon:
        module, function = text, "default"
    path = f"{module.removesuffix('.js')}:{function}"
    return path if _PATH.fullmatch(path) else text


# An app has some hundred paths; long ones stay out, so that no client can fill the memory.
_cached_path = lru_cache(maxsize=2048)(_canonical_path)


# --- Messages


def _connect(fields: Fields) -> Connect:
    session_id = string(fields, "sessionId").lower()
    if not _UUID.fullmatch(session_id):
        raise MalformedMessage("The field 'sessionId' is a UUID with hyphens.")
    # A missing reason and an unknown one are the same; null means that the client stopped itself.
    reason = (
        optional_string(fields, "lastCloseReason") if "lastCloseReason" in fields else "unknown"
    )
    return Connect(
        session_id=SessionId(session_id),
        connection_count=u32(fields, "connectionCount"),
        last_close_reason=reason,
        max_observed_ts=optional_ts(fields, "maxObservedTimestamp"),
    )


def _modify_query_set(fields: Fields) -> ModifyQuerySet:
    modifications = fields.get("modifications")
    if not isinstance(modifications, list):
        raise wrong("modifications", "an array", modifications)
    return ModifyQuerySet(
        QuerySetVersion(u32(fields, "baseVersion")),
        QuerySetVersion(u32(fields, "newVersion")),
        tuple([_modification(one) for one in modifications]),
    )


def _modification(modification: JsonValue) -> Add | Remove:
    if not isinstance(modification, dict):
        raise wrong("modifications", "an array of objects", modification)
    return variant(modification, "type", _MODIFICATIONS)


def _add(fields: Fields) -> Add:
    return Add(
        QueryId(u32(fields, "queryId")),
        canonical_path(string(fields, "udfPath")),
        _arguments(fields),
        optional_string(fields, "journal"),
        optional_string(fields, "componentPath") or None,
    )


def _remove(fields: Fields) -> Remove:
    return Remove(QueryId(u32(fields, "queryId")))


def _mutation(fields: Fields) -> Mutation:
    return Mutation(
        RequestId(u32(fields, "requestId")),
        canonical_path(string(fields, "udfPath")),
        _arguments(fields),
        optional_string(fields, "componentPath") or None,
    )


def _action(fields: Fields) -> Action:
    return Action(
        RequestId(u32(fields, "requestId")),
        canonical_path(string(fields, "udfPath")),
        _arguments(fields),
        optional_string(fields, "componentPath") or None,
    )


def _authenticate(fields: Fields) -> Authenticate:
    base_version = IdentityVersion(u32(fields, "baseVersion"))
    return Authenticate(base_version, variant(fields, "tokenType", _TOKENS))


def _no_token(_fields: Fields) -> Token:
    return NoToken()


def _user_token(fields: Fields) -> Token:
    return UserToken(string(fields, "value"))


def _admin_token(fields: Fields) -> Token:
    name = "impersonating" if "impersonating" in fields else "acting_as"
    user = fields.get(name)
    if user is not None and not isinstance(user, dict):
        raise wrong(name, "an object or null", user)
    return AdminToken(string(fields, "value"), user)


def _event(fields: Fields) -> Event:
    return Event(string(fields, "eventType"))


_MESSAGES: Final[Mapping[str, Callable[[Fields], ClientMessage]]] = {
    "Connect": _connect,
    "ModifyQuerySet": _modify_query_set,
    "Mutation": _mutation,
    "Action": _action,
    "Authenticate": _authenticate,
    "Event": _event,
}
_MODIFICATIONS: Final[Mapping[str, Callable[[Fields], Add | Remove]]] = {
    "Add": _add,
    "Remove": _remove,
}
_TOKENS: Final[Mapping[str, Callable[[Fields], Token]]] = {
    "None": _no_token,
    "User": _user_token,
    "Admin": _admin_token,
}


def _arguments(fields: Fields) -> Arguments:
    args = fields.get("args")
    if not isinstance(args, list):
        return BadArguments(
            f"Arguments are an array that holds one object, but {kind_of(args)} came."
        )
    if len(args) != 1:
        return BadArguments(
            f"Arguments are an array that holds one object, not {len(args)} values."
        )
    only = args[0]
    if not isinstance(only, dict):
        return BadArguments(f"Arguments are an object, but {kind_of(only)} came.")
    return only


# --- Server messages

PING: Final = b'{"type":"Ping"}'


def query_updated_body(value: bytes, log_lines: Sequence[str], journal: str | None) -> bytes:
    """Write what all who watch a query are sent of its result: the text after the query id.

    ``value`` is the encoded result. The bytes end the modification, with its closing brace.
    """
    assert value
    return b'"value":%b,"logLines":%b,"journal":%b}' % (value, _lines(log_lines), _text(journal))


def query_failed_body(
    message: str, log_lines: Sequence[str], journal: str | None, error_data: bytes | None
) -> bytes:
    """Write what all who watch a query are sent of its failure: the text after the query id.

    ``error_data`` is the encoded data of an AppError, None for any other error. (Encoded None is
    an AppError as well: to a client the field's presence says so, not its value.)
    """
    return b'"errorMessage":%b,"logLines":%b,"journal":%b%b}' % (
        _text(message),
        _lines(log_lines),
        _text(journal),
        _error_data(error_data),
    )


def transition_parts(
    start: Version,
    end: Version,
    changes: Sequence[tuple[QueryId, bytes, bool]],
    removed: Sequence[QueryId],
) -> list[bytes]:
    """Write a transition around bodies that many clients share.

    Each of ``changes`` is a query, its body, and whether that is a result (else it is a failure).
    Removals stand first, so that a query id that was dropped and taken up again ends with a result.

    Returns: parts to be sent one after the other; each body among them is the object given.
    Source: the sync protocol, "Transition".
    """
    head = b'{"type":"Transition","startVersion":%b,"endVersion":%b,"modifications":[%b' % (
        _version(start),
        _version(end),
        b",".join([b'{"type":"QueryRemoved","queryId":%d}' % query_id for query_id in removed]),
    )
    parts: list[bytes] = []
    separator = b"," if removed else b""
    for query_id, body, updated in changes:
        kind = b"QueryUpdated" if updated else b"QueryFailed"
        parts += (head + separator + b'{"type":"%b","queryId":%d,' % (kind, query_id), body)
        head, separator = b"", b","
    parts.append(head + b"]}")
    return parts


def mutation_response(
    request_id: RequestId, result: bytes, ts: CommitTs, log_lines: Sequence[str]
) -> bytes:
    """Write that a mutation committed at ``ts``; ``result`` is its encoded result."""
    assert result
    return (
        b'{"type":"MutationResponse","requestId":%d,"success":true,"result":%b,"ts":%b,"logLines":%b}'
        % (request_id, result, _ts(ts), _lines(log_lines))
    )


def mutation_failed(
    request_id: RequestId, message: str, log_lines: Sequence[str], error_data: bytes | None
) -> bytes:
    """Write that a mutation did nothing; ``error_data`` as for :func:`query_failed_body`."""
    return _failed(b"MutationResponse", request_id, message, log_lines, error_data)


def action_response(request_id: RequestId, result: bytes, log_lines: Sequence[str]) -> bytes:
    """Write what an action returned, encoded."""
    assert result
    return b'{"type":"ActionResponse","requestId":%d,"success":true,"result":%b,"logLines":%b}' % (
        request_id,
        result,
        _lines(log_lines),
    )


def action_failed(
    request_id: RequestId, message: str, log_lines: Sequence[str], error_data: bytes | None
) -> bytes:
    """Write that an action failed; ``error_data`` as for :func:`query_failed_body`."""
    return _failed(b"ActionResponse", request_id, message, log_lines, error_data)


def auth_error(error: str, base_version: IdentityVersion, *, attempted: bool) -> bytes:
    """Write that a token was refused: a new one (``attempted``), or the one in force expired.

    ``base_version`` is :attr:`SyncState.auth_base_version`, from which a client tells whether the
    error is about its newest token.
    """
    return b'{"type":"AuthError","error":%b,"baseVersion":%d,"authUpdateAttempted":%b}' % (
        _text(error),
        base_version,
        b"true" if attempted else b"false",
    )


def fatal_error(error: str) -> bytes:
    """Write what ends a JavaScript client for good: for one that breaks the protocol alone."""
    return b'{"type":"FatalError","error":%b}' % _text(error)


def transition_chunks(text: bytes, transition_id: str, limit: int = 5_000_000) -> list[bytes]:
    """Cut a transition's text into messages of pieces of at most ``limit`` bytes.

    The messages go out together: any but a ping between them makes the client lose the transition.
    Only for a client with :attr:`ClientIdentity.takes_chunks`.

    Returns: the messages in order; a text within the limit is its own message.
    Source: the sync protocol, "Large transitions: TransitionChunk".
    """
    assert limit >= 4, limit  # The longest character.
    if len(text) <= limit:
        return [text]
    pieces: list[bytes] = []
    start = 0
    while start < len(text):
        stop = min(start + limit, len(text))
        while stop < len(text) and text[stop] & 0xC0 == 0x80:
            stop -= 1  # The byte continues a character, which goes whole into the next piece.
        pieces.append(text[start:stop])
        start = stop
    return [
        b'{"type":"TransitionChunk","chunk":%b,"partNumber":%d,"totalParts":%d,"transitionId":%b}'
        % (_text(piece.decode()), number, len(pieces), _text(transition_id))
        for number, piece in enumerate(pieces)
    ]


def _failed(
    kind: bytes,
    request_id: RequestId,
    message: str,
    log_lines: Sequence[str],
    error_data: bytes | None,
) -> bytes:
    return b'{"type":"%b","requestId":%d,"success":false,"result":%b,"logLines":%b%b}' % (
        kind,
        request_id,
        _text(message),
        _lines(log_lines),
        _error_data(error_data),
    )


def _error_data(error_data: bytes | None) -> bytes:
    return b"" if error_data is None else b',"errorData":%b' % error_data


def _version(version: Version) -> bytes:
    return b'{"querySet":%d,"ts":%b,"identity":%d}' % (
        version.query_set,
        _ts(version.ts),
        version.identity,
    )


# A round sends the same two timestamps to every client.
@lru_cache(maxsize=256)
def _ts(ts: CommitTs) -> bytes:
    return b'"%b"' % encode_ts(ts).encode()


def _lines(log_lines: Sequence[str]) -> bytes:
    return b"[%b]" % b",".join([_text(line) for line in log_lines])


def _text(text: str | None) -> bytes:
    try:
        return orjson.dumps(text)
    except TypeError:
        # An app's error or log line may hold half a surrogate pair, which has no UTF-8. The text is
        # for people: it goes out with a question mark rather than not at all.
        assert text is not None
        return orjson.dumps(text.encode("utf-8", "replace").decode())
