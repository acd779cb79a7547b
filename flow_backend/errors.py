"""Every error that the backend raises, in one tree; each has a code that the client may see."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, cast


class FlowError(Exception):
    """The root. A shipped ``code`` never changes: apps and tools match on it."""

    code: ClassVar[str] = "InternalServerError"


class RemoteProtocolError(FlowError):
    """A client broke the protocol; its session ends."""

    code = "ProtocolError"


class MalformedMessage(RemoteProtocolError):
    """A frame is no JSON, or no message that the protocol has."""

    code = "WSMessageInvalidJson"


class BaseVersionMismatch(RemoteProtocolError):
    """A change of the query set does not start where the last one ended."""

    code = "BaseVersionMismatch"


class MessageTooLarge(RemoteProtocolError):
    """A frame or body is larger than the configured bound."""

    code = "MessageTooLarge"


class LocalProtocolError(FlowError):
    """The server itself is about to break the protocol: a bug of ours, never the client's."""

    code = "InternalServerError"


class InvalidValue(FlowError):
    """A value cannot be stored or sent: of no known type, too large, too deep, badly encoded."""

    code = "InvalidValue"


class InvalidId(FlowError):
    """A string is no document id, or one of another table."""

    code = "InvalidId"


class SchemaError(FlowError):
    """A declaration of the app is wrong; the message says in which class and what to do."""

    code = "SchemaDefinitionError"


class AppDefinitionError(FlowError):
    """The app package cannot be served; the message says file, line and what to do."""

    code = "AppDefinitionError"


class FunctionError(FlowError):
    """A call failed, and running it again on the same data would fail again."""

    code = "FunctionError"


class AppError(FunctionError):
    """The app says no; ``data`` reaches the client whole, also in production.

    It is Convex's ``ConvexError``. ``data`` is any value that goes on the wire: a sentence, or an
    object with a code that the client's program understands.
    """

    code = "AppError"

    def __init__(self, data: object) -> None:
        super().__init__(data)
        self.data = data


class UnknownFunction(FunctionError):
    """There is no such function for this caller."""

    code = "FunctionNotFound"


class WrongKind(FunctionError):
    """A function was called as another kind than it is."""

    code = "WrongFunctionKind"


class InvalidArguments(FunctionError):
    """Arguments do not fit the function's annotations."""

    code = "InvalidArgs"


class InvalidResult(FunctionError):
    """A function returned what its annotation does not allow."""

    code = "InvalidReturnValue"


class InvalidCall(FunctionError):
    """A function called another in a way that is not allowed."""

    code = "InvalidFunctionCall"


class FailedCall(FunctionError):
    """A function that an action called has failed; the message is what a client would be told."""

    code = "FunctionError"


class LimitExceeded(FunctionError):
    """A call went past a limit; the message names it and by how much."""

    code = "LimitExceeded"


class InvalidScheduledFunction(FunctionError):
    """What is to be scheduled is no mutation or action of the app; or no job has such an id."""

    code = "InvalidScheduledFunction"


class InvalidScheduledFunctionDelay(FunctionError):
    """A job is to run at no instant, or at one that is too far away."""

    code = "InvalidScheduledFunctionDelay"


class InvalidTime(FunctionError):
    """The clock was asked about no instant, or in a time zone or granularity that there is not."""

    code = "InvalidTime"


class TooManyFunctionsScheduled(LimitExceeded):
    """One mutation schedules more jobs than it may."""

    code = "TooManyFunctionsScheduled"


class ScheduledFunctionsArgumentsTooLarge(LimitExceeded):
    """The arguments of the jobs that one mutation schedules are too large together."""

    code = "ScheduledFunctionsArgumentsTooLarge"


class TookServerDown(FunctionError):
    """This call has ended the whole server twice, so for a while it is not run again."""

    code = "TookServerDown"


class AddressRefused(FunctionError):
    """An action called an address that is not public, and that nobody allowed."""

    code = "AddressRefused"


