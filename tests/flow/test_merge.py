"""Merging: what each side added is there, whatever the two did, and both ends are the same."""

import re
from collections import Counter
from difflib import SequenceMatcher
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow.text.matching import Effort, Matcher
from flow.text.merge import join_texts, merge_line, merge_texts
from tests.effort import cases
from tests.flow.support import Flow, open_flow

HEADING = "Also written"
SEEDS = st.integers(0, 2**32)
WORD = re.compile(r"[a-z]+\d+")


def merged(base: str, theirs: str, mine: str) -> tuple[str, bool]:
    done = merge_texts(base, theirs, mine, HEADING)
    return done.text, done.conflict


@pytest.mark.parametrize(
    ("base", "theirs", "mine", "text"),
    [
        ("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n", "A\nb\nC\n"),
        ("a\nb\n", "A\nb\n", "a\nB\n", "A\nB\n"),  # Side by side.
        ("buy milk", "buy milk and eggs", "get milk", "get milk and eggs"),
        ("one two three", "one 2 three", "one two 3", "one 2 3"),
        ("a\n", "a\ntheirs\n", "a\nmine\n", "a\ntheirs\nmine\n"),
        ("a", "a\ntheirs", "a\nmine", "a\ntheirs\nmine"),
        ("", "theirs", "mine", "theirs\nmine"),
        ("a\n", "x\na\n", "y\na\n", "x\ny\na\n"),
        ("", "all\ntheirs\n", "all\ntheirs\nmine\n", "all\ntheirs\nmine\n"),
        ("", "one\ntwo\n", "zero\none\n", "zero\none\ntwo\n"),
        # What someone works on is not deleted.
        ("a\nb\n", "", "a\nb\nc\n", "a\nb\nc\n"),
        ("a b c\n", "", "a b X c\n", "a b X c\n"),
        ("a\nb\nc\n", "a\nc\n", "a\nb\nc\n", "a\nc\n"),
        ("a\nb\nc\n", "a\nc\n", "a\nc\n", "a\nc\n"),
        ("*a* b", "**a** b", "*a* c", "**a** c"),
        ("go", "go by car", "go by bus", "go by car bus"),
        ("nice", "nice 🎉", "nice ☕", "nice 🎉 ☕"),
        ("q", "x y x", "x y x y x", "x y x y x"),
        ("x\n\ny\n\nz\n", "x 1\n\ny\n\nz 1\n", "x\n\ny 2\n\nz\n", "x 1\n\ny 2\n\nz 1\n"),
    ],
)
def test_changes_of_different_words_merge(base: str, theirs: str, mine: str, text: str) -> None:
    assert merged(base, theirs, mine) == (text, False)


@pytest.mark.parametrize(
    ("base", "theirs", "mine", "text"),
    [
        ("at 3", "at 4", "at 5", "at 5\n\n> **Also written**\n>\n> at 4\n"),
        (
            "a\nat 3 here\nb\n",
            "a\nat 4 here\nb\n",
            "a\nat 5 there\nb\n",
            "a\nat 5 there\n\n> **Also written**\n>\n> at 4 here\n\nb\n",
        ),
        ("a", "b\n\nc", "d", "d\n\n> **Also written**\n>\n> b\n>\n> c\n"),
        # Of a sentence written anew only the spaces are as before.
        (
            "call Ana at noon today",
            "write to Bo by mail",
            "call Ana at one today",
            "call Ana at one today\n\n> **Also written**\n>\n> write to Bo by mail\n",
        ),
        ("nice 🌧", "nice 🎉", "nice ☕", "nice ☕\n\n> **Also written**\n>\n> nice 🎉\n"),
    ],
)
def test_changes_of_the_same_words_are_both_kept(
    base: str, theirs: str, mine: str, text: str
) -> None:
    assert merged(base, theirs, mine) == (text, True)


def test_titles_merge_or_not() -> None:
    assert merge_line("The plan", "The big plan", "The plan B") == "The big plan B"
    assert merge_line("Plan", "Trip", "Plan") == "Trip"
    assert merge_line("Plan", "Trip", "Tour") is None


def test_texts_of_unknown_origin_are_both_kept() -> None:
    done = join_texts("same\ntheirs\nend\n", "same\nmine\nend\n", HEADING)
    assert done.text == "same\nmine\n\n> **Also written**\n>\n> theirs\n\nend\n"
    assert done.conflict
    assert join_texts("a\n", "a\nb\n", HEADING).text == "a\nb\n"
    assert not join_texts("a\n", "a\nb\n", HEADING).conflict


# --- Whatever the two do


def changed(random: Random, text: str, name: str) -> str:
    """Edit a text as people do: words and lines put in, taken out, replaced, moved.

    Each word that is put in stands nowhere else, so that it can be told where it came from.
    """
    lines = [line.split(" ") for line in text.split("\n")]
    for number in range(random.randint(0, 6)):
        at = random.randrange(len(lines))
        line = lines[at]
        place = random.randrange(len(line) + 1)
        word = f"{name}{number}"
        match random.choice(["word", "word", "replace", "delete", "line", "cut", "split", "move"]):
            case "word":
                line.insert(place, word)
            case "replace":
                line[place : place + random.randint(1, 3)] = [word]
            case "delete":
                del line[place : place + random.randint(1, 3)]
            case "line":
                lines.insert(at, [word, word + "9"])
            case "cut":
                del lines[at]
            case "split":
                lines[at : at + 1] = [line[:place], line[place:]]
            case _:
                lines.insert(random.randrange(len(lines)), lines.pop(at))
        lines = lines or [[]]
    return "\n".join(" ".join(line) for line in lines)


