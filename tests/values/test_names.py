"""Which names fields, documents' fields and identifiers may have."""

import pytest

from flow_backend.errors import InvalidValue
from flow_backend.values import names
from flow_backend.values.names import (
    check_document_names,
    check_field_name,
    check_field_names,
    check_identifier,
)

BAD_NAMES = [
    ("$x", "Field name $x starts with '$', which is reserved."),
    (
        "ä",
        "Field name ä has invalid character 'ä': "
        "Field names can only contain non-control ASCII characters",
    ),
    ("a\x7f", "has invalid character '\x7f'"),
    ("a\nb", "has invalid character '\n'"),
    ("\ud800", "Field name \\ud800 has invalid character '\\ud800'"),
    ("x" * 1025, "Field name is too long (1025 > maximum 1024)"),
]


@pytest.mark.parametrize("name", ["", "a", "_a", " ", "~", "a$", "x" * 1024])
def test_any_printable_ascii_is_a_field_name(name: str) -> None:
    check_field_name(name)
    check_field_names([name, name])


@pytest.mark.parametrize(("name", "message"), BAD_NAMES)
def test_a_bad_field_name_is_refused_each_time(name: str, message: str) -> None:
    """Twice: good names are remembered, and a bad one must never be."""
    for _ in range(2):
        with pytest.raises(InvalidValue) as caught:
            check_field_names(["good", name])

        assert message in str(caught.value)
        assert str(caught.value).encode()  # The message itself can go on the wire.


def test_a_field_name_is_a_string() -> None:
    with pytest.raises(InvalidValue, match="Field names are strings, not int"):
        check_field_names([1])


def test_more_names_than_are_remembered_stay_good_and_bad() -> None:
    """Names come from clients too, so what is remembered of them has a bound."""
    check_field_names([f"n{number}" for number in range(10_000)])
    check_field_names(["x" * 65])

    remembered = names._known  # pyright: ignore[reportPrivateUsage]
    assert len(remembered) <= 4096
    assert "x" * 65 not in remembered
    check_field_names(["n1", "n9999"])
    with pytest.raises(InvalidValue):
        check_field_names(["n1", "$n"])


def test_only_the_system_begins_a_documents_field_with_an_underscore() -> None:
    check_document_names(["_id", "_creationTime", "a_"])
    with pytest.raises(InvalidValue) as caught:
        check_document_names(["_x"])
    assert str(caught.value) == (
        "Field '_x' starts with an underscore, which is only allowed for system fields like '_id'"
    )


@pytest.mark.parametrize("name", ["a", "_a", "A9_", "x" * 64])
def test_an_identifier_is_taken(name: str) -> None:
    check_identifier(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "empty"),
        ("x" * 65, r"Identifier is too long \(65 > maximum 64\)"),
        ("9a", "Identifiers must start with an alphabetic character or underscore"),
        ("a-b", "letters, digits and underscores"),
        ("a\n", "letters, digits and underscores"),
        ("é", "letters, digits and underscores"),
        ("__", "only underscores"),
    ],
)
def test_what_is_no_identifier_is_refused(name: str, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        check_identifier(name)
