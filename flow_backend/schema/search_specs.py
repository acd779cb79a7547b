"""Search indexes of a document class, checked and read into what storage must know."""

import re
from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from flow_backend.errors import SchemaError
from flow_backend.schema.defaults import ToWire, check_indexable
from flow_backend.schema.families import is_union
from flow_backend.schema.table import SearchSpec

if TYPE_CHECKING:
    from flow_backend.schema.document import Document

_SEARCHES_MAX: Final = 4
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def search_specs(
    cls: "type[Document]", types: Mapping[str, Any], taken: set[str], to_wire: ToWire
) -> tuple[SearchSpec, ...]:
    """Read the search indexes of a class; ``taken`` are the names of its other indexes.

    Raises: SchemaError that says what to change.
    """
    if len(cls.__searches__) > _SEARCHES_MAX:
        raise SchemaError(
            f"{cls.__name__}: has {len(cls.__searches__)} search indexes; {_SEARCHES_MAX} is the "
            "most. One index can search several fields"
        )
    specs: list[SearchSpec] = []
    for search in cls.__searches__:
        where = f"{cls.__name__}.{search.name}"
        if _NAME.fullmatch(search.name) is None:
            raise SchemaError(
                f"{where}: the name must be 1 to 64 letters, digits and underscores, a letter first"
            )
        for name in (*search.texts, *search.within):
            if name not in types:
                raise SchemaError(
                    f"{where}: the search index names the field {name!r}, which {cls.__name__} "
                    f"does not have; its fields are {', '.join(types)}"
                )
        for name in search.within:
            check_indexable(types[name], name, where, to_wire)
        for name in search.texts:
            if not is_text(types[name]):
                raise SchemaError(
                    f"{where}: the field {name!r} holds no text: a search index is over fields of "
                    "type str, str | None, tuple[str, ...] or list[str]; others go in within=(…)"
                )
        if any(search.texts == other.texts for other in specs):
            raise SchemaError(f"{where}: has the same texts as another search index; keep one")
        specs.append(SearchSpec(search.name, search.texts, search.within))
    names = [*taken, *(spec.name for spec in specs)]
    if len({name.lower() for name in names}) < len(names):
        raise SchemaError(f"{cls.__name__}: two indexes have names that differ only in case")
    return tuple(specs)


def is_text(annotation: Any) -> bool:
    """Say whether a search index can be over a field of this type."""
    members = get_args(annotation) if is_union(annotation) else (annotation,)
    kinds = [kind for kind in members if kind is not NoneType]
    return bool(kinds) and all(kind is str or _is_texts(kind) for kind in kinds)


def _is_texts(kind: Any) -> bool:
    args = get_args(kind)
    if get_origin(kind) is tuple:
        return len(args) == 2 and args[0] is str and args[1] is Ellipsis
    return get_origin(kind) is list and args[0] is str
