"""Kinds in each other, made by chance: TypeScript takes every value that the server takes."""

import json
import random
from datetime import date, time
from pathlib import Path
from typing import Any, Literal, Union

import attrs
import orjson
import pytest

from flow_backend.deploy.codegen import types_of
from flow_backend.functions.registry import make_app
from flow_backend.schema.document import Id, Instant
from flow_backend.values.value import Int64
from tests.deploy.kinds import BOARD, NUMBERS, Board, echo
from tests.deploy.typescript import compile_types, missing, write_project
from tests.effort import cases

Made = tuple[Any, Any]
"""An annotation, and a value of it."""

_DEPTH = 4


class Chance:
    """Draws annotations with values of them. Each class is a new one."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.classes = 0

    def any_kind(self, depth: int = 0) -> Made:
        inner = [self.listed, self.paired, self.named, self.either, self.of_class]
        return self.random.choice([self.simple] if depth == _DEPTH else [self.simple, *inner])(
            depth + 1
        )

    def simple(self, depth: int) -> Made:
        return self.random.choice(
            [
                (str, 'é"\\`'),
                (int, 3),
                (float, 1.5),
                (bool, True),
                (None, None),
                (Int64, Int64(7)),
                (bytes, b"\0"),
                (Instant, Instant(5.0)),
                (date, date(2026, 11, 22)),
                (time, time(8)),
                (Id[Board], BOARD),
                (Literal["a", "b c"], "b c"),
                (Literal[1, True], 1),
            ]
        )

    def listed(self, depth: int) -> Made:
        annotation, value = self.any_kind(depth)
        held = [value] * self.random.randrange(3)
        return self.random.choice([(list[annotation], held), (tuple[annotation, ...], tuple(held))])

    def paired(self, depth: int) -> Made:
        (first, one), (second, other) = self.any_kind(depth), self.any_kind(depth)
        return tuple[first, second], (one, other)

    def named(self, depth: int) -> Made:
        annotation, value = self.any_kind(depth)
        return dict[str, annotation], {"a": value, "b c": value}

    def either(self, depth: int) -> Made:
        (first, one), (second, other) = self.any_kind(depth), self.any_kind(depth)
        return Union[first, second], self.random.choice([one, other])  # noqa: UP007

    def of_class(self, depth: int) -> Made:
        made = [self.any_kind(depth) for _ in range(self.random.randrange(1, 4))]
        fields = {f"f{place}": each for place, each in enumerate(made)}
        body: dict[str, Any] = {
            name: attrs.field(default=self._default(value)) for name, (_, value) in fields.items()
        }
        body["__annotations__"] = {name: annotation for name, (annotation, _) in fields.items()}
        body["__module__"] = __name__
        self.classes += 1
        cls: Any = attrs.frozen(kw_only=True)(type(f"Class{self.classes}", (), body))
        return cls, cls(**{name: value for name, (_, value) in fields.items()})

    def _default(self, value: Any) -> Any:
        return attrs.Factory(lambda: value) if self.random.random() < 0.5 else attrs.NOTHING


def literal(value: Any, *, sent: bool) -> str:
    """Print a value as a TypeScript expression; what has a default is left out if it is sent."""
    match value:
        case Int64():
            return f"{int(value)}n"
        case bytes():
            return f"new ArrayBuffer({len(value)})"
        case Id():
            return f'("{value}" as Id<"boards">)'
        case date() | time():
            return json.dumps(to_text(value))
        case list() | tuple():
            return f"[{', '.join(literal(each, sent=sent) for each in value)}]"
        case dict():
            parts = (f"{json.dumps(n)}: {literal(each, sent=sent)}" for n, each in value.items())
            return f"{{ {', '.join(parts)} }}"
        case _ if attrs.has(type(value)):
            parts = (
                f"{each.name}: {literal(getattr(value, each.name), sent=sent)}"
                for each in attrs.fields(type(value))
                if not sent or each.default is attrs.NOTHING
            )
            return f"{{ {', '.join(parts)} }}"
        case _:
            return json.dumps(value)


def to_text(value: date | time) -> str:
    return value.isoformat("minutes") if isinstance(value, time) else value.isoformat()


@pytest.mark.slow
@pytest.mark.node
def test_typescript_takes_every_value_that_the_server_takes(tmp_path: Path) -> None:
    why = missing()
    if why is not None:
        pytest.skip(why)
    chance = Chance(seed=1)
    drawn = {f"kind{number}": chance.any_kind() for number in range(cases(2000))}
    app = make_app("chance", [Board], {f"all:{n}": echo(kind) for n, (kind, _) in drawn.items()})
    contracts = app.bind(NUMBERS).contracts
    lines = [
        'import type { FunctionArgs, FunctionReturnType } from "convex/server";',
        'import { api } from "./api";',
        'import type { Id } from "./dataModel";',
    ]
    for name, (_, value) in drawn.items():
        back = orjson.loads(contracts[f"all:{name}"].result(value))
        contracts[f"all:{name}"].arguments({"value": back})
        of = f"typeof api.all.{name}"
        lines += [
            f'export const s{name}: FunctionArgs<{of}>["value"] = {literal(value, sent=True)};',
            f"export const g{name}: FunctionReturnType<{of}> = {literal(value, sent=False)};",
        ]
    write_project(tmp_path, {**types_of(app), "values.ts": "\n".join(lines)})

    said = compile_types(tmp_path)

    assert said == {}, {key: (text, lines[key[1] - 1]) for key, text in said.items()}
