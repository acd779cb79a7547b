"""The words that keys are made of are those that SQLite's index has."""

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_backend.storage.words import (
    TOKENIZER,
    SearchSource,
    key_of,
    key_words,
    placed_words,
    spaced,
    words_of,
)
from tests.effort import cases

texts = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("aA éÉ\u0301ßİǅ東京ー語\0'\"*-_٣²①ｱ"),
    max_size=30,
)


@pytest.mark.slow
def test_a_word_that_is_folded_again_stays_as_it_is() -> None:
    """Over all of Unicode: a search hands SQLite words that were folded already."""
    signs = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    words = words_of(" ".join(signs))

    assert len(words) > 100_000
    assert words_of(" ".join(words)) == words


@pytest.mark.slow
@settings(max_examples=cases(3000, 50_000), deadline=None)
@given(st.lists(texts, min_size=1, max_size=3))
def test_the_index_has_the_words_of_the_key(rows: list[str]) -> None:
    """Whatever the text: a write is held against the key, and a search asks the index."""
    index = apsw.Connection(":memory:")
    index.execute(f"CREATE VIRTUAL TABLE t USING fts5(c, tokenize='{' '.join(TOKENIZER)}')")
    index.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, instance)")
    for text in rows:
        index.execute("INSERT INTO t VALUES (?)", (spaced(text),))

    for rowid, text in enumerate(rows, 1):
        found = index.execute("SELECT term FROM v WHERE doc = ? ORDER BY offset", (rowid,))
        words = [str(term) for (term,) in found]
        assert words == words_of(text)
        key = key_of(SearchSource((text,), ()))
        assert sorted({word.encode() for word in words}) == [w for w in key_words(key, 0) if w]
    index.close()


@settings(max_examples=cases(3000, 50_000), deadline=None)
@given(texts)
def test_a_word_stands_where_its_place_says(text: str) -> None:
    """A snippet marks the text itself, whose letters are not those of the folded words."""
    placed = placed_words(text)

    assert [each.word for each in placed] == words_of(text)
    for each in placed:
        assert 0 <= each.start < each.stop <= len(text)
        assert words_of(text[each.start : each.stop])[0][0] == each.word[0]
