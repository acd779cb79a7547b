"""The generated TypeScript says of each kind of annotation what the server takes and gives."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import frozen

from flow_backend.deploy.codegen import types_of
from flow_backend.errors import AppDefinitionError
from flow_backend.functions.function import Function, query
from flow_backend.functions.registry import App, make_app
from flow_backend.schema.document import Document, Id, document
from tests.deploy.kinds import KINDS, NUMBERS, Board, Kind, kinds_app
from tests.deploy.typescript import compile_types, missing, write_project


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_goes_through_the_boundary(kind: Kind) -> None:
    """What the table says of a kind is what the server does; TypeScript is held to the table."""
    contract = kinds_app().bind(NUMBERS).contracts[f"kinds:{kind.name}"]

    taken = contract.arguments({"value": kind.wire})

    assert taken == {"value": kind.value}
    assert type(taken["value"]) is type(kind.value) or isinstance(kind.value, Id)
    back = kind.wire if kind.back is None else kind.back
    assert orjson.loads(contract.result(kind.value)) == back


_ASSERTIONS = """
import type { FunctionArgs, FunctionReturnType, PaginationResult } from "convex/server";
import type { GenericId } from "convex/values";
import { ConvexHttpClient } from "convex/browser";
import { useMutation, usePaginatedQuery, useQuery } from "convex/react";
import { api } from "./api";
import type { Corner, CornerInput, Doc, Id, TableNames, Tree, TreeInput } from "./dataModel";

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
type Yes<T extends true> = T;
type Kinds = typeof api.kinds;
"""

_USES = """
declare const client: ConvexHttpClient;
declare const board: Id<"boards">;

export const right = async () => {
  const tree: Tree = await client.mutation(api.kinds.recursive, { value: { name: "a" } });
  await client.mutation(api.kinds.defaulted, { needed: 1 });
  await client.mutation(api.kinds.defaulted, { needed: 1, text: null, count: 2 });
  await client.mutation(api.parts.deep, { needed: 1 });
  const page: PaginationResult<Doc<"boards">> = await client.query(api.parts.deep.paged, {
    paginationOpts: { numItems: 1, cursor: null },
  });
  const colour: string | undefined = page.page[0]?.colour;
  const same: Id<"boards"> = await client.mutation(api.kinds.id, { value: board });
  return [tree.below[0]?.below[0]?.name, colour, same];
};

export const hooks = () => {
  const { results, loadMore } = usePaginatedQuery(api.parts.deep.paged, {}, { initialNumItems: 1 });
  const name: string | undefined = results[0]?.name;
  const page = useQuery(api.parts.deep.paged, { paginationOpts: { numItems: 1, cursor: null } });
  const echo = useMutation(api.kinds.pair).withOptimisticUpdate((store, { value: [, text] }) => {
    const shown: string = text;
    store.getQuery(api.parts.deep.paged, { paginationOpts: { numItems: 1, cursor: shown } });
  });
  return [name, page?.isDone, loadMore, echo({ value: [1, "a"] })];
};

export const wrong = async () => {
  await client.mutation(api.kinds.text, { value: 1 }); // wrong
  await client.mutation(api.kinds.text, {}); // wrong
  await client.mutation(api.kinds.text, { value: "a", more: 1 }); // wrong
  await client.query(api.kinds.text, { value: "a" }); // wrong
  await client.mutation(api.kinds.id, { value: "a" }); // wrong
  await client.mutation(api.kinds.literal, { value: "c" }); // wrong
  await client.mutation(api.kinds.class, { value: { x: 1 } }); // wrong
  await client.mutation(api.kinds.class_with_defaults, {
    value: { at: { x: 1, y: 1 }, size: 1 }, // wrong
  });
  await client.mutation(api.kinds.nothing, {}); // wrong
  const table: TableNames = "_crons"; // wrong
  const ident: Id<"tables"> = board; // wrong
  return [table, ident];
};
"""


def _assertions() -> str:
    lines: list[str] = []
    for kind in KINDS:
        of = f'Kinds["{kind.name}"]'
        lines += [
            f'Yes<Same<FunctionArgs<{of}>["value"], {kind.sent}>>,',
            f"Yes<Same<FunctionReturnType<{of}>, {kind.got or kind.sent}>>,",
        ]
    lines += [
        'Yes<Same<FunctionArgs<Kinds["unannotated"]>, Record<string, never>>>,',
        'Yes<Same<FunctionReturnType<Kinds["unannotated"]>, any>>,',
        "Yes<Same<TreeInput, { name: string; below?: TreeInput[] }>>,",
        "Yes<Same<Tree, { name: string; below: Tree[] }>>,",
        'Yes<Same<FunctionReturnType<Kinds["text"]>, number>>, // wrong',
        'Yes<Same<FunctionReturnType<Kinds["text"]>, any>>, // wrong',
    ]
    return _ASSERTIONS + "export type All = [\n" + "\n".join(lines) + "\n];\n" + _USES


@pytest.mark.slow
@pytest.mark.node
def test_typescript_says_what_the_server_takes_and_gives(tmp_path: Path) -> None:
    """One assertion for each kind and way; the lines marked as wrong show that they can fail."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    text = _assertions()
    write_project(tmp_path, {**types_of(kinds_app()), "assertions.ts": text})

    said = compile_types(tmp_path)

    wrong = {n for n, line in enumerate(text.splitlines(), 1) if line.endswith("// wrong")}
    assert set(said) == {("assertions.ts", line) for line in wrong}, said


