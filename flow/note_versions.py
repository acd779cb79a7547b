"""Versions of notes: each text that anyone saved, so that a merge finds what an edit began with."""

from typing import Final

from attrs import frozen

from flow.schema import Note, NoteText, NoteVersion
from flow_backend import Id, Instant, MutationCtx, QueryCtx

NEWEST_KEPT: Final = 100
"""How many of the newest versions are all kept, for ever."""

KEPT_MS: Final = 30 * 86_400_000
"""How long older versions are kept."""

APART_MS: Final = 5 * 60_000
"""How far apart older versions are. Of what was typed in between, the one before is an ancestor as
well: a change that both sides made since then is the same on both, and merges with itself."""

FORGOTTEN_LENGTH: Final = 1_500_000
"""How many characters of versions one call removes, about; a call may read 16 MiB."""


@frozen
class VersionText:
    """What a version holds."""

    title: str
    body: str
    tags: tuple[str, ...]


def keep(ctx: MutationCtx, note: Id[Note], version: int, text: VersionText, now: Instant) -> None:
    """Keep a text as a version of a note, and let go of those that are no longer needed."""
    ctx.db.insert(
        NoteVersion(
            note=note,
            version=version,
            title=text.title,
            body=text.body,
            tags=text.tags,
            edited_at=now,
        )
    )
    if version <= NEWEST_KEPT:
        return
    older = ctx.db.scan(NoteVersion.by_version[note, : version - NEWEST_KEPT + 1])
    last = older.desc().take(2)
    if len(last) == 2 and last[0].edited_at - last[1].edited_at < APART_MS:
        ctx.db.delete(last[0].id)
    # Each edit adds one at most, so that with two in its place none is kept for too long.
    for row in older.take(2):
        if now - row.edited_at > KEPT_MS:
            ctx.db.delete(row.id)


def show(ctx: MutationCtx, note: Id[Note], text: VersionText) -> None:
    """Let searches find a note by this text, in the place of the one of before."""
    found = ctx.db.scan(NoteText.by_note[note]).unique()
    if found is None:
        ctx.db.insert(NoteText(note=note, title=text.title, body=text.body, tags=text.tags))
    else:
        ctx.db.patch(found.id, title=text.title, body=text.body, tags=text.tags)


def text_of(ctx: QueryCtx | MutationCtx, note: Note) -> VersionText:
    """Give a note's text as it is now."""
    found = ctx.db.scan(NoteVersion.by_version[note.id, note.version]).unique()
    # The newest version is written with the note, and never removed before it.
    assert found is not None, (note.id, note.version)
    return VersionText(found.title, found.body, found.tags)


def base_of(ctx: MutationCtx, note: Id[Note], version: int) -> VersionText | None:
    """Give the text that an edit of a version can be merged with.

    Returns: that version, or else the newest one kept that came before it; None if there is none.
    """
    found = ctx.db.scan(NoteVersion.by_version[note, : version + 1]).desc().first()
    return None if found is None else VersionText(found.title, found.body, found.tags)


def forget(ctx: MutationCtx, note: Id[Note]) -> bool:
    """Remove the versions of a note. Returns: whether that was all of them."""
    length, found = 0, list[Id[NoteVersion]]()
    for row in ctx.db.scan(NoteVersion.by_version[note]):
        if length > FORGOTTEN_LENGTH:
            break
        length += len(row.body)
        found.append(row.id)
    for ident in found:
        ctx.db.delete(ident)
    return length <= FORGOTTEN_LENGTH