class RequestBodyError(FunctionError):
    """The body of an HTTP request is too large, too slow, cut short, or not what was expected.

    ``status`` is what the client is told, if the route does not say otherwise.
    """

    code = "BadRequestBody"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class WebhookRejected(FunctionError):
    """A request says it is a webhook, but is not signed, not signed rightly, or too old."""

    code = "WebhookRejected"


class DocumentError(FunctionError):
    """A write does not fit: no such document, no such table, against the schema."""

    code = "DocumentError"


class InvalidEnvironment(FunctionError):
    """An environment variable is missing, of another type than the app declares, or too large."""

    code = "InvalidEnvironment"


class StillReferenced(FunctionError):
    """A document cannot be deleted, since another one refers to it by a reference that restricts.

    The message names both.
    """

    code = "StillReferenced"


class InvalidRange(FunctionError):
    """A scan asks for a range that its index does not have."""

    code = "InvalidIndexRange"


class InvalidSearch(FunctionError):
    """A search asks for what its index cannot give."""

    code = "InvalidSearch"


class InvalidCursor(FunctionError):
    """A page's cursor belongs to another query, or to none."""

    code = "InvalidCursor"


class SnapshotTooOld(FlowError):
    """A timestamp is asked for that the server no longer has."""

    code = "SnapshotTooOld"


class Overloaded(FlowError):
    """A bound was reached; the same request may succeed later."""

    code = "TooManyConcurrentRequests"


class StorageError(FlowError):
    """The writer does not know what reached the disk. Nobody mends it: the process ends."""

    code = "InternalServerError"


class NotCommitted(FlowError):
    """A batch was rolled back by the disk; nothing of it happened, and it may be sent again."""

    code = "NotCommitted"


class StartError(FlowError):
    """The server cannot start; the message says why and what to do.

    ``exit_code`` is that of the process (73 cannot create, 65 data is damaged, 70 internal).
    """

    code = "StartError"

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class AuthRejected(FlowError):
    """A token was looked at and refused."""

    code = "Unauthenticated"

    def __init__(self, message: str, code: str = "Unauthenticated") -> None:
        super().__init__(message)
        self.reason = code


class AuthUnavailable(FlowError):
    """A token could not be checked, since the issuer's keys are out of reach; try again."""

    code = "AuthProviderDiscoveryFailed"


class SwitchRefused(FlowError):
    """The database cannot be brought to another schema; the text says what does not fit."""

    code = "SwitchRefused"


class CheckFailed(FlowError):
    """Stored documents could not be checked against a new schema; nothing has changed."""

    code = "CheckFailed"


class AdminKeysError(FlowError):
    """The file of the admin keys cannot be used, or a key not made or found; the text says why."""

    code = "AdminKeysError"


class SqlRefused(FlowError):
    """A statement of plain SQL cannot be run or took too long; the text says what to do."""

    code = "SqlRefused"


class ClientError(FlowError):
    """What the Python client raises, beside the app's own :class:`AppError`."""

    code = "ClientError"


class FunctionFailed(ClientError):
    """A function failed on the server; the message is the server's, word for word.

    ``path`` is the function's.
    """

    code = "FunctionFailed"

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class ConnectionLost(ClientError):
    """The connection was lost while an action ran: nobody knows whether it came to its end."""

    code = "ConnectionLost"


class ClientClosed(ClientError):
    """The client was closed before the call had its answer."""

    code = "ClientClosed"


class ServerRefused(ClientError):
    """The server ended this client for good; the message is the server's."""

    code = "ServerRefused"


class ImportRefused(FlowError):
    """A file cannot be imported, and nothing was changed.

    ``problems`` are the first things that do not fit, each in words with its place in the file;
    ``count`` says how many there are.
    """

    code = "ImportRefused"

    def __init__(self, message: str, problems: Sequence[str] = (), count: int = 0) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        self.count = max(count, len(self.problems))

    @property
    def text(self) -> str:
        """All of it, a problem a line."""
        more = self.count - len(self.problems)
        last = [f"... and {more} more"] if more else []
        return "\n".join([str(self), *self.problems, *last])


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Give the errors of a group, however deep; one that is no group by itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from leaves(each)
    else:
        yield error
