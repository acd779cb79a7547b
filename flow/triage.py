"""What a capture is made into: the line read by quick add, and the item with its link back."""

from attrs import evolve, frozen

from flow.boards import TITLE_MAX as TASK_TITLE_MAX
from flow.making import make_item, read_line
from flow.notes import TITLE_MAX as NOTE_TITLE_MAX
from flow.notes import make_note
from flow.quick_add.result import QuickAdd
from flow.schema import Board, Capture, Note
from flow_backend import AppError, Id, MutationCtx


@frozen
class Line:
    """A line to make something of, and the capture that it comes from."""

    text: str
    capture: Capture

    def read(self, ctx: MutationCtx) -> QuickAdd:
        """Read it as of when and where it was put down: "tomorrow" was meant from there."""
        return read_line(ctx, self.text, self.capture.captured_at, self.capture.zone)


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


def reminder_of(ctx: MutationCtx, line: Line) -> str:
    """Make a reminder that rings when the line says.

    Raises: AppError if it does not say when.
    """
    item = line.read(ctx)
    if item.due_date is None:
        raise AppError(
            f'"{line.text}" does not say when to remind you. Add a time, such as "tomorrow 9am".'
        )
    return _made(ctx, line, evolve(item, kind="reminder"), None)


def task_of(ctx: MutationCtx, line: Line, board: Id[Board] | None) -> str:
    """Make a task of what the line says; where it names no project, on ``board``."""
    item = line.read(ctx)
    title, body = _apart(line, item.title, TASK_TITLE_MAX)
    text = "\n\n".join(filter(None, [body, item.body]))
    return _made(ctx, line, evolve(item, kind="task", title=title, body=text), board)


def _made(ctx: MutationCtx, line: Line, item: QuickAdd, board: Id[Board] | None) -> str:
    capture = line.capture
    return make_item(ctx, item, zone=capture.zone, board=board, capture=capture.id).id
