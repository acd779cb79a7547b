"""What a capture is made into: the line read by quick add, and the item with its link back."""

from typing import Final

from attrs import frozen

from flow.boards import TITLE_MAX as TASK_TITLE_MAX
from flow.boards import create
from flow.new_reminder import make_reminder
from flow.notes import TITLE_MAX as NOTE_TITLE_MAX
from flow.notes import make_note
from flow.quick_add.parse import parse
from flow.quick_add.result import QuickAdd
from flow.schema import Board, Capture, Note, Reminder, Task
from flow.settings import settings_of
from flow.tasks import add
from flow_backend import AppError, Id, MutationCtx

FIRST_BOARD: Final = "Tasks"


@frozen
class Line:
    """A line to make something of, and the capture that it comes from."""

    text: str
    capture: Capture

    def read(self, ctx: MutationCtx) -> QuickAdd:
        """Read it as of when and where it was put down: "tomorrow" was meant from there."""
        capture = self.capture
        return parse(self.text, capture.captured_at, capture.zone, settings_of(ctx))


def note_of(ctx: MutationCtx, line: Line) -> Id[Note]:
    """Make a note. Its line is no further read: a date in a note is a date in a note."""
    item = line.read(ctx)
    is_note = item.kind == "note"
    title, body = _apart(line, item.title if is_note else line.text, NOTE_TITLE_MAX)
    parts = [body, item.body if is_note else ""]
    return make_note(ctx, title, "\n\n".join(filter(None, parts)), capture=line.capture.id)


def _apart(line: Line, text: str, most: int) -> tuple[str, str]:
    """Make a title and a text of a line that may be long, or nothing but an address."""
    capture, parts = line.capture, list[str]()
    title = capture.page_title or text if text == capture.url else text
    if len(title) > most:
        parts.append(title)
        title = f"{title[: most - 1].rstrip()}…"
    if capture.url is not None and capture.url in text:
        parts.append(f"<{capture.url}>")
    return title, "\n\n".join(parts)


def reminder_of(ctx: MutationCtx, line: Line) -> Id[Reminder]:
    """Make a reminder that rings when the line says.

    Raises: AppError if it does not say when.
    """
    item, capture = line.read(ctx), line.capture
    if item.due_date is None:
        raise AppError(
            f'"{line.text}" does not say when to remind you. Add a time, such as "tomorrow 9am".'
        )
    # What was said elsewhere was meant by the clock there.
    elsewhere = None if capture.zone == settings_of(ctx).home_zone else capture.zone
    return make_reminder(
        ctx,
        title=item.title,
        due_date=item.due_date,
        due_time=item.due_time,
        zone=item.zone or elsewhere,
        at=item.due_at if item.rule is None else None,
        rule=item.rule,
        anchor=item.anchor,
        capture=capture.id,
    )


def task_of(ctx: MutationCtx, line: Line, board: Id[Board] | None) -> Id[Task]:
    """Make a task in the first column of a board; without one, of the oldest that there is."""
    if board is None:
        oldest = ctx.db.scan(Board).first()
        board = ctx.run(create, title=FIRST_BOARD) if oldest is None else oldest.id
    title, body = _apart(line, line.text, TASK_TITLE_MAX)
    made = ctx.run(add, board=board, title=title, body=body)
    ctx.db.patch(made, capture=line.capture.id)
    return made