def test_the_same_app_gives_the_same_text() -> None:
    """Whatever order its functions and classes were found in."""
    app = kinds_app()
    turned = make_app(
        "kinds_app", [Board], {path: app.functions[path] for path in reversed(app.functions)}
    )
    assert types_of(turned) == types_of(app)


def test_lines_are_of_a_readable_length() -> None:
    for text in types_of(kinds_app()).values():
        assert [line for line in text.splitlines() if len(line) > 100] == []
        assert text.startswith("/* eslint-disable */\n/**\n * The ")
        assert "Written by `flow codegen`" in text


# --- Names ----------------------------------------------------------------------------------------


def _class(name: str, module: str, **fields: Any) -> Any:
    made = type(name, (), {"__annotations__": fields, "__module__": module})
    made.__qualname__ = name
    return frozen(made)


def _app(documents: list[type[Document]], **results: Any) -> App:
    functions: dict[str, Function[..., Any]] = {}
    for path, annotation in results.items():

        @query
        def give(ctx: Any) -> Any:
            raise NotImplementedError

        give.call.__annotations__["return"] = annotation
        functions[f"all:{path}"] = give
    return make_app("names", documents, functions)


def test_classes_of_one_name_get_their_module_in_front() -> None:
    """Both of them: what a class is called does not hang on which was found first."""
    first = _class("Next", "names.tasks", at=int)
    second = _class("Next", "names.parts.old_tasks", at=str)

    files = types_of(_app([], a=first, b=second))

    assert "export type TasksNext = {\n  at: number;\n};" in files["dataModel.ts"]
    assert "export type PartsOldTasksNext = {\n  at: string;\n};" in files["dataModel.ts"]
    assert "export type Next " not in files["dataModel.ts"]


def test_classes_do_not_hide_what_the_files_use_themselves() -> None:
    record = _class("Record", "names.tasks", held=dict[str, int])
    files = types_of(_app([], a=record))
    assert (
        "export type TasksRecord = {\n  held: Record<string, number>;\n};" in files["dataModel.ts"]
    )


def test_names_that_cannot_be_told_apart_are_refused_in_words() -> None:
    first = _class("B", "names.tasks_a", at=int)
    second = _class("B", "names.tasks.a", at=str)
    with pytest.raises(AppDefinitionError) as caught:
        types_of(_app([], a=first, b=second))
    assert "would be called TasksAB in TypeScript, like tasks" in str(caught.value)
    assert "rename the class" in str(caught.value)


def test_a_document_and_a_class_may_clash_too() -> None:
    @document("tasks")
    class Task(Document):
        name: str

    Task.__module__ = "names.schema"
    other = _class("Task", "names.views", title=str)

    text = types_of(_app([Task], a=other))["dataModel.ts"]

    assert "  tasks: SchemaTask;" in text
    assert "export type ViewsTask = {" in text


def test_comments_cannot_end_early() -> None:
    """What a docstring says never becomes code."""
    made = _class("Odd", "names.tasks", at=int)
    made.__doc__ = "Odd */ export const x = 1; /*\n\nAttributes:\n    at: when */ or not"
    text = types_of(_app([], a=made))["dataModel.ts"]
    assert "*/ export" not in text
    assert "/** When *\\/ or not */" in text
