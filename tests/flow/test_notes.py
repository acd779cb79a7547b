"""Notes: made, listed, read, edited by two at once, and never losing what anyone wrote."""

from typing import Any

import pytest

from flow import note_versions, notes
from tests.flow.support import Flow, RunningFlow, Said

Fields = dict[str, Any]


def note_of(flow: Flow, ident: str) -> Fields:
    return dict(flow.query("notes:get", note=ident)["note"])


def body(flow: Flow, ident: str) -> str:
    return str(note_of(flow, ident)["body"])


def versions(flow: Flow, ident: str) -> int:
    return int(note_of(flow, ident)["version"])


def refusal(flow: Flow, path: str, **arguments: object) -> str:
    with pytest.raises(Said) as refused:
        flow.do(path, **arguments)
    return str(refused.value)


async def test_a_note_lives_from_create_to_remove(running: RunningFlow) -> None:
    """Its names on the wire are those that clients are written against."""
    tags = [" #Home ", "home", "two  words", ""]
    ident = await running.do(
        "notes:create", title=" A  title ", body="# Hi\r\n\r\n*you*", tags=tags
    )

    opened = await running.query("notes:get", note=ident)
    note = opened["note"]
    created, edited = note.pop("_creationTime"), note.pop("edited_at")
    assert edited <= created
    assert note == {
        "_id": ident,
        "title": "A title",
        "body": "# Hi\n\n*you*",
        "tags": ["Home", "two words"],
        "pinned": False,
        "version": 1,
        "capture": None,
    }
    assert opened["html"] == "<h1>Hi</h1>\n<p><em>you</em></p>\n"
    await running.do("notes:remove", note=ident)
    await running.do("notes:remove", note=ident)
    assert await running.query("notes:get", note=ident) is None
    assert await running.query("notes:list") == []


def test_the_list_has_pinned_ones_first_then_the_newest_edit(flow: Flow) -> None:
    """Without the texts, so that a thousand long notes are still a short answer."""
    one, two, three, four = (
        flow.do("notes:create", title=title, body=f"> *Text* of [{title}](http://x)\n- and more")
        for title in ("1", "2", "3", "4")
    )
    flow.do("notes:edit", note=two, base=1, pinned=True)
    flow.do("notes:edit", note=one, base=1, title="1b")

    listed = flow.query("notes:list")

    assert [note["title"] for note in listed] == ["2", "1b", "4", "3"]
    assert listed[0]["excerpt"] == "Text of 2 and more"
    assert set(listed[0]) == {
        *("_id", "_creationTime", "title", "excerpt", "tags", "pinned", "version", "edited_at"),
        "capture",
    }
    assert versions(flow, two) == 1  # To pin is not to write.
    assert [note["_id"] for note in listed] == [two, one, four, three]


def test_the_list_of_a_tag_has_it_in_any_case(flow: Flow) -> None:
    flow.do("notes:create", title="1", tags=["Garden"])
    flow.do("notes:create", title="2", tags=["gardening"])

    for tag in ("garden", "#GARDEN"):
        assert [note["title"] for note in flow.query("notes:list", tag=tag)] == ["1"]


def test_an_excerpt_is_short_and_in_one_line(flow: Flow) -> None:
    ident = flow.do("notes:create", body="word " * 1_000)
    [listed] = flow.query("notes:list")
    assert len(listed["excerpt"]) == notes.EXCERPT_LENGTH
    assert listed["excerpt"].endswith(" word…")
    assert len(body(flow, ident)) == 5_000


def test_an_edit_of_the_newest_version_is_taken_as_it_is(flow: Flow) -> None:
    ident = flow.do("notes:create", title="T", body="old", tags=["a"])

    edited = flow.do("notes:edit", note=ident, base=1, body="new")

    assert edited == {"version": 2, "merged": False, "conflict": False, "base": 2}
    note = note_of(flow, ident)
    assert (note["title"], note["body"], note["tags"]) == ("T", "new", ["a"])


