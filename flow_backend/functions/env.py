"""The app's environment: what differs from server to server, declared, typed, and set by admins."""

import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, Protocol, Self, cast

from flow_backend.errors import AppDefinitionError, InvalidEnvironment
from flow_backend.records import frozen

NAME_CHARACTERS_MAX: Final = 40
VALUE_BYTES_MAX: Final = 8192
VARIABLES_MAX: Final = 100

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_NO_DEFAULT: Final = object()


class HasEnv(Protocol):
    """Any ``ctx``."""

    @property
    def env(self) -> Mapping[str, str]:
        """All variables, as texts."""
        ...


class Environment:
    """What an app declares in its ``env.py``: a subclass, with an annotation for each variable.

    ::

        class Env(Environment):
            RATES_KEY: str
            RETRIES: int = 3

    ``Env.of(ctx).RETRIES`` is an int. A variable is a ``str``, ``int``, ``float``, ``bool`` or a
    ``Literal`` of texts; one without a default must be set. A version of the app whose variables
    are missing, or of another type, is not deployed.
    """

    __taken__: ClassVar[tuple[Mapping[str, str], Any] | None] = None

    @classmethod
    def of(cls, ctx: HasEnv) -> Self:
        """Give the variables of a call. Raises: InvalidEnvironment if one is missing or wrong."""
        env, taken = ctx.env, cls.__taken__
        # One mapping serves all calls until a variable is changed.
        if taken is not None and taken[0] is env:
            return cast("Self", taken[1])
        made = cls()
        for variable in variables_of(cls):
            setattr(made, variable.name, variable.take(env))
        cls.__taken__ = (env, made)
        return made


@frozen
class Variable:
    """A variable that an app declares.

    Attributes:
        choices: the only texts that it may be, if it is a Literal.
        default: what it is if it is not set; must be set if ``is_required``.
    """

    name: str
    kind: type[str] | type[int] | type[float] | type[bool]
    choices: tuple[str, ...]
    default: object
    is_required: bool

    def take(self, env: Mapping[str, str]) -> object:
        """Give its value. Raises: InvalidEnvironment, which does not quote it: it may be secret."""
        text = env.get(self.name)
        if text is None:
            if self.is_required:
                raise InvalidEnvironment(
                    f"The environment variable {self.name} is not set: `flow env set {self.name}`."
                )
            return self.default
        try:
            return self._parse(text)
        except ValueError:
            raise InvalidEnvironment(
                f"The environment variable {self.name} is {self.expected}, and its value is none."
            ) from None

    def _parse(self, text: str) -> object:
        if self.choices:
            if text not in self.choices:
                raise ValueError
            return text
        if self.kind is bool:
            lower = text.strip().lower()
            if lower not in _TRUE | _FALSE:
                raise ValueError
            return lower in _TRUE
        return self.kind(text)

    @property
    def expected(self) -> str:
        """What it may be, in words."""
        if self.choices:
            return "one of " + ", ".join(map(repr, self.choices))
        return {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}[
            self.kind
        ]


def variables_of(declared: type[Environment]) -> Sequence[Variable]:
    """Give what a class declares.

    Raises: AppDefinitionError for a name or a type that no variable can have.
    """
    found: list[Variable] = []
    for name, annotation in typing.get_type_hints(declared).items():
        if name.startswith("__"):
            continue
        where = f"{declared.__module__}.{declared.__qualname__}.{name}"
        if flaw := name_flaw(name):
            raise AppDefinitionError(f"{where}: {flaw}")
        kind, choices, is_optional = _kind_of(annotation, where)
        default = getattr(declared, name, None if is_optional else _NO_DEFAULT)
        found.append(Variable(name, kind, choices, default, default is _NO_DEFAULT))
    return found


def _kind_of(annotation: Any, where: str) -> tuple[Any, tuple[str, ...], bool]:
    parts: list[Any] = [annotation]
    if typing.get_origin(annotation) in {types.UnionType, typing.Union}:
        parts = list(typing.get_args(annotation))
    kinds = [part for part in parts if part is not types.NoneType]
    [kind] = kinds if len(kinds) == 1 else [None]
    is_optional = len(kinds) < len(parts)
    if kind in {str, int, float, bool}:
        return kind, (), is_optional
    choices: tuple[Any, ...] = typing.get_args(kind)
    if typing.get_origin(kind) is Literal and all(isinstance(each, str) for each in choices):
        return str, choices, is_optional
    raise AppDefinitionError(
        f"{where}: an environment variable is a str, int, float, bool or a Literal of texts, or "
        f"one of these or None; not {annotation!r}. Take a str and parse it."
    )


def env_problems(declared: type[Environment] | None, env: Mapping[str, str]) -> Sequence[str]:
    """Say which declared variables are missing or wrong. Values are not quoted."""
    problems: list[str] = []
    for variable in variables_of(declared) if declared is not None else ():
        try:
            variable.take(env)
        except InvalidEnvironment as error:
            problems.append(str(error))
    return problems


def name_flaw(name: str) -> str | None:
    """Say what is wrong with a variable's name, None if nothing is."""
    if len(name) > NAME_CHARACTERS_MAX or _NAME.fullmatch(name) is None:
        return (
            f"{name[:80]!r} is no name of an environment variable: those are letters, digits and "
            f"underscores, with a letter first, and at most {NAME_CHARACTERS_MAX} of them"
        )
    return None


def changed_env(env: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Give the variables after a change; None takes one away.

    Raises: InvalidEnvironment for a bad name, or past a limit.
    """
    new = dict(env)
    for name, value in changes.items():
        if flaw := name_flaw(name):
            raise InvalidEnvironment(f"{flaw}.")
        if value is None:
            new.pop(name, None)
            continue
        size = len(value.encode(errors="surrogatepass"))
        if size > VALUE_BYTES_MAX:
            raise InvalidEnvironment(
                f"The value of {name} has {size} bytes; an environment variable has at most "
                f"{VALUE_BYTES_MAX}."
            )
        new[name] = value
    if len(new) > VARIABLES_MAX:
        raise InvalidEnvironment(
            f"There would be {len(new)} environment variables; there are at most {VARIABLES_MAX}."
        )
    return new
