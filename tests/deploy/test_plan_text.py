"""How a plan reads."""

from typing import Any

from flow_backend.deploy.plan_text import brief, plan_lines, problem_lines, progress_text

SUMMARY: dict[str, Any] = {
    "functions": {
        "added": ["notes:add"],
        "removed": ["notes:old"],
        "changed": {"notes:list": ["arguments", "result"]},
    },
    "indexes": {"added": ["notes.by_text"], "removed": [], "changed": {}},
    "fill": [{"index": "notes.by_text", "documents": 12345.0}],
}


def test_each_change_has_a_line() -> None:
    assert plan_lines(SUMMARY) == [
        "  functions  + notes:add",
        "             ~ notes:list  (arguments, result)",
        "             - notes:old",
        "  indexes    + notes.by_text",
        "  to fill    notes.by_text: 12,345 documents",
    ]
    assert plan_lines({}) == []


def test_a_long_list_is_cut_and_says_so() -> None:
    names = [f"notes:f{number}" for number in range(1041)]
    lines = plan_lines({"functions": {"added": names}})

    assert (len(lines), lines[-1]) == (41, "             … and 1,001 more")


def test_a_version_is_told_in_a_few_words() -> None:
    assert brief(SUMMARY) == "functions +1 ~1 -1, indexes +1"
    assert brief({}) == ""


def test_a_document_that_does_not_fit_is_named() -> None:
    text = 'table "notes", document j5, stars: expected a number'
    problem = {"kind": "document", "text": text, "table": "notes", "id": "j5", "path": "stars"}

    assert problem_lines([problem, {"kind": "code", "text": "app/x.py:3: no"}]) == [
        f"  {text}",
        "  app/x.py:3: no",
    ]


def test_progress_is_told_with_its_numbers() -> None:
    assert progress_text({"state": "checking", "progress": {}}) == "checking"
    progress = {"what": "documents", "done": 1000.0, "total": 2500.0}
    assert progress_text({"state": "checking", "progress": progress}) == (
        "checking: 1,000 of 2,500 documents"
    )
