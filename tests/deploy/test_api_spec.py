"""What third-party generators read (``function-spec``) fits the values of every kind."""

from typing import Any

import pytest

from flow_backend.functions.api_spec import api_spec
from flow_backend.functions.describe import describe_app
from tests.deploy.kinds import KINDS, Kind, kinds_app


@pytest.fixture(scope="module")
def entries() -> dict[str, Any]:
    found: list[Any] = api_spec(describe_app(kinds_app()))
    return {each["identifier"]: each for each in found}


def fits(validator: Any, wire: Any) -> bool:
    """Check a value in wire form by a validator, as Convex's documentation describes it."""
    match validator["type"]:
        case "any":
            return True
        case "null":
            return wire is None
        case "boolean":
            return isinstance(wire, bool)
        case "number":
            return isinstance(wire, float)
        case "string" | "id":
            return isinstance(wire, str)
        case "bigint":
            return isinstance(wire, dict) and list(wire) == ["$integer"]
        case "bytes":
            return isinstance(wire, dict) and list(wire) == ["$bytes"]
        case "literal":
            return type(wire) is type(validator["value"]) and wire == validator["value"]
        case "array":
            return isinstance(wire, list) and all(fits(validator["value"], each) for each in wire)
        case "union":
            return any(fits(each, wire) for each in validator["value"])
        case "record":
            keys, values = validator["keys"], validator["values"]["fieldType"]
            return isinstance(wire, dict) and all(
                fits(keys, name) and fits(values, each) for name, each in wire.items()
            )
        case "object":
            fields = validator["value"]
            return (
                isinstance(wire, dict)
                and all(
                    name in fields and fits(fields[name]["fieldType"], wire[name]) for name in wire
                )
                and all(name in wire or each["optional"] for name, each in fields.items())
            )
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_validators_of_a_kind_fit_its_values(entries: dict[str, Any], kind: Kind) -> None:
    entry = entries[f"kinds.js:{kind.name}"]
    back = kind.wire if kind.back is None else kind.back

    assert fits(entry["args"], {"value": kind.wire})
    assert not fits(entry["args"], {"value": kind.wire, "more": None})
    assert not fits(entry["args"], {})
    assert fits(entry["returns"], back)
    if kind.annotation not in {Any, object, dict}:
        assert not fits(entry["args"], {"value": {"$other": [kind.wire]}})


def test_defaults_are_optional_and_pages_are_objects(entries: dict[str, Any]) -> None:
    args = entries["kinds.js:defaulted"]["args"]
    assert fits(args, {"needed": 1.0})
    assert fits(args, {"needed": 1.0, "text": None, "count": 2.0})
    assert not fits(args, {"text": None})
    paged = entries["parts/deep.js:paged"]
    assert fits(paged["args"], {"paginationOpts": {"numItems": 1.0, "cursor": None}})
    board = {"_id": "x", "_creationTime": 1.0, "name": "a", "colour": "b"}
    page = {"page": [board], "isDone": True, "continueCursor": "c"}
    assert fits(paged["returns"], {**page, "splitCursor": None, "pageStatus": "SplitRequired"})
