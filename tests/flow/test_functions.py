"""The functions whose names, arguments and results other clients are written against."""

import re

import pytest

from flow_backend.functions.function import Kind
from tests.flow.support import APP, Flow, RunningFlow, Said

SETTINGS = {
    *("home_zone", "morning", "afternoon", "evening", "night", "workday_end", "all_day_reminder"),
    *("week_starts", "date_order", "quiet_from", "quiet_until", "webhook_url", "webhook_secret"),
}
REMINDER = {"due_date", "due_time", "zone", "at", "rule", "anchor", "task", "offset"}
# Path: kind, arguments that must be given, those that may be left out.
FIXED: dict[str, tuple[Kind, set[str], set[str]]] = {
    "boards:create": (Kind.MUTATION, {"title"}, {"columns"}),
    "boards:list": (Kind.QUERY, set(), set()),
    "boards:get": (Kind.QUERY, {"board"}, set()),
    "captures:add": (Kind.MUTATION, {"line", "captured_at", "zone", "key"}, set()),
    "captures:list": (Kind.QUERY, set(), set()),
    "captures:recent": (Kind.QUERY, set(), set()),
    "captures:triage": (Kind.MUTATION, {"capture", "kind"}, {"board", "line"}),
    "captures:remove": (Kind.MUTATION, {"capture"}, set()),
    "captures:fetch_title": (Kind.ACTION, {"capture", "url"}, set()),
    "captures:note_title": (Kind.MUTATION, {"capture", "title"}, set()),
    "notes:create": (Kind.MUTATION, set(), {"title", "body", "tags"}),
    "notes:list": (Kind.QUERY, set(), {"tag"}),
    "notes:get": (Kind.QUERY, {"note"}, set()),
    "notes:edit": (Kind.MUTATION, {"note", "base"}, {"title", "body", "tags", "pinned"}),
    "notes:search": (Kind.QUERY, {"text"}, {"count"}),
    "notes:remove": (Kind.MUTATION, {"note"}, set()),
    "notes:forget_versions": (Kind.MUTATION, {"note"}, set()),
    "people:settings": (Kind.QUERY, set(), set()),
    "people:change_settings": (Kind.MUTATION, set(), SETTINGS),
    "people:offer_zone": (Kind.MUTATION, {"zone"}, set()),
    "reminders:create": (Kind.MUTATION, {"title"}, REMINDER),
    "reminders:list": (Kind.QUERY, set(), set()),
    "reminders:ringing": (Kind.QUERY, set(), set()),
    "reminders:away": (Kind.QUERY, set(), set()),
    "reminders:attempts": (Kind.QUERY, {"reminder"}, set()),
    "reminders:snooze_presets": (Kind.QUERY, set(), set()),
    "reminders:snooze": (Kind.MUTATION, {"reminder"}, {"until", "preset"}),
    "reminders:acknowledge": (Kind.MUTATION, {"reminder"}, {"occurrence"}),
    "reminders:cancel": (Kind.MUTATION, {"reminder"}, set()),
    "reminders:restore": (Kind.MUTATION, {"reminder"}, set()),
    "ringing:ring": (Kind.MUTATION, {"reminder", "wakes_at"}, set()),
    "webhook:turn": (Kind.MUTATION, {"delivery", "rings", "attempt"}, set()),
    "webhook:message": (Kind.QUERY, {"delivery"}, set()),
    "webhook:send": (Kind.ACTION, {"delivery", "attempt"}, set()),
    "webhook:note": (Kind.MUTATION, {"delivery", "attempt", "status", "error"}, set()),
    "zone_moves:derive_more": (Kind.MUTATION, {"cursor"}, set()),
    "tasks:list": (Kind.QUERY, {"board"}, set()),
    "tasks:page": (Kind.QUERY, {"board", "paginationOpts"}, set()),
    "tasks:get": (Kind.QUERY, {"task"}, set()),
    "tasks:add": (
        Kind.MUTATION,
        {"board", "title"},
        {"column", "body", "labels", "due_date", "due_time", "zone", "priority"},
    ),
    "tasks:quick_add": (Kind.MUTATION, {"line", "captured_at", "zone"}, {"board", "key"}),
    "tasks:set_due": (Kind.MUTATION, {"task", "due_date"}, {"due_time", "zone"}),
    "tasks:set_repeat": (Kind.MUTATION, {"task", "rule"}, {"anchor"}),
    "tasks:set_reminders": (Kind.MUTATION, {"task", "offsets"}, set()),
    "tasks:search": (Kind.QUERY, {"text"}, {"board", "count"}),
    "tasks:overdue": (Kind.QUERY, set(), set()),
    "tasks:today": (Kind.QUERY, set(), set()),
    "tasks:upcoming": (Kind.QUERY, set(), {"days"}),
    "zone_moves:move_more_tasks": (Kind.MUTATION, {"cursor"}, set()),
    "capture_bar:preview": (Kind.QUERY, {"line", "captured_at", "zone"}, set()),
    "tasks:move": (Kind.MUTATION, {"task", "column"}, {"before", "after"}),
    "tasks:edit": (Kind.MUTATION, {"task"}, {"title", "body", "labels", "priority"}),
    "tasks:complete": (Kind.MUTATION, {"task"}, {"due_at"}),
    "tasks:reopen": (Kind.MUTATION, {"task"}, set()),
    "tasks:remove": (Kind.MUTATION, {"task"}, set()),
}


