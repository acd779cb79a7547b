"""Merges two versions of a note that were both made of a third: title, text and tags."""

from attrs import frozen

from flow.note_versions import VersionText
from flow.text.merge import Merged, join_texts, merge_line, merge_texts, quote


@frozen
class MergedNote:
    """What a merge gave; ``conflict`` says that a part of it stands there twice."""

    text: VersionText
    conflict: bool


def merge_versions(
    ancestor: VersionText | None, theirs: VersionText, mine: VersionText, when: str, title_max: int
) -> MergedNote:
    """Merge what others saved with what was sent.

    Args:
        ancestor: what both were made of; None if it is no longer known.
        theirs: the note as it is.
        mine: the note as it was sent.
        when: the time of ``theirs``, as people read it; it stands over what is kept twice.
        title_max: how long a title may be.
    """
    heading = f"Also written, {when}:"
    if ancestor is None:
        body = join_texts(theirs.body, mine.body, heading)
    else:
        body = merge_texts(ancestor.body, theirs.body, mine.body, heading)
    title = _title(ancestor, theirs.title, mine.title, title_max)
    if title is None:
        below = quote(f"Also written as the title, {when}:", [f"{theirs.title}\n"])
        body = Merged(f"{body.text.rstrip()}\n{below}".lstrip(), True)
    known = frozenset[str]() if ancestor is None else frozenset(ancestor.tags)
    tags = _tags(known, theirs.tags, mine.tags)
    return MergedNote(
        VersionText(mine.title if title is None else title, body.text, tags), body.conflict
    )


def _title(ancestor: VersionText | None, theirs: str, mine: str, most: int) -> str | None:
    """Merge titles; None where only one of them fits."""
    if not theirs or not mine:
        return theirs or mine
    merged = merge_line("" if ancestor is None else ancestor.title, theirs, mine)
    return merged if merged is not None and len(merged) <= most else None


def _tags(known: frozenset[str], theirs: tuple[str, ...], mine: tuple[str, ...]) -> tuple[str, ...]:
    """Take off what either side took off, and add what either side added."""
    gone = (known - frozenset(theirs)) | (known - frozenset(mine))
    tags: dict[str, str] = {}
    for tag in (*theirs, *mine):
        if tag not in gone:
            tags.setdefault(tag.casefold(), tag)
    return tuple(tags.values())