def test_an_edit_that_changes_nothing_writes_nothing(flow: Flow) -> None:
    """Editors save when they lose the focus; nobody's screen has to hear of it."""
    ident = flow.do("notes:create", title="T", body="text", tags=["a"])
    flow.do("notes:edit", note=ident, base=1, body="text 2")
    same = [
        {"base": 2},
        {"base": 2, "title": " T ", "body": "text 2", "tags": ["#a"], "pinned": False},
        {"base": 1, "body": "text"},
        {"base": 1, "body": "text 2"},
    ]

    calls = [flow.mutate("notes:edit", note=ident, **each) for each in same]

    assert [call.written for call in calls] == [0] * 4
    assert [(call.value["version"], call.value["base"]) for call in calls] == [
        *((2, 2), (2, 2), (2, 1), (2, 2)),
    ]


def test_edits_of_different_lines_merge_silently(flow: Flow) -> None:
    """Two windows with one note open: each keeps what it wrote, and gets what the other did."""
    ident = flow.do("notes:create", body="milk\nbread\neggs\n")
    flow.do("notes:edit", note=ident, base=1, body="oat milk\nbread\neggs\n")

    second = flow.do("notes:edit", note=ident, base=1, body="milk\nbread\neggs\nbutter\n")

    assert body(flow, ident) == "oat milk\nbread\neggs\nbutter\n"
    assert second == {"version": 4, "merged": True, "conflict": False, "base": 3}


def test_who_goes_on_typing_names_the_text_that_was_sent(flow: Flow) -> None:
    """Else what was taken back meanwhile would come again, and what was typed would stand twice."""
    ident = flow.do("notes:create", body="")
    flow.do("notes:edit", note=ident, base=1, body="theirs")
    sent = flow.do("notes:edit", note=ident, base=1, body="mine is lon")
    assert body(flow, ident) == "theirs\nmine is lon"

    more = flow.do("notes:edit", note=ident, base=sent["base"], body="mine is short")

    assert body(flow, ident) == "theirs\nmine is short"
    assert more["conflict"] is False


def test_words_changed_on_both_sides_are_both_kept(flow: Flow) -> None:
    """Mine stand where they stood; the other's below, with the time by the clock at home."""
    flow.do("people:change_settings", home_zone="Asia/Tokyo")
    ident = flow.do("notes:create", body="# Plan\n\nMeet at 3 in town.\n\nBye\n")
    flow.do("notes:edit", note=ident, base=1, body="# Plan\n\nMeet at 4 in town.\n\nBye now\n")
    flow.set_field("notes", ident, "edited_at", 1_793_000_000_000.0)

    edited = flow.do("notes:edit", note=ident, base=1, body="# Plan\n\nMeet at 5 in town.\n\nBye\n")

    assert edited == {"version": 4, "merged": True, "conflict": True, "base": 3}
    assert body(flow, ident) == (
        "# Plan\n\nMeet at 5 in town.\n\n"
        "> **Also written, 26 Oct 2026, 16:33:**\n>\n> Meet at 4 in town.\n\n\nBye now\n"
    )
    assert "<blockquote>\n<p><strong>Also written" in flow.query("notes:get", note=ident)["html"]


def test_what_is_kept_twice_is_not_kept_twice_again(flow: Flow) -> None:
    """Two who go on typing over the same word: quotes of quotes would double with each save."""
    base = "first word of a line\n"
    ident = flow.do("notes:create", body=base)
    bases = [1, 1]
    for number in range(12):
        for who in (0, 1):
            text = base.replace("word", "ab"[who] * 3 + str(number))
            done = flow.do("notes:edit", note=ident, base=bases[who], body=text)
            bases[who] = done["base"]

    text = body(flow, ident)

    assert "> >" not in text
    assert len(text) < 25 * 80
    assert all(f"{name * 3}{number}" in text for name in "ab" for number in (10, 11))


def test_titles_and_tags_merge_too(flow: Flow) -> None:
    ident = flow.do("notes:create", title="The plan", tags=["a", "b"])
    flow.do("notes:edit", note=ident, base=1, title="The big plan", tags=["a", "c"])

    flow.do("notes:edit", note=ident, base=1, title="The plan for May", tags=["a", "b", "d"])

    note = note_of(flow, ident)
    assert note["title"] == "The big plan for May"
    assert note["tags"] == ["a", "c", "d"]
    flow.do("notes:edit", note=ident, base=1, tags=["b"])
    assert note_of(flow, ident)["tags"] == ["c", "d"]


