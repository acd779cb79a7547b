"""Makes the TypeScript of an app: ``api.ts`` and ``dataModel.ts`` for the official clients.

All types are flat and named; none is computed from another, so that a type checker has nothing to
work out in an app of hundreds of functions.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import define, field

from flow_backend.deploy.typescript_names import Names, choose_names
from flow_backend.deploy.typescript_print import (
    NO_FIELDS,
    WIDTH,
    Printer,
    comment,
    property_name,
)
from flow_backend.functions.describe import AppSpec, FunctionSpec
from flow_backend.schema.shapes import FieldShape, IdOf, Plain

_SERVER_TYPES: Final = ("FunctionReference", "PaginationOptions", "PaginationResult")


def typescript_files(spec: AppSpec) -> dict[str, str]:
    """Give the text of each generated file by its name. The same app gives the same text.

    Raises: AppDefinitionError if two classes cannot be told apart by their names.
    """
    names = choose_names(spec)
    return {"api.ts": _api(spec, names), "dataModel.ts": _data_model(spec, names)}


def _header(what: str) -> str:
    return (
        "/* eslint-disable */\n"
        + comment(
            f"{what}\n\n"
            "Written by `flow codegen` from the annotations of the Python code: change those, and "
            "run it again.",
            "",
        )
        + "\n"
    )


# --- api.ts ---------------------------------------------------------------------------------------


@define
class _Module:
    """A module of the app: its functions, and the modules of its folder."""

    functions: dict[str, FunctionSpec] = field(factory=dict[str, FunctionSpec], init=False)
    modules: dict[str, "_Module"] = field(factory=dict[str, "_Module"], init=False)


def _api(spec: AppSpec, names: Names) -> str:
    printer = Printer(names, frozenset(spec.tables))
    printer.used.add("FunctionReference")
    functions = spec.functions.values()
    public = _module_type(_tree(f for f in functions if not f.internal), printer, "")
    internal = _module_type(_tree(f for f in functions if f.internal), printer, "")
    own = sorted(printer.used.difference(_SERVER_TYPES, {"GenericId"}))
    server = [name for name in _SERVER_TYPES if name in printer.used]
    return (
        _header(f"The functions of the app `{spec.name}`, as the official clients call them.")
        + 'import { anyApi } from "convex/server";\n'
        + _import(server, "convex/server")
        + (_import(["GenericId"], "convex/values") if "GenericId" in printer.used else "")
        + (f"\n{_import(own, './dataModel')}" if own else "")
        + f"\nexport type Api = {public};\n"
        + f"\nexport type Internal = {internal};\n"
        + "\n/** The functions that clients may call, such as `api.tasks.list`. */\n"
        + "export const api = anyApi as unknown as Api;\n"
        + "\n/** Those that only the server's own functions and admins may call. */\n"
        + "export const internal = anyApi as unknown as Internal;\n"
    )


def _import(names: Sequence[str], source: str) -> str:
    flat = f'import type {{ {", ".join(names)} }} from "{source}";\n'
    if len(flat) <= WIDTH + 1:
        return flat
    return (
        f'import type {{\n{"".join(f"  {name},{chr(10)}" for name in names)}}} from "{source}";\n'
    )


def _tree(functions: Iterable[FunctionSpec]) -> _Module:
    root = _Module()
    for function in functions:
        module = root
        for part in function.module.split("/"):
            module = module.modules.setdefault(part, _Module())
        module.functions[function.name] = function
    return root


def _module_type(module: _Module, printer: Printer, indent: str) -> str:
    if not module.functions and not module.modules:
        return NO_FIELDS
    inner = indent + "  "
    body: list[str] = []
    for name in sorted({*module.functions, *module.modules}):
        function, below = module.functions.get(name), module.modules.get(name)
        # A folder may have a function of the name of one of its modules: then it is both.
        parts = [
            *([_reference(function, printer, inner, name)] if function is not None else []),
            *([_module_type(below, printer, inner)] if below is not None else []),
        ]
        docs = comment(function.docs, inner) if function is not None else ""
        body.append(f"{docs}{inner}{property_name(name)}: {' & '.join(parts)};\n")
    return f"{{\n{''.join(body)}{indent}}}"


def _reference(function: FunctionSpec, printer: Printer, indent: str, name: str) -> str:
    kind = f'"{function.kind}"'
    visibility = '"internal"' if function.internal else '"public"'
    inner = indent + "  "
    result = printer.type(function.returns, sent=False)
    room = WIDTH - len(inner) - len(",")
    arguments = printer.object(function.arguments, inner, sent=True, room=room)
    parts = (kind, visibility, arguments, result)
    flat = f"FunctionReference<{', '.join(parts)}>"
    if "\n" not in arguments and len(f"{indent}{property_name(name)}: {flat};") <= WIDTH:
        return flat
    return "FunctionReference<\n" + ",\n".join(f"{inner}{each}" for each in parts) + f"\n{indent}>"


# --- dataModel.ts ---------------------------------------------------------------------------------

_ALIASES: Final = """/** A point in time: milliseconds since the Unix epoch, as of `Date.now()`. */
export type Instant = number;

/** A calendar date, such as "2026-11-22". */
export type DateText = string;

/** A time of day, such as "08:00" or "08:00:30". */
export type TimeText = string;
"""


def _data_model(spec: AppSpec, names: Names) -> str:
    printer = Printer(names, frozenset(spec.tables))
    types = _types(spec, names, printer)
    by_table = {table: names.documents[table] for table in spec.tables}
    documents = "".join(f"  {table}: {name};\n" for table, name in by_table.items())
    tables = " | ".join(f'"{name}"' for name in by_table) or "never"
    declared = f"export type TableNames = {tables};"
    if len(declared) > WIDTH:
        declared = (
            "export type TableNames =" + "".join(f'\n  | "{name}"' for name in by_table) + ";"
        )
    server = [name for name in _SERVER_TYPES if name in printer.used]
    return (
        _header(
            f"The documents of the app `{spec.name}`, and what else its functions take and give."
        )
        + (_import(server, "convex/server") if server else "")
        + _import(["GenericId"], "convex/values")
        + f"\n/** The tables of the app. */\n{declared}\n"
        + "\n/** The id of a document of a table. */\n"
        + "export type Id<Table extends TableNames> = GenericId<Table>;\n"
        + "\n/** The documents of each table. */\n"
        + f"export type Documents = {f'{{{chr(10)}{documents}}}' if documents else NO_FIELDS};\n"
        + "\n/** A document of a table. */\n"
        + "export type Doc<Table extends TableNames> = Documents[Table];\n"
        + f"\n{_ALIASES}"
        + types
    )


def _types(spec: AppSpec, names: Names, printer: Printer) -> str:
    """Print each document and class, by name."""
    blocks: dict[str, str] = {}
    for table, name in names.documents.items():
        described = spec.tables.get(table) or spec.system_tables[table]
        own = (
            FieldShape("_id", IdOf(table), True),
            FieldShape("_creationTime", Plain("instant"), True),
        )
        fields = (*own, *described.fields)
        blocks[name] = _block(name, described.docs, fields, printer, sent=False)
    for use, name in names.classes.items():
        shape = spec.classes[use.key]
        blocks[name] = _block(name, shape.docs, shape.fields, printer, sent=use.sent)
    return "".join(f"\n{text}" for _, text in sorted(blocks.items()))


def _block(
    name: str, docs: str, fields: Iterable[FieldShape], printer: Printer, *, sent: bool
) -> str:
    printed = printer.object(fields, "", sent=sent, room=0)
    return f"{comment(docs, '')}export type {name} = {printed};\n"