@st.composite
def bases(draw: st.DrawFn) -> str:
    """Texts of few words, so that lines and words stand there more than once."""
    line = st.lists(st.sampled_from(["w1", "w2", "w3", "-"]), max_size=5).map(" ".join)
    return draw(st.lists(line, max_size=7).map("\n".join))


def words(text: str) -> set[str]:
    return set(WORD.findall(text))


@pytest.mark.slow
@settings(max_examples=cases(5_000), deadline=None)
@given(bases(), SEEDS, st.sampled_from([0, 40, 500_000]))
def test_no_word_that_a_side_put_in_is_lost(base: str, seed: int, steps: int) -> None:
    """Nor one of the base that both left there; and nothing is there that nobody wrote.

    Also if there is no time to compare.
    """
    random = Random(seed)
    theirs, mine = changed(random, base, "a"), changed(random, base, "b")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flow.text.merge.STEPS_MAX", steps)
        text, conflict = merged(base, theirs, mine)

    put_in = (words(theirs) | words(mine)) - words(base)
    assert put_in <= words(text)
    once = {word for word, times in Counter(WORD.findall(base)).items() if times == 1}
    assert once & words(theirs) & words(mine) <= words(text)
    assert words(text) <= words(theirs) | words(mine)
    assert (HEADING in text) == conflict
    # Nothing but whole lines of a side, or of words of both, and the heading.
    again, _ = merged(base, text, mine)
    assert put_in <= words(again)


@pytest.mark.slow
@settings(max_examples=cases(1_000), deadline=None)
@given(bases(), SEEDS)
def test_what_one_side_did_alone_is_taken_as_it_is(base: str, seed: int) -> None:
    other = changed(Random(seed), base, "a")

    assert merged(base, other, base) == (other, False)
    assert merged(base, base, other) == (other, False)
    assert merged(base, other, other) == (other, False)


@pytest.mark.slow
@settings(max_examples=cases(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bases(), SEEDS)
def test_editors_end_with_the_same_text_and_all_that_they_wrote(base: str, seed: int) -> None:
    """Three editors type at once, each saves when it likes, and reads what became of it.

    A word that an editor put in is there in the end, unless an editor took it out of a text in
    which it saw it.
    """
    random = Random(seed)
    with open_flow() as flow:
        note = flow.do("notes:create", body=base)
        texts, versions = [base] * 3, [1] * 3
        put_in, taken_out = set[str](), set[str]()
        for turn in range(random.randint(1, 7)):
            who = random.randrange(3)
            if random.random() < 0.3:
                texts[who], versions[who] = newest(flow, note)
            before = words(texts[who])
            texts[who] = changed(random, texts[who], f"{'xyz'[who]}{'abcdefgh'[turn]}")
            put_in |= words(texts[who]) - before
            taken_out |= before - words(texts[who])
            done = flow.do("notes:edit", note=note, base=versions[who], body=texts[who])
            versions[who] = done["base"]  # It types on in what it sent.

        for who in range(3):
            done = flow.do("notes:edit", note=note, base=versions[who], body=texts[who])
            texts[who], versions[who] = newest(flow, note)
        final, version = newest(flow, note)
        for who in range(3):
            done = flow.mutate("notes:edit", note=note, base=versions[who], body=texts[who])
            if versions[who] == version:
                assert done.written == 0
        assert put_in - taken_out <= words(final)
        assert words(final) <= put_in | words(base)


def newest(flow: Flow, note: str) -> tuple[str, int]:
    found = flow.query("notes:get", note=note)["note"]
    return str(found["body"]), int(found["version"])


# --- Comparing


@pytest.mark.slow
@settings(max_examples=cases(3_000), deadline=None)
@given(st.lists(st.sampled_from("abcd ")), st.lists(st.sampled_from("abcd ")), st.integers(0, 300))
def test_what_is_found_equal_is_equal_and_in_order(a: list[str], b: list[str], steps: int) -> None:
    """Also when the steps run out amid it."""
    blocks = Matcher(a, b, Effort(steps)).get_matching_blocks()

    assert blocks[-1] == (len(a), len(b), 0)
    at_a = at_b = 0
    for start_a, start_b, length in blocks:
        assert start_a >= at_a
        assert start_b >= at_b
        assert a[start_a : start_a + length] == b[start_b : start_b + length]
        at_a, at_b = start_a + length, start_b + length


@pytest.mark.slow
@settings(max_examples=cases(2_000), deadline=None)
@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_as_much_is_found_equal_as_there_is(a: list[str], b: list[str]) -> None:
    """Beside the standard library, which is greedy and finds no more."""
    found = sum(length for *_, length in Matcher(a, b, Effort(10**6)).get_matching_blocks())
    known = sum(block.size for block in SequenceMatcher(None, a, b, False).get_matching_blocks())
    assert found >= known


def test_long_texts_are_compared_by_what_stands_there_once() -> None:
    """Far more differs than is compared exactly; what both have is found all the same."""
    a = [f"{n}\n" if n % 3 else f"a{n}\n" for n in range(3_000)]
    b = [f"{n}\n" if n % 3 else f"b{n}\n" for n in range(3_000)]
    blocks = Matcher(a, b, Effort(10**6)).get_matching_blocks()
    assert sum(length for *_, length in blocks) == 2_000
