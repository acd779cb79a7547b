"""Search indexes in the file: one FTS5 table each, written with the rows, and the rank of a row.

The index keeps no text of its own. Beside the columns of words it has one of words that stand for
the values of ``within``, so that a search of one board never walks through the others.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol, cast

import orjson

from flow_backend.errors import DocumentError, InvalidRange, InvalidValue
from flow_backend.schema.table import SearchSpec, TableSpec, WireDocument
from flow_backend.storage.base import SEARCHED_MAX, SearchBounds, Term
from flow_backend.storage.connection import Connection, Cursor
from flow_backend.storage.scan import Statement, quote
from flow_backend.storage.words import FORMAT, TOKENIZER, SearchSource, source_of, spaced

RANK: Final = "flow_rank"
_WITHIN: Final = "w"
_PIECE_ROWS: Final = 1_000
_LONG_WORDS: Final = 200.0
"""In a field of this many words a hit counts for half as much as in a very short one."""


class StoredSearch:
    """The SQL of one search index."""

    def __init__(self, spec: TableSpec, search: SearchSpec) -> None:
        self.spec = search
        table = fts_name(spec.name, search.name)
        columns = [f"c{place}" for place in range(len(search.texts))]
        self._texts = " ".join(columns)
        self.create_sql = (
            f"CREATE VIRTUAL TABLE {table} USING fts5({', '.join([*columns, _WITHIN])}, "
            f"content='', contentless_delete=1, prefix='2 3', tokenize='{' '.join(TOKENIZER)}')"
        )
        self.drop_sql = f"DROP TABLE IF EXISTS {table}"
        self.write_sql = (
            f"INSERT OR REPLACE INTO {table} (rowid, {', '.join([*columns, _WITHIN])}) "  # noqa: S608  # Quoted names of the schema, here and below.
            f"VALUES (?{', ?' * (len(columns) + 1)})"
        )
        self.delete_sql = f"DELETE FROM {table} WHERE rowid = ?"  # noqa: S608
        self.clear_sql = f"INSERT INTO {table} ({table}) VALUES ('delete-all')"  # noqa: S608
        # The inner LIMIT keeps SQLite from merging the two: the rank is the index's to give. No
        # field has a name with an underscore in front, so that these names mean one thing.
        self._find_sql = (
            f"SELECT _found FROM (SELECT rowid AS _found, {RANK}({table}, ?) AS _score "  # noqa: S608
            f"FROM {table} WHERE {table} MATCH ? ORDER BY rowid DESC LIMIT {SEARCHED_MAX}) "
            f"JOIN {quote(spec.name)} ON _rowid = _found "
            "ORDER BY _score DESC, _creationTime DESC, _found DESC LIMIT ?"
        )

    def source(self, document: WireDocument) -> SearchSource:
        """Give what a document puts into the index.

        Raises: InvalidValue for NaN in a field of ``within``.
        """
        return source_of(self.spec, document)

    def write(self, cursor: Cursor, rowid: int, source: SearchSource) -> None:
        """Put a row's words into the index, in the place of those that it had."""
        cursor.execute(self.write_sql, (rowid, *entry_of(source)))

    @property
    def staged(self) -> tuple[str, ...]:
        """The quoted names that the parts of an entry have in a staging file."""
        parts = len(self.spec.texts) + 1
        return tuple(quote(f"{self.spec.name}:{part}") for part in range(parts))

    def take_sql(self, table: str, staged: str) -> str:
        """Give the statement that adds the entries of all rows that a staging file brought."""
        write, _ = self.write_sql.split(" VALUES ")
        entry = ", ".join(f"s.{name}" for name in self.staged)
        return (
            f"{write} SELECT t._rowid, {entry} FROM {staged} s "  # noqa: S608
            f"JOIN {quote(table)} t ON t._id = s._id ORDER BY t._rowid"
        )

    def delete(self, cursor: Cursor, rowid: int) -> None:
        """Take a row out of the index."""
        cursor.execute(self.delete_sql, (rowid,))

    def fill(
        self, connection: Connection, spec: TableSpec, rows: Iterable[tuple[int, str, bytes]]
    ) -> None:
        """Put rows of the table into the index: each its number, id and document.

        Raises: DocumentError for a document with NaN in a field of ``within``.
        """
        cursor = connection.cursor()
        for rowid, row_id, raw in rows:
            try:
                source = self.source(spec.read(raw))
            except InvalidValue as error:
                raise DocumentError(
                    f'document {row_id} of table "{spec.name}" does not fit its search index '
                    f'"{self.spec.name}": {error}'
                ) from error
            self.write(cursor, rowid, source)

    def clear(self, connection: Connection) -> None:
        """Take all rows out of the index."""
        connection.execute(self.clear_sql)

    def statement(self, bounds: SearchBounds, count: int) -> Statement:
        """Give the statement that finds the numbers of the first ``count`` rows, in order."""
        kinds, phrases = list[str](), list[str]()
        for _, digest in bounds.within:
            kinds.append("w")
            phrases.append(f'{_WITHIN} : "{digest.hex()}"')
        terms = [_term(term, kinds) for term in bounds.terms]
        joined = (" OR " if bounds.any_term else " AND ").join(terms)
        phrases.append(f"{{{self._texts}}} : ({joined})")
        return self._find_sql, ("".join(kinds), " AND ".join(phrases), count)