def test_a_title_that_two_changed_is_kept_below(flow: Flow) -> None:
    ident = flow.do("notes:create", title="Plan", body="Text")
    flow.do("notes:edit", note=ident, base=1, title="Journey")

    edited = flow.do("notes:edit", note=ident, base=1, title="Voyage")

    assert edited["conflict"] is True
    note = note_of(flow, ident)
    assert note["title"] == "Voyage"
    assert note["body"].startswith("Text\n\n> **Also written as the title, ")
    assert note["body"].endswith("\n>\n> Journey\n\n")


def test_an_edit_of_a_part_leaves_what_others_did_to_the_rest(flow: Flow) -> None:
    ident = flow.do("notes:create", title="T", body="text", tags=["a"])
    flow.do("notes:edit", note=ident, base=1, body="their text", tags=["b"])

    edited = flow.do("notes:edit", note=ident, base=1, title="Mine")

    assert edited == {"version": 3, "merged": True, "conflict": False, "base": 3}
    note = note_of(flow, ident)
    assert (note["title"], note["body"], note["tags"]) == ("Mine", "their text", ["b"])


def test_what_cannot_be_is_refused_with_what_to_do(flow: Flow) -> None:
    ident = flow.do("notes:create", body="text")
    before = flow.query("notes:get", note=ident)

    assert "version 2 of a note that has versions 1 to 1" in refusal(
        flow, "notes:edit", note=ident, base=2, body="x"
    )
    assert "version 0" in refusal(flow, "notes:edit", note=ident, base=0, body="x")
    long = "x" * (notes.BODY_MAX + 1)
    assert "200001 characters; 200000 is the most. Put a part" in refusal(
        flow, "notes:edit", note=ident, base=1, body=long
    )
    assert "200001 characters" in refusal(flow, "notes:create", body=long)
    assert "201 characters; 200" in refusal(flow, "notes:create", title="t" * 201)
    many = [str(number) for number in range(21)]
    assert "at most 20 tags of 50" in refusal(flow, "notes:create", tags=many)
    assert "at most 20 tags of 50" in refusal(flow, "notes:create", tags=["x" * 51])
    assert flow.query("notes:get", note=ident) == before
    flow.do("notes:remove", note=ident)
    assert "This note is gone" in refusal(flow, "notes:edit", note=ident, base=1, body="x")


def test_more_tags_than_a_note_may_have_by_a_merge_are_refused(flow: Flow) -> None:
    ident = flow.do("notes:create")
    flow.do("notes:edit", note=ident, base=1, tags=[f"a{number}" for number in range(11)])
    mine = [f"b{number}" for number in range(10)]
    assert "at most 20 tags" in refusal(flow, "notes:edit", note=ident, base=1, tags=mine)


def test_a_note_that_a_merge_made_long_can_be_edited(flow: Flow) -> None:
    """It may not grow; but who reads it again can save it."""
    half = notes.BODY_MAX * 2 // 3
    ident = flow.do("notes:create")
    flow.do("notes:edit", note=ident, base=1, body="a" * half)
    edited = flow.do("notes:edit", note=ident, base=1, body="b" * half)
    long = body(flow, ident)
    assert len(long) == 2 * half + 1

    flow.do("notes:edit", note=ident, base=edited["version"], body="c" + long[1:])

    assert body(flow, ident)[0] == "c"
    longer = refusal(flow, "notes:edit", note=ident, base=versions(flow, ident), body=long + "d")
    assert f"{2 * half + 1} is the most" in longer


# --- Versions


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note_versions, "NEWEST_KEPT", 3)


def kept(flow: Flow, ident: str) -> list[int]:
    rows = flow.rows("note_versions")
    return [int(row["version"]) for row in rows if row["note"] == ident]


