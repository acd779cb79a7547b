"""Notes: Markdown with tags. An edit names the version it began with, and loses nobody's text."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from attrs import frozen

from flow.note_versions import VersionText, base_of, forget, keep, show, text_of
from flow.schema import Capture, Note, NoteText
from flow.settings import settings_of
from flow_backend import (
    AppError,
    Id,
    Instant,
    MutationCtx,
    QueryCtx,
    Snippet,
    internal_mutation,
    mutation,
    query,
)

BODY_MAX: Final = 200_000
BODY_BYTES_MAX: Final = 1_000_000
TITLE_MAX: Final = 200
TAGS_MAX: Final = 20
TAG_MAX: Final = 50
LISTED_MAX: Final = 5_000
EXCERPT_LENGTH: Final = 160

# The computer's own names of months would depend on where it stands.
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_MARKS: Final = re.compile(r"^[\s>#*+-]+|[*_`~]+|!?\[([^\]\n]*)\]\([^)\n]*\)", re.MULTILINE)


@frozen
class NoteView:
    """A note with its text, as a client gets it; the names are those of a document."""

    _id: Id[Note]
    _creationTime: Instant  # noqa: N815  # So is it called on the wire.
    title: str
    body: str
    tags: tuple[str, ...]
    pinned: bool
    version: int
    edited_at: Instant
    capture: Id[Capture] | None


@frozen
class OpenNote:
    """A note and its text as clean HTML."""

    note: NoteView
    html: str


@frozen
class Edited:
    """How an edit ended.

    Attributes:
        version: of the note as it is now.
        merged: somebody else had changed it since ``base``.
        conflict: both changed the same words, so that the other's stand below in a quote.
        base: the version that is the very text that was sent; the next edit by who goes on typing
            in it names this one. It differs from ``version`` only if something was merged.
    """

    version: int
    merged: bool
    conflict: bool
    base: int


@mutation
def create(
    ctx: MutationCtx, title: str = "", body: str = "", tags: list[str] | None = None
) -> Id[Note]:
    """Make a note."""
    return make_note(ctx, title, body, tags or [])


def make_note(
    ctx: MutationCtx,
    title: str,
    body: str,
    tags: Sequence[str] = (),
    capture: Id[Capture] | None = None,
) -> Id[Note]:
    """Make a note, for functions that make one of something else.

    Raises: AppError if the title, the text or the tags are too long.
    """
    text = VersionText(clean_title(title), clean_body(body), clean_tags(tags))
    now = ctx.clock.now()
    note = Note(
        title=text.title,
        excerpt=excerpt_of(text.body),
        tags=text.tags,
        pinned=False,
        version=1,
        edited_at=now,
        capture=capture,
    )
    ident = ctx.db.insert(note)
    keep(ctx, ident, 1, text, now)
    show(ctx, ident, text)
    return ident


@query(name="list")
def list_notes(ctx: QueryCtx, tag: str | None = None) -> list[Note]:
    """Give the notes without their texts: pinned ones first, then the last edited one first."""
    notes = ctx.db.scan(Note.by_edited).desc()
    if tag is not None:
        wanted = clean_tag(tag).casefold()
        notes = notes.filter(lambda note: wanted in [each.casefold() for each in note.tags])
    return notes.take(LISTED_MAX)


@frozen
class FoundNote:
    """A note that a search has found, and what to show of it."""

    note: Note
    snippet: Snippet


@query
def search(ctx: QueryCtx, text: str, count: int = 20) -> list[FoundNote]:
    """Find notes by the words of their titles, tags and texts, the best first.

    The last word may be the beginning of one.
    """
    found: list[FoundNote] = []
    for hit in ctx.db.search(NoteText.text, text).take(count):
        note = ctx.db.get(hit.document.note)
        if note is not None:
            found.append(FoundNote(note, hit.snippet()))
    return found


@query
def get(ctx: QueryCtx, note: Id[Note]) -> OpenNote | None:
    """Give a note with its text, as Markdown and as HTML, or null if there is none."""
    found = ctx.db.get(note)
    if found is None:
        return None
    # Only who reads a note needs what renders it.
    from flow.text.rendering import render

    text = text_of(ctx, found)
    view = NoteView(
        found.id,
        found.created,
        text.title,
        text.body,
        text.tags,
        found.pinned,
        found.version,
        found.edited_at,
        found.capture,
    )
    return OpenNote(view, render(text.body))


@mutation
def edit(
    ctx: MutationCtx,
    note: Id[Note],
    base: int,
    title: str | None = None,
    body: str | None = None,
    tags: list[str] | None = None,
    pinned: bool | None = None,
) -> Edited:
    """Change what is given of a note; ``base`` is the version that the change was made of.

    If somebody else changed the note since, both changes are merged: see
    :mod:`flow.text.merge`. Each title, text and tag that anyone sent is kept as
    a version. Nothing new writes nothing.

    Raises: AppError if the note is gone, ``base`` is no version of it, or it would be too long.
    """
    found = ctx.db.get(note)
    if found is None:
        raise AppError(
            "This note is gone: someone has removed it. To keep your text, copy it into a new note."
        )
    if not 1 <= base <= found.version:
        raise AppError(
            f"The edit names version {base} of a note that has versions 1 to {found.version}. "
            "Read the note again, and name the version that you changed."
        )
    current = text_of(ctx, found)
    sent = _Sent(
        None if title is None else clean_title(title),
        None if body is None else clean_body(body, len(current.body)),
        None if tags is None else clean_tags(tags),
    )
    if pinned is not None and pinned != found.pinned:
        ctx.db.patch(note, pinned=pinned)
    if base == found.version:
        return _save(ctx, found, current, sent.over(current))
    return _merge(ctx, found, current, base, sent)


@mutation
def remove(ctx: MutationCtx, note: Id[Note]) -> None:
    """Remove a note. One that is gone already is gone: two people may both remove it."""
    if ctx.db.get(note) is not None:
        ctx.db.delete(note)
        ctx.run(forget_versions, note=note)


@internal_mutation
def forget_versions(ctx: MutationCtx, note: Id[Note]) -> None:
    """Remove the versions of a note that is gone, and go on later if they are too many."""
    if not forget(ctx, note):
        ctx.scheduler.run_after(0, forget_versions, note=note)


@frozen
class _Sent:
    """What an edit gives; None is what it leaves alone."""

    title: str | None
    body: str | None
    tags: tuple[str, ...] | None

    def over(self, text: VersionText) -> VersionText:
        """Give a text with what was given in its place."""
        return VersionText(
            text.title if self.title is None else self.title,
            text.body if self.body is None else self.body,
            text.tags if self.tags is None else self.tags,
        )


def _save(ctx: MutationCtx, note: Note, current: VersionText, new: VersionText) -> Edited:
    """Save a change of the newest version."""
    version = _write(ctx, note, current, new, note.version + 1)
    return Edited(version, False, False, version)


def _write(
    ctx: MutationCtx, note: Note, current: VersionText, new: VersionText, version: int
) -> int:
    """Make a text the newest version, if it is new. Returns: the newest version's number."""
    if new == current:
        return note.version
    now = ctx.clock.now()
    keep(ctx, note.id, version, new, now)
    show(ctx, note.id, new)
    ctx.db.patch(
        note.id,
        title=new.title,
        excerpt=excerpt_of(new.body),
        tags=new.tags,
        version=version,
        edited_at=now,
    )
    return version


