"""Search indexes: what a document class declares, and what ``ctx.db.search`` is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from flow_backend.errors import SchemaError
from flow_backend.records import frozen

if TYPE_CHECKING:
    from flow_backend.schema.document import Document

D = TypeVar("D", bound="Document")

TEXTS_MAX = 8
WITHIN_MAX = 16


@frozen
class BoundSearch(Generic[D]):
    """A search index of a document class: ``ctx.db.search(Task.text, "milk")``."""

    document: type[D]
    index: str


class SearchIndex:
    """Finds documents by the words in some fields of the class it stands in.

    ``texts`` are the fields that are searched; a word in an earlier one counts for more. A search
    may be kept to documents whose fields named in ``within`` equal given values.

    Like an Index it has no annotation in the class body.
    """

    def __init__(self, *texts: str, within: tuple[str, ...] = ()) -> None:
        if not texts:
            raise SchemaError('a SearchIndex names at least one field: SearchIndex("title")')
        if isinstance(within, str):
            raise SchemaError(f'within is a tuple of fields: within=("{within}",)')
        for what, names, most in (("texts", texts, TEXTS_MAX), ("within", within, WITHIN_MAX)):
            if len(names) > most:
                raise SchemaError(f"a SearchIndex has at most {most} fields as {what}")
            if len(set(names)) != len(names):
                raise SchemaError(f"a SearchIndex names each field once, not {', '.join(names)}")
        self.texts = texts
        self.within = within
        self.name = ""
        self._bound = dict[type, BoundSearch[Any]]()

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type[D]) -> BoundSearch[D]:
        bound = self._bound.get(owner)
        if bound is None:
            bound = self._bound[owner] = BoundSearch(owner, self.name)
        return bound


@frozen
class SearchDeclaration:
    """A search index as its class declares it."""

    name: str
    texts: tuple[str, ...]
    within: tuple[str, ...]