def test_the_newest_versions_are_kept_and_older_ones_thinned(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an hour of typing, every version of the end, and before it one for some minutes."""
    shrink(monkeypatch)
    ident = flow.do("notes:create", body="1")
    for number in range(2, 9):
        flow.do("notes:edit", note=ident, base=number - 1, body=str(number))
    assert kept(flow, ident) == [1, 6, 7, 8]

    monkeypatch.setattr(note_versions, "APART_MS", 0)
    for number in range(9, 12):
        flow.do("notes:edit", note=ident, base=number - 1, body=str(number))
    assert kept(flow, ident) == [1, 6, 7, 8, 9, 10, 11]

    monkeypatch.setattr(note_versions, "KEPT_MS", -1)
    for number in range(12, 17):
        flow.do("notes:edit", note=ident, base=number - 1, body=str(number))
    assert kept(flow, ident) == [14, 15, 16]


def test_a_base_that_was_thinned_out_merges_by_one_before_it(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What both sides have since then is the same on both, so nothing stands twice."""
    shrink(monkeypatch)
    lines = [f"line {number}" for number in range(8)]
    ident = flow.do("notes:create", body="\n".join(lines))
    for number in range(6):
        lines[number] += " changed"
        flow.do("notes:edit", note=ident, base=number + 1, body="\n".join(lines))
    assert 3 not in kept(flow, ident)
    mine = [*(f"line {n} changed" for n in range(2)), *(f"line {n}" for n in range(2, 8)), "mine"]

    edited = flow.do("notes:edit", note=ident, base=3, body="\n".join(mine))

    assert edited["conflict"] is False
    assert body(flow, ident) == "\n".join([*lines, "mine"])


def test_a_base_that_is_no_longer_known_keeps_both_texts(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that was in a drawer for longer than versions are kept."""
    shrink(monkeypatch)
    monkeypatch.setattr(note_versions, "KEPT_MS", -1)
    ident = flow.do("notes:create", title="T", body="same\nold\n", tags=["a"])
    for number in range(2, 8):
        flow.do("notes:edit", note=ident, base=number - 1, body=f"same\ntheirs {number}\n")

    edited = flow.do("notes:edit", note=ident, base=1, body="same\nmine\n", tags=["b"])

    assert edited["conflict"] is True
    text = body(flow, ident)
    assert text.startswith("same\nmine\n\n> **Also written, ")
    assert text.endswith(":**\n>\n> theirs 7\n\n")
    assert note_of(flow, ident)["tags"] == ["a", "b"]


def test_a_removed_note_leaves_no_versions(flow: Flow) -> None:
    ident = flow.do("notes:create", body="1")
    other = flow.do("notes:create", body="2")
    flow.do("notes:edit", note=ident, base=1, body="1b")

    flow.do("notes:remove", note=ident)

    assert kept(flow, ident) == []
    assert kept(flow, other) == [1]


@pytest.mark.slow
def test_the_versions_of_a_removed_note_go_in_parts_if_they_are_many(flow: Flow) -> None:
    """All at once they would pass what one call may read: then no such note could be removed."""
    ident = flow.do("notes:create")
    for number in range(1, 31):
        flow.do(
            "notes:edit", note=ident, base=number, body=f"{number % 10}日" * (notes.BODY_MAX // 2)
        )

    flow.do("notes:remove", note=ident)

    jobs = flow.rows("_scheduled_functions")
    assert len(jobs) > 1
    assert {job["name"] for job in jobs} == {"notes:forget_versions"}
    assert {job["state"]["kind"] for job in jobs} == {"success"}
    assert kept(flow, ident) == []


# --- Cost


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["equal", "every other", "periodic", "words"])
def test_texts_made_to_be_slow_are_merged_within_the_limits(flow: Flow, kind: str) -> None:
    """Comparisons that grow with the square of a text would end the mutation, and lose the edit."""
    count = notes.BODY_MAX // 16
    texts = {
        "equal": ["x\n" * 6 * count, "x\n" * 5 * count + "y\n", "z\n" + "x\n" * 5 * count],
        "every other": [
            "".join(f"{(n % step and 'line') or word} {n}\n" for n in range(count))
            for step, word in ((1, "line"), (2, "theirs"), (3, "mine"))
        ],
        "periodic": ["a\nb\n" * 3 * count, "b\na\n" * 3 * count, "a\nc\nb\n" * 2 * count],
        "words": ["a b c " * 2 * count, "b a c d " * 2 * count, "c c a " * 2 * count],
    }
    base, theirs, mine = texts[kind]
    ident = flow.do("notes:create", body=base)
    flow.do("notes:edit", note=ident, base=1, body=theirs)

    edited = flow.do("notes:edit", note=ident, base=1, body=mine)

    assert edited["merged"] is True
    assert set(mine.split()) <= set(body(flow, ident).split())


def test_a_list_of_long_notes_reads_no_text(flow: Flow) -> None:
    """Each text may be hundreds of KB, and one call may read 16 MiB."""
    for _ in range(3):
        flow.do("notes:create", body="x" * 100_000)

    frugal = flow.limited(documents_read=3, bytes_read=3_000)

    assert len(frugal.query("notes:list")) == 3
