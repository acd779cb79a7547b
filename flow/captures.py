"""Captures: lines that were put down quickly, and become tasks, notes or reminders later."""

import re
from typing import Final, assert_never

from flow.quick_add.parse import parse
from flow.schema import Became, Board, Capture, ItemKind
from flow.settings import is_zone, settings_of
from flow.text.page_title import title_at
from flow.triage import Line, note_of, reminder_of, task_of
from flow_backend import (
    ActionCtx,
    AppError,
    Id,
    Instant,
    MutationCtx,
    QueryCtx,
    internal_action,
    internal_mutation,
    mutation,
    query,
)

LINE_MAX: Final = 2_000
KEY_MAX: Final = 100
LISTED_MAX: Final = 5_000
RECENT: Final = 20

_ADDRESS: Final = re.compile(r"https?://\w[^\s<>\"`]*", re.IGNORECASE)


@mutation
def add(ctx: MutationCtx, line: str, captured_at: Instant, zone: str, key: str) -> Id[Capture]:
    """Put down a line; one with the same ``key`` that is there already is the same one.

    The device says when and where that was: it may send the line much later. What it says wrongly
    is put right and not refused, so that no line is lost by a wrong clock.

    Raises: AppError if there is nothing in the line, or too much.
    """
    known = ctx.db.scan(Capture.by_key[_checked_key(key)]).unique()
    if known is not None:
        return known.id
    text = clean_line(line)
    url = first_address(text)
    settings = settings_of(ctx)
    at = time_of_capture(captured_at, ctx.clock.now())
    where = zone if is_zone(zone) else settings.home_zone
    capture = Capture(
        text=text,
        key=key,
        captured_at=at,
        zone=where,
        url=url,
        parsed_kind=parse(text, at, where, settings).kind,
    )
    ident = ctx.db.insert(capture)
    if url is not None:
        ctx.scheduler.run_after(0, fetch_title, capture=ident, url=url)
    return ident


@query(name="list")
def list_captures(ctx: QueryCtx) -> list[Capture]:
    """Give what was put down and not yet looked at, the newest first."""
    return ctx.db.scan(Capture.by_state["open"]).desc().take(LISTED_MAX)


@query
def recent(ctx: QueryCtx) -> list[Capture]:
    """Give the captures that were made into something last, the newest of these first."""
    return ctx.db.scan(Capture.by_settled["triaged"]).desc().take(RECENT)


@mutation
def triage(
    ctx: MutationCtx,
    capture: Id[Capture],
    kind: ItemKind,
    board: Id[Board] | None = None,
    line: str | None = None,
) -> Became:
    """Make a capture into a task, a note or a reminder: of its line, or of another given here.

    One that was made into something already stays that: two may sort the same inbox.

    Raises: AppError if the capture is gone, or a reminder's line does not say when.
    """
    found = ctx.db.get(capture)
    if found is None or found.state == "removed":
        raise AppError("This line is gone: someone has removed it.")
    if found.became is not None:
        return found.became
    given = Line(found.text if line is None else clean_line(line), found)
    became = Became(kind, _make(ctx, kind, given, board))
    ctx.db.patch(capture, state="triaged", became=became, settled_at=ctx.clock.now())
    return became


def _make(ctx: MutationCtx, kind: ItemKind, line: Line, board: Id[Board] | None) -> str:
    match kind:
        case "note":
            return note_of(ctx, line)
        case "reminder":
            return reminder_of(ctx, line)
        case "task":
            return task_of(ctx, line, board)
    assert_never(kind)


@mutation
def remove(ctx: MutationCtx, capture: Id[Capture]) -> None:
    """Take a capture off the lists. What it was made into stays."""
    found = ctx.db.get(capture)
    # Its row stays: the line that a device sends again must not come back.
    if found is not None and found.state != "removed":
        ctx.db.patch(capture, state="removed", settled_at=ctx.clock.now())


@internal_action
async def fetch_title(ctx: ActionCtx, capture: Id[Capture], url: str) -> None:
    """Ask a page for its title. Why there is none is told by the record of this job."""
    title = await title_at(ctx.http, url)
    if title is None:
        raise AppError(f"{url} has no title.")
    await ctx.run(note_title, capture=capture, title=title)


@internal_mutation
def note_title(ctx: MutationCtx, capture: Id[Capture], title: str) -> None:
    """Note what the page of a capture is called."""
    if ctx.db.get(capture) is not None:
        ctx.db.patch(capture, page_title=title)


def clean_line(line: str) -> str:
    """Make one line of a text. Raises: AppError if there is nothing in it, or too much."""
    text = " ".join(line.split())
    if not text:
        raise AppError("There is nothing in this line. Type at least one letter.")
    if len(text) > LINE_MAX:
        raise AppError(
            f"The line has {len(text)} characters; {LINE_MAX} is the most. "
            "Put a longer text into a note."
        )
    return text


def first_address(text: str) -> str | None:
    """Give the first address of a page in a text, without the marks that end a sentence."""
    found = _ADDRESS.search(text)
    if found is None:
        return None
    address = found[0].rstrip(".,;:!?'*_")
    while address.endswith((")", "]")) and address.count(address[-1]) > address.count(
        "(" if address[-1] == ")" else "["
    ):
        address = address[:-1].rstrip(".,;:!?'*_")
    return address


def _checked_key(key: str) -> str:
    if not 1 <= len(key) <= KEY_MAX:
        raise AppError(
            f"The key of a capture has 1 to {KEY_MAX} characters, made up once by the device, "
            "such as a UUID."
        )
    return key


def time_of_capture(said: Instant, now: Instant) -> Instant:
    """Give the time that a device says, unless it cannot be."""
    return said if 0 <= said <= now else now