def entry_of(source: SearchSource) -> tuple[str, ...]:
    """Give what stands in the columns of an index for a row: its texts, and its ``within``."""
    marks = " ".join([digest.hex() for digest in source.within])
    return (*map(spaced, source.texts), marks)


def _term(term: Term, kinds: list[str]) -> str:
    """Write a term as FTS5 wants it, and note what its phrases are, for the rank."""
    # Of a word that the tokenizer has made nothing can be syntax: it has letters and digits alone.
    assert '"' not in term.word, term
    kinds.append("t")
    if not term.is_prefix:
        return f'"{term.word}"'
    kinds.append("p")
    return f'("{term.word}" OR "{term.word}" *)'


def fts_name(table: str, search: str) -> str:
    """Give the quoted name of a search index's table; no name of the schema has a colon."""
    return quote(f"{table}:{search}:search")


def row_pieces(
    connection: Connection, table: str, after: int = 0
) -> Iterator[list[tuple[int, str, bytes]]]:
    """Give the rows of a table with numbers above ``after``, in pieces, so that memory stays small.

    Each is its number, id and document.
    """
    query = (
        f"SELECT _rowid, _id, _document FROM {quote(table)} "  # noqa: S608  # A quoted name.
        "WHERE _rowid > ? ORDER BY _rowid LIMIT ?"
    )
    while rows := connection.execute(query, (after, _PIECE_ROWS)).fetchall():
        typed = cast("list[tuple[int, str, bytes]]", rows)
        after = typed[-1][0]
        yield typed


def print_of_search(spec: TableSpec, search: SearchSpec) -> object:
    """Describe an index so that two descriptions differ if it must be built anew."""
    fields = [spec.fields[name] for name in (*search.texts, *search.within)]
    defaults = [
        [field.has_default, field.default, field.filling and field.filling.described()]
        for field in fields
    ]
    described = ["search", FORMAT, list(search.texts), list(search.within), defaults]
    # Through JSON, as what it is compared with has been there.
    return cast("object", orjson.loads(orjson.dumps(described)))


def is_search_print(described: object) -> bool:
    """Say whether a description that the file keeps is that of a search index."""
    return isinstance(described, list) and described[:1] == ["search"]


def stored_searches(spec: TableSpec) -> tuple[StoredSearch, ...]:
    """Give the search indexes of a table, in the order of ``spec.searches``."""
    return tuple([StoredSearch(spec, search) for search in spec.searches])


def search_of(searches: Sequence[StoredSearch], bounds: SearchBounds) -> StoredSearch:
    """Find the index that a search asks.

    Raises: InvalidRange if its table has none of that name.
    """
    for search in searches:
        if search.spec.name == bounds.index:
            return search
    raise InvalidRange(f'table "{bounds.table}" has no search index "{bounds.index}"')


# --- The rank of a row ----------------------------------------------------------------------------


class Matched(Protocol):
    """What FTS5 says of one row that matches."""

    column_count: int

    def column_size(self, col: int = -1) -> int:
        """Give how many words a column has."""
        ...

    def phrase_locations(self, phrase: int) -> list[list[int]]:
        """Give for each column where in it a phrase stands, in words."""
        ...


def rank(row: Matched, kinds: str) -> float:
    """Say how well a row matches, the more the better, from this row alone.

    For each term and field the hits count, each further one for less; more in a field that was
    declared earlier, and in a short one. The last word counts twice if it stands there whole. Terms
    that stand side by side as they were asked for count once more. How often a word is used in
    other rows, as BM25 has it, does not count: any write could change the order then.

    ``kinds`` has a letter for each phrase of the query: w for a value of ``within``, t for a term,
    and p for the term before it as the beginning of a word.
    """
    weights = [
        2.0**-column / (1.0 + row.column_size(column) / _LONG_WORDS)
        for column in range(row.column_count - 1)
    ]
    score = 0.0
    before: list[list[int]] = []
    for phrase, kind in enumerate(kinds):
        if kind == "w":
            continue
        places = row.phrase_locations(phrase)
        for column, weight in enumerate(weights):
            hits = len(places[column])
            if hits:
                score += weight * hits / (hits + 1.0)
        # Both phrases of a last term are met by what is written out in full, so it counts twice.
        if kinds[phrase + 1 : phrase + 2] != "p":
            score += _side_by_side(before, places, weights)
            before = places
    return score


def _side_by_side(before: list[list[int]], after: list[list[int]], weights: list[float]) -> float:
    score = 0.0
    for mine, others, weight in zip(before, after, weights, strict=False):
        if mine and others and not {place + 1 for place in mine}.isdisjoint(others):
            score += weight
    return score


def register_rank(connection: Connection) -> None:
    """Make the rank known to a connection."""
    connection.register_fts5_function(RANK, rank)