def _merge(ctx: MutationCtx, note: Note, current: VersionText, base: int, sent: _Sent) -> Edited:
    """Merge a change of an older version into the newest one."""
    # Only who has been away needs what merges.
    from flow.text.note_merge import merge_versions

    ancestor = base_of(ctx, note.id, base)
    began = current if ancestor is None else ancestor
    mine = sent.over(began)
    when = _shown(note.edited_at, settings_of(ctx).home_zone)
    asked = VersionText(
        current.title if sent.title is None else mine.title,
        current.body if sent.body is None else mine.body,
        current.tags if sent.tags is None else mine.tags,
    )
    merged = merge_versions(ancestor, current, asked, when, TITLE_MAX)
    new = merged.text
    _check_merged(new)
    if new == current:
        exact = note.version if asked == current else base
        return Edited(note.version, True, merged.conflict, exact)
    if new == asked:
        version = _write(ctx, note, current, new, note.version + 1)
        return Edited(version, True, merged.conflict, version)
    # What was sent is kept as it was sent: who goes on typing in it goes on from there.
    keep(ctx, note.id, note.version + 1, asked, ctx.clock.now())
    version = _write(ctx, note, current, new, note.version + 2)
    return Edited(version, True, merged.conflict, version - 1)


def _check_merged(text: VersionText) -> None:
    """See that what two people wrote still makes one note."""
    if len(text.body.encode()) > BODY_BYTES_MAX:
        raise AppError(
            "With what somebody else wrote meanwhile this note would be longer than "
            f"{BODY_BYTES_MAX} bytes. Read it again, and put a part of it into another note."
        )
    _check_tags(text.tags)


