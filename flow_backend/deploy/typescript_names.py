"""Which classes TypeScript gets to see, and what they are called there."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from attrs import define, field, frozen

from flow_backend.errors import AppDefinitionError
from flow_backend.functions.describe import AppSpec, TableDescription
from flow_backend.schema.shapes import ClassShape, DocumentOf, FieldShape, Shape, parts_of

_TAKEN: Final = frozenset(
    {
        *("Api", "Internal", "Id", "Doc", "Documents", "TableNames"),
        *("Instant", "DateText", "TimeText"),
        *("FunctionReference", "PaginationOptions", "PaginationResult", "GenericId"),
        *("Array", "ArrayBuffer", "Record", "api", "internal", "anyApi"),
        *("any", "bigint", "boolean", "never", "null", "number", "object", "string"),
        *("symbol", "undefined", "unknown", "void"),
    }
)


@frozen
class ClassUse:
    """A class in one of its forms: as a client sends it, or as it comes in results."""

    key: str
    sent: bool


@frozen
class Names:
    """What stands in ``dataModel.ts``.

    A class of which a client may leave fields out has two forms; the one that is sent has the
    ending ``Input``.

    Attributes:
        classes: the name of each class in each form that is used.
        documents: the name of the documents of each table that is used.
    """

    classes: Mapping[ClassUse, str]
    documents: Mapping[str, str]


def choose_names(spec: AppSpec) -> Names:
    """Find the classes that functions and tables use, and name each as in Python.

    Names that are used twice, or taken by this file or the language, get their module in front.

    Raises: AppDefinitionError if two have the same name even then.
    """
    used = _Uses(spec)
    for function in spec.functions.values():
        used.add_fields(function.arguments, sent=True)
        used.add(function.returns, sent=False)
    for table in spec.tables:
        used.add(DocumentOf(table), sent=False)
    subjects: list[_Subject] = [
        *(_document_subject(name, used.table(name)) for name in used.documents),
        *(_class_subject(each, spec.classes[each.key]) for each in used.classes),
    ]
    counts = Counter(each.short for each in subjects)
    chosen = {
        each: each.long if counts[each.short] > 1 or each.short in _TAKEN else each.short
        for each in subjects
    }
    _refuse_doubles(chosen)
    return Names(
        {each.what: name for each, name in chosen.items() if isinstance(each.what, ClassUse)},
        {each.what: name for each, name in chosen.items() if isinstance(each.what, str)},
    )


@frozen
class _Subject:
    """A type that needs a name; ``what`` is a class or, for a document, its table."""

    what: ClassUse | str
    short: str
    long: str
    place: str


def _document_subject(table: str, described: TableDescription) -> _Subject:
    name, module = described.class_name, described.module
    return _Subject(table, name, _pascal(module) + name, f"{module}:{name}")


def _class_subject(use: ClassUse, described: ClassShape) -> _Subject:
    ending = "Input" if use.sent else ""
    inner = use.key.rpartition(":")[2].replace("<locals>", "")
    long = _pascal(described.module) + _pascal(inner)
    return _Subject(use, described.name + ending, long + ending, use.key)


def _pascal(text: str) -> str:
    """Give ``PartsMoreTasks`` for ``parts/more_tasks``."""
    words = "".join(each if each.isalnum() else " " for each in text).split()
    return "".join(word[0].upper() + word[1:] for word in words)


def _refuse_doubles(chosen: Mapping[_Subject, str]) -> None:
    first: dict[str, _Subject] = {}
    for each, name in chosen.items():
        other = first.setdefault(name, each)
        if other is not each or name in _TAKEN:
            reason = f"like {other.place}" if other is not each else "which has another meaning"
            raise AppDefinitionError(
                f"{each.place} would be called {name} in TypeScript, {reason}; rename the class"
            )


@define
class _Uses:
    """Walks from shape to shape, each once in each form."""

    spec: AppSpec
    classes: dict[ClassUse, None] = field(factory=dict[ClassUse, None], init=False)
    documents: dict[str, None] = field(factory=dict[str, None], init=False)
    _differs: Callable[[str], bool] = field(init=False)

    def __attrs_post_init__(self) -> None:
        differing = classes_with_two_forms(self.spec.classes)
        self._differs = differing.__contains__

    def table(self, name: str) -> TableDescription:
        return self.spec.tables.get(name) or self.spec.system_tables[name]

    def add_fields(self, fields: Iterable[FieldShape], *, sent: bool) -> None:
        for each in fields:
            if each.sent or not sent:
                self.add(each.shape, sent=sent)

    def add(self, shape: Shape, *, sent: bool) -> None:
        for part in parts_of(shape):
            if isinstance(part, DocumentOf):
                if part.table not in self.documents:
                    self.documents[part.table] = None
                    self.add_fields(self.table(part.table).fields, sent=False)
                continue
            use = ClassUse(part.key, sent and self._differs(part.key))
            if use not in self.classes:
                self.classes[use] = None
                self.add_fields(self.spec.classes[part.key].fields, sent=sent)


def classes_with_two_forms(classes: Mapping[str, ClassShape]) -> set[str]:
    """Give the keys of the classes that a client may send with fewer fields than results have."""
    differing = {
        key
        for key, each in classes.items()
        if any(not f.required or not f.sent for f in each.fields)
    }
    while True:
        more = {
            key
            for key, each in classes.items()
            if key not in differing and not differing.isdisjoint(_held(each))
        }
        if not more:
            return differing
        differing |= more


def _held(described: ClassShape) -> Iterator[str]:
    for each in described.fields:
        for part in parts_of(each.shape):
            if not isinstance(part, DocumentOf):
                yield part.key