def test_the_functions_and_their_arguments_are_the_fixed_ones(flow: Flow) -> None:
    """Clients of others call these by name; a renamed argument breaks them all."""
    found = {
        path: (
            APP.functions[path].kind,
            {p.wire_name for p in contract.parameters if p.required},
            {p.wire_name for p in contract.parameters if not p.required},
        )
        for path, contract in flow.runner.app.contracts.items()
        if path in APP.functions
    }

    assert found == FIXED


async def test_a_board_is_made_listed_and_read(running: RunningFlow) -> None:
    """Without columns a board has the three that everybody knows."""
    first = await running.do("boards:create", title="  Move   house ")
    second = await running.do("boards:create", title="Bakery", columns=["Mix", "Bake", "Mix"])

    board = await running.query("boards:get", board=first)
    assert set(board) == {"_id", "_creationTime", "title", "columns"}
    assert board["_id"] == first
    assert board["title"] == "Move house"
    assert board["columns"] == [
        {"key": "to-do", "title": "To do"},
        {"key": "doing", "title": "Doing"},
        {"key": "done", "title": "Done"},
    ]
    boards = await running.query("boards:list")
    assert [each["_id"] for each in boards] == [first, second]
    assert [column["key"] for column in boards[1]["columns"]] == ["mix", "bake", "mix-2"]


async def test_a_task_lives_from_add_to_remove(running: RunningFlow) -> None:
    """Each function of a task gives what the table says, and tasks:get shows its effect."""
    board = await running.do("boards:create", title="Garden")
    task = await running.do(
        "tasks:add", board=board, title="Plant garlic", body="20 cloves", labels=["bed 2", "bed 2"]
    )

    added = await running.query("tasks:get", task=task)
    assert {key: value for key, value in added.items() if key != "_creationTime"} == {
        "_id": task,
        "board": board,
        "column": "to-do",
        "rank": "a0",
        "title": "Plant garlic",
        "body": "20 cloves",
        "labels": ["bed 2"],
        "capture": None,
        "completed_at": None,
        "due_date": None,
        "due_time": None,
        "zone": None,
        "due_at": None,
        "priority": None,
        "duration": None,
        "rule": None,
        "repeat": None,
    }
    edited = await running.do("tasks:edit", task=task, title="Plant the garlic", labels=[])
    moved = await running.do("tasks:move", task=task, column="doing")
    completed = await running.do("tasks:complete", task=task)
    assert [edited, moved, completed] == [None, None, None]
    done = await running.query("tasks:get", task=task)
    assert (done["title"], done["body"], done["labels"]) == ("Plant the garlic", "20 cloves", [])
    assert done["column"] == "doing"
    assert done["completed_at"] >= done["_creationTime"] - 1
    assert await running.do("tasks:reopen", task=task) is None
    assert (await running.query("tasks:get", task=task))["completed_at"] is None
    assert await running.do("tasks:remove", task=task) is None
    assert await running.query("tasks:get", task=task) is None
    assert await running.query("tasks:list", board=board) == []


async def test_tasks_come_in_the_order_of_the_boards_columns(running: RunningFlow) -> None:
    """The index has columns by key; people have them in the board's order."""
    board = await running.do("boards:create", title="Trip", columns=["Zoo", "Beach", "Alps"])
    for column, title in [("alps", "Hike"), ("beach", "Swim"), ("zoo", "Lions"), ("alps", "Ski")]:
        await running.do("tasks:add", board=board, title=title, column=column)
    other = await running.do("boards:create", title="Another")
    await running.do("tasks:add", board=other, title="Elsewhere")

    tasks = await running.query("tasks:list", board=board)

    assert [task["title"] for task in tasks] == ["Lions", "Swim", "Hike", "Ski"]