# --- What comes in --------------------------------------------------------------------------------


def clean_title(title: str) -> str:
    """Trim a title; it may be empty. Raises: AppError if it is too long."""
    trimmed = " ".join(title.split())
    if len(trimmed) > TITLE_MAX:
        raise AppError(
            f"The title of a note has {len(trimmed)} characters; {TITLE_MAX} is the most. "
            "Put the rest into its text."
        )
    return trimmed


def clean_body(body: str, known: int = 0) -> str:
    """Check a text, and end its lines alike.

    A merge may make a note longer than anyone may; so one of ``known`` length may be as long again.

    Raises: AppError if it is too long.
    """
    text = body.replace("\r\n", "\n").replace("\r", "\n")
    most = max(BODY_MAX, known)
    if len(text) > most or len(text.encode()) > BODY_BYTES_MAX:
        raise AppError(
            f"The text of a note has {len(text)} characters; {most} is the most. "
            "Put a part of it into another note."
        )
    return text


def clean_tag(tag: str) -> str:
    """Trim a tag, with or without a # before it."""
    return " ".join(tag.strip().lstrip("#").split())


def clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Trim tags, and leave out empty ones and those that are there, in large or small letters.

    Raises: AppError if they are too many, or one is too long.
    """
    cleaned: dict[str, str] = {}
    for tag in map(clean_tag, tags):
        cleaned.setdefault(tag.casefold(), tag)
    cleaned.pop("", None)
    found = tuple(cleaned.values())
    _check_tags(found)
    return found


def _check_tags(tags: tuple[str, ...]) -> None:
    if len(tags) > TAGS_MAX or any(len(tag) > TAG_MAX for tag in tags):
        raise AppError(f"A note has at most {TAGS_MAX} tags of {TAG_MAX} characters each.")


# --- What goes out --------------------------------------------------------------------------------


def excerpt_of(body: str) -> str:
    """Give the beginning of a text in one line, without the marks of Markdown."""
    # The beginning is enough, and its marks make it at most a few times longer.
    start = _MARKS.sub(lambda found: found[1] or "", body[: 4 * EXCERPT_LENGTH])
    line = " ".join(start.split())
    return line if len(line) <= EXCERPT_LENGTH else line[: EXCERPT_LENGTH - 1] + "…"


def _shown(instant: Instant, zone: str) -> str:
    """Print an instant as people of a zone read it: ``22 Nov 2026, 20:47``."""
    there = datetime.fromtimestamp(instant / 1000, ZoneInfo(zone))
    return f"{there.day} {_MONTHS[there.month - 1]} {there.year}, {there:%H:%M}"
