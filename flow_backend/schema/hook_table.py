"""Which hooks a type has: rules, of which the first that fits decides.

It is not cattrs' dispatch, whose own hooks for str, int and their like go before all predicates,
and for subclasses, too: a datetime would be a date, and an id of any table a string.
"""

from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from flow_backend.errors import SchemaError
from flow_backend.schema.mismatch import Hooks, Structure, Unstructure


@frozen
class Rule:
    """For the types that fit: what makes their hooks."""

    fits: Callable[[Any], bool]
    structure: Callable[[Any], Structure]
    unstructure: Callable[[Any], Unstructure]


@define
class HookTable:
    """Gives the hooks of types, made when they are first asked for."""

    exact: dict[Any, Hooks] = field(factory=dict[Any, Hooks])
    rules: list[Rule] = field(factory=list[Rule])
    # Of classes alone: int | str equals str | int, and their hooks are not the same.
    _structure: dict[type, Structure | None] = field(factory=dict[type, Structure | None])
    _unstructure: dict[type, Unstructure | None] = field(factory=dict[type, Unstructure | None])

    def get_structure_hook(self, annotation: Any) -> Structure:
        """Give what takes a decoded value to this type.

        Raises: SchemaError if the type has no form on the wire.
        """
        if (hooks := self._exact(annotation)) is not None:
            return hooks[0]
        if not isinstance(annotation, type):
            return self._rule(annotation).structure(annotation)
        made = self._structure
        if annotation not in made:
            made[annotation] = None
            try:
                made[annotation] = self._rule(annotation).structure(annotation)
            except BaseException:
                del made[annotation]
                raise
        # A class that holds itself is asked for while it is being made: it is looked up later.
        return made[annotation] or (lambda value, wanted: _there(made[annotation])(value, wanted))

    def get_unstructure_hook(self, annotation: Any) -> Unstructure:
        """Give what takes a value of this type to its wire form.

        Raises: SchemaError if the type has no form on the wire.
        """
        if (hooks := self._exact(annotation)) is not None:
            return hooks[1]
        if not isinstance(annotation, type):
            return self._rule(annotation).unstructure(annotation)
        made = self._unstructure
        if annotation not in made:
            made[annotation] = None
            try:
                made[annotation] = self._rule(annotation).unstructure(annotation)
            except BaseException:
                del made[annotation]
                raise
        return made[annotation] or (lambda value: _there(made[annotation])(value))

    def _exact(self, annotation: Any) -> Hooks | None:
        try:
            return self.exact.get(annotation)
        except TypeError:  # It has no hash, such as Annotated[str, []].
            return None

    def _rule(self, annotation: Any) -> Rule:
        for rule in self.rules:
            if rule.fits(annotation):
                return rule
        raise SchemaError(f"{annotation!r} has no form on the wire")


def _there(hook: Any) -> Any:
    assert hook is not None, "a hook was called while it was being made"
    return hook
