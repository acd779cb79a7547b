"""Functions of an app: queries, mutations and actions, as their decorators make them."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, TypeVar, overload

from flow_backend.functions.retry import Retry

if TYPE_CHECKING:
    from flow_backend.functions.context import ActionCtx, MutationCtx, QueryCtx

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Kind(Enum):
    """What a function may do; the value is how error messages name it."""

    QUERY = "Query"
    MUTATION = "Mutation"
    ACTION = "Action"


class Function(Generic[P, R_co]):
    """A function that clients or other functions call by its path, such as ``tasks:move``.

    ``P`` and ``R_co`` are only for type checkers: a client's call is checked against the very
    function that runs on the server. ``path`` is set when the app is loaded.
    """

    kind: ClassVar[Kind]

    def __init__(self, call: Callable[..., Any], name: str | None, internal: bool) -> None:
        self.call = call
        self.name = name or call.__name__
        self.internal = internal
        self.path = ""

    def __repr__(self) -> str:
        return f"<{self.kind.value.lower()} {self.path or self.name}>"


def path_of(function: Function[..., Any]) -> str:
    """Give a function's path, also where no app is loaded, as in a client.

    Without an app it follows from the module, of which the first part is the package's name.
    """
    if function.path:
        return function.path
    module = function.call.__module__.partition(".")[2].replace(".", "/")
    return f"{module}:{function.name}"


class Query(Function[P, R_co]):
    """Reads, and is run again when what it read has changed."""

    kind = Kind.QUERY


class Mutation(Function[P, R_co]):
    """Reads and writes in one transaction."""

    kind = Kind.MUTATION


class Action(Function[P, R_co]):
    """Does what reaches out of the database; may call queries and mutations.

    ``retry`` says that it may safely run again after a failure, and how often.
    """

    kind = Kind.ACTION
    retry: Retry | None = None


QueryCall = Callable[Concatenate["QueryCtx", P], R]
MutationCall = Callable[Concatenate["MutationCtx", P], R]
ActionCall = Callable[Concatenate["ActionCtx", P], Awaitable[R]]


@overload
def query(call: QueryCall[P, R], /) -> Query[P, R]: ...
@overload
def query(*, name: str) -> Callable[[QueryCall[P, R]], Query[P, R]]: ...
def query(call: QueryCall[P, R] | None = None, /, *, name: str | None = None) -> Any:
    """Make a function a query. ``name`` is for one whose own name would hide a built-in."""
    return _decorate(Query, call, name, internal=False)


@overload
def internal_query(call: QueryCall[P, R], /) -> Query[P, R]: ...
@overload
def internal_query(*, name: str) -> Callable[[QueryCall[P, R]], Query[P, R]]: ...
def internal_query(call: QueryCall[P, R] | None = None, /, *, name: str | None = None) -> Any:
    """Make a function a query that only the server's own functions may call."""
    return _decorate(Query, call, name, internal=True)


@overload
def mutation(call: MutationCall[P, R], /) -> Mutation[P, R]: ...
@overload
def mutation(*, name: str) -> Callable[[MutationCall[P, R]], Mutation[P, R]]: ...
def mutation(call: MutationCall[P, R] | None = None, /, *, name: str | None = None) -> Any:
    """Make a function a mutation: all that it writes is committed together, or not at all."""
    return _decorate(Mutation, call, name, internal=False)


@overload
def internal_mutation(call: MutationCall[P, R], /) -> Mutation[P, R]: ...
@overload
def internal_mutation(*, name: str) -> Callable[[MutationCall[P, R]], Mutation[P, R]]: ...
def internal_mutation(call: MutationCall[P, R] | None = None, /, *, name: str | None = None) -> Any:
    """Make a function a mutation that only the server's own functions may call."""
    return _decorate(Mutation, call, name, internal=True)


@overload
def action(call: ActionCall[P, R], /) -> Action[P, R]: ...
@overload
def action(
    *, name: str | None = None, retry: Retry | None = None
) -> Callable[[ActionCall[P, R]], Action[P, R]]: ...
def action(
    call: ActionCall[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    retry: Retry | None = None,
) -> Any:
    """Make a trio coroutine an action.

    ``retry`` is for one that may safely run more than once: without it a failure is final.
    """
    return _decorate(Action, call, name, internal=False, retry=retry)


@overload
def internal_action(call: ActionCall[P, R], /) -> Action[P, R]: ...
@overload
def internal_action(
    *, name: str | None = None, retry: Retry | None = None
) -> Callable[[ActionCall[P, R]], Action[P, R]]: ...
def internal_action(
    call: ActionCall[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    retry: Retry | None = None,
) -> Any:
    """Make a trio coroutine an action that only the server's own functions may call."""
    return _decorate(Action, call, name, internal=True, retry=retry)


def _decorate(
    kind: type[Function[..., Any]],
    call: Callable[..., Any] | None,
    name: str | None,
    internal: bool,
    retry: Retry | None = None,
) -> Any:
    def wrap(call: Callable[..., Any]) -> Function[..., Any]:
        made = kind(call, name, internal)
        if isinstance(made, Action):
            made.retry = retry
        return made

    return wrap if call is None else wrap(call)
