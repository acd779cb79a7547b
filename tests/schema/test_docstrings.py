"""What a docstring says reaches those who write TypeScript, in a form that they read."""

from flow_backend.schema.docstrings import Docs, read_docstring


def test_names_are_taken_out_and_the_rest_stays() -> None:
    docs = read_docstring(
        """Move a task; see :func:`flow.tasks.add`.

        It stays on its ``board``.

        Args:
            ctx: the mutation.
            task, board: where
                and what:
                    deeper.
            after: the neighbour
        Raises: AppError if it is gone.
        """
    )

    assert docs.text == (
        "Move a task; see `flow.tasks.add`.\n\n"
        "It stays on its `board`.\n\n"
        "Raises: AppError if it is gone."
    )
    assert docs.items == {
        "ctx": "the mutation.",
        "task": "where and what: deeper.",
        "board": "where and what: deeper.",
        "after": "the neighbour",
    }


def test_text_of_another_form_is_kept_whole() -> None:
    text = "One line: with a colon.\n\nAttributes of note: many.\n    indented: kept"
    assert read_docstring(text) == Docs(text)


def test_text_may_follow_a_section() -> None:
    docs = read_docstring("A.\n\nAttributes:\n    x: an x.\n\nMore text.")
    assert docs == Docs("A.\n\nMore text.", {"x": "an x."})


def test_there_may_be_none() -> None:
    assert read_docstring(None) == read_docstring("") == Docs()
