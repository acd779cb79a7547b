"""Which hooks a type has: cattrs' converter, behind a guard that refuses what it would guess."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Never

from attrs import define, field
from cattrs import Converter

from flow_backend.errors import SchemaError
from flow_backend.schema.mismatch import Hooks, Structure, Unstructure

# Beside the types that are registered here, cattrs has hooks of its own for these classes.
_BUILT_IN: Final = (str, bytes, int, float, Path)


@define
class HookTable:
    """Gives the hooks of types, made when they are first asked for.

    cattrs dispatches: a class that is registered goes first, then the families, of which the one
    that was registered last is asked first. Its own families are never reached.
    """

    _converter: Converter = field(init=False)
    _exact: set[type] = field(init=False, factory=set[type])
    # Of classes alone: cattrs' cache takes int | str for str | int, and their hooks differ.
    _structures: dict[type, Structure] = field(init=False, factory=dict[type, Structure])
    _unstructures: dict[type, Unstructure] = field(init=False, factory=dict[type, Unstructure])

    def __attrs_post_init__(self) -> None:
        self._converter = Converter()
        # It stands before the families that cattrs brings along (sets, enums, typed dicts).
        self.register_family(lambda _: True, _refuse, _refuse)

    def register(self, annotation: Any, hooks: Hooks) -> None:
        """Give a type hooks of its own. Subclasses do not have them."""
        structure, unstructure = hooks
        if annotation in {None, Any, object}:
            # cattrs takes classes alone; and all are subclasses of object, so it is none to it.
            self._converter.register_structure_hook_func(lambda t: t is annotation, structure)
            self._converter.register_unstructure_hook_func(lambda t: t is annotation, unstructure)
            return
        self._converter.register_structure_hook(annotation, structure)
        self._converter.register_unstructure_hook(annotation, unstructure)
        if isinstance(annotation, type):
            self._exact.add(annotation)

    def register_family(
        self,
        fits: Callable[[Any], bool],
        structure: Callable[[Any], Structure],
        unstructure: Callable[[Any], Unstructure],
    ) -> None:
        """Say what makes the hooks of the types that fit."""
        self._converter.register_structure_hook_factory(fits, structure)
        self._converter.register_unstructure_hook_factory(fits, unstructure)

    def get_structure_hook(self, annotation: Any) -> Structure:
        """Give what takes a decoded value to this type.

        Raises: SchemaError if the type has no form on the wire.
        """
        get, made = self._converter.get_structure_hook, self._structures
        if not isinstance(annotation, type):
            return get(annotation, cache_result=False)
        if annotation not in made:
            self._refuse_subclass(annotation)
            # A class that holds itself is asked for while it is being made: it is looked up later.
            found = cache(partial(get, annotation))
            made[annotation] = lambda value, wanted: found()(value, wanted)
            try:
                made[annotation] = get(annotation)
            except BaseException:
                del made[annotation]
                raise
        return made[annotation]

    def get_unstructure_hook(self, annotation: Any) -> Unstructure:
        """Give what takes a value of this type to its wire form.

        Raises: SchemaError if the type has no form on the wire.
        """
        get, made = self._converter.get_unstructure_hook, self._unstructures
        if not isinstance(annotation, type):
            return get(annotation, cache_result=False)
        if annotation not in made:
            self._refuse_subclass(annotation)
            found = cache(partial(get, annotation))
            made[annotation] = lambda value: found()(value)
            try:
                made[annotation] = get(annotation)
            except BaseException:
                del made[annotation]
                raise
        return made[annotation]

    def _refuse_subclass(self, cls: type) -> None:
        # To cattrs a class is what it inherits from: a datetime would be a date, an enum a string.
        if cls not in self._exact and issubclass(cls, (*_BUILT_IN, *self._exact)):
            _refuse(cls)


def _refuse(annotation: Any) -> Never:
    # Only here: what it looks at takes time to load, and an app that is right never needs it.
    from flow_backend.schema.alternatives import alternative_to
    from flow_backend.schema.families import name_of

    raise SchemaError(f"{name_of(annotation)} has no form there; {alternative_to(annotation)}")