async def test_pages_give_each_task_once(running: RunningFlow) -> None:
    """The official clients page with Convex's argument and result."""
    board = await running.do("boards:create", title="Long")
    tasks = [await running.do("tasks:add", board=board, title=str(n)) for n in range(7)]

    seen: list[str] = []
    cursor, done = None, False
    while not done:
        options = {"numItems": 3, "cursor": cursor}
        page = await running.query("tasks:page", board=board, paginationOpts=options)
        seen += [task["_id"] for task in page["page"]]
        cursor, done = page["continueCursor"], page["isDone"]

    assert seen == tasks


def test_done_twice_keeps_the_first_time_and_writes_nothing(flow: Flow) -> None:
    """Two people may tick the same task."""
    task = flow.do("tasks:add", board=flow.board(), title="Pay rent")

    first = flow.mutate("tasks:complete", task=task).written
    at = flow.query("tasks:get", task=task)["completed_at"]
    again = flow.mutate("tasks:complete", task=task).written
    still_at = flow.query("tasks:get", task=task)["completed_at"]
    reopened = [flow.mutate("tasks:reopen", task=task).written for _ in range(2)]

    assert (first, again, reopened) == (1, 0, [1, 0])
    assert still_at == at


def test_an_edit_that_changes_nothing_writes_nothing(flow: Flow) -> None:
    """Nobody's screen is to wake for it."""
    task = flow.do("tasks:add", board=flow.board(), title="Pay rent", body="by Friday")

    assert flow.mutate("tasks:edit", task=task).written == 0
    assert flow.mutate("tasks:edit", task=task, title=" Pay  rent ", body="by Friday").written == 0
    assert flow.mutate("tasks:edit", task=task, body="").written == 1


def test_what_cannot_be_is_refused_in_a_sentence(flow: Flow) -> None:
    """A toast shows the data of the error as it is, so it is a sentence that says what to do."""
    board = flow.board()
    task = flow.do("tasks:add", board=board, title="x")
    gone = flow.do("tasks:add", board=board, title="gone")
    flow.do("tasks:remove", task=gone)
    many = [f"label {number}" for number in range(21)]

    said = [
        refusal(flow, "boards:create", title="  "),
        refusal(flow, "boards:create", title="B", columns=[]),
        refusal(flow, "boards:create", title="B", columns=["A", ""]),
        refusal(flow, "boards:create", title="B", columns=["A"] * 51),
        refusal(flow, "tasks:add", board=board, title="\n"),
        refusal(flow, "tasks:add", board=board, title="x" * 201),
        refusal(flow, "tasks:add", board=board, title="x", column="nowhere"),
        refusal(flow, "tasks:add", board=board, title="x", body="x" * 100_001),
        refusal(flow, "tasks:add", board=board, title="x", labels=many),
        refusal(flow, "tasks:edit", task=task, labels=["x" * 51]),
        refusal(flow, "tasks:edit", task=task, title=""),
        refusal(flow, "tasks:move", task=task, column="nowhere", before=task),
        *(
            refusal(flow, f"tasks:{name}", task=gone, **more)
            for name, more in {"move": {"column": "doing"}, "edit": {}, "complete": {}}.items()
        ),
        refusal(flow, "tasks:reopen", task=gone),
    ]

    assert [text for text in said if not re.fullmatch(r"[A-Z][^\n]{15,}\.", text)] == []
    assert said[6] == (
        'The board "Kitchen" has no column "nowhere". Its columns are to-do, doing, done.'
    )
    assert said[-1] == "This task is gone: someone has removed it."


def refusal(flow: Flow, path: str, **arguments: object) -> str:
    with pytest.raises(Said) as refused:
        flow.do(path, **arguments)
    return str(refused.value)


def test_a_task_that_is_gone_can_be_removed_again(flow: Flow) -> None:
    """Two people may remove the same task; neither did anything wrong."""
    task = flow.do("tasks:add", board=flow.board(), title="x")

    assert flow.mutate("tasks:remove", task=task).written == 1
    assert flow.mutate("tasks:remove", task=task).written == 0


def test_an_id_of_another_table_is_a_wrong_argument(flow: Flow) -> None:
    """A task's id where a board's belongs is the caller's mistake, and is named as such."""
    task = flow.do("tasks:add", board=flow.board(), title="x")

    with pytest.raises(AssertionError, match=r"boards:get(.|\n)*board"):
        flow.query("boards:get", board=task)


def test_a_board_that_is_not_there(flow: Flow) -> None:
    """A link to a board may outlive it: it is null, and has no tasks."""
    board = flow.board()
    flow.erase("boards", board)

    assert flow.query("boards:get", board=board) is None
    assert flow.tasks(board) == []
    assert refusal(flow, "tasks:add", board=board, title="x") == (
        "This board is gone: someone has removed it."
    )
