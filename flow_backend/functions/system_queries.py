"""Queries that every app has beside its own, for admins and their tools.

Source: the HTTP API, "CLI against a self-hosted deployment".
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast

import attrs

from flow_backend.errors import InvalidArguments
from flow_backend.functions.function import Function, Query
from flow_backend.schema.pages import Page, PaginationOptions
from flow_backend.schema.system import EnvironmentVariable, Export, Import

if TYPE_CHECKING:
    from flow_backend.functions.database import Database


class _Ctx(Protocol):
    @property
    def db(self) -> "Database": ...


def _tables(ctx: _Ctx, pages: PaginationOptions) -> dict[str, Any]:
    """Give the names of the app's own tables, all on one page, whatever is asked for."""
    del pages
    names = [name for name in ctx.db.app.schema.tables if not name.startswith("_")]
    page = [{"name": name} for name in sorted(names)]
    return {"page": page, "isDone": True, "continueCursor": ""}


def _table_data(
    ctx: _Ctx,
    table: str,
    pages: PaginationOptions,
    order: Literal["asc", "desc"] = "asc",
) -> Page[Any]:
    """Give a page of a table's documents, by creation time."""
    cls = ctx.db.app.schema.documents.get(table)
    if cls is None:
        known = ", ".join(sorted(ctx.db.app.schema.documents))
        raise InvalidArguments(f"There is no table {table!r}; the tables are {known}.")
    scan = ctx.db.scan(cls)
    return (scan.desc() if order == "desc" else scan).paginate(pages)


def _api_spec(ctx: _Ctx) -> list[Any]:
    """Describe the app's functions in Convex's validator JSON."""
    # Only here: it looks at every annotation, and few ask.
    from flow_backend.functions.api_spec import api_spec
    from flow_backend.functions.describe import describe_app

    app = ctx.db.app.app
    routes = [(each.method, each.route + "*" * each.is_prefix) for each in app.router.routes]
    return api_spec(describe_app(app), routes)


def _latest_export(ctx: _Ctx) -> dict[str, Any] | None:
    """Give the state of the newest export; fields that say nothing yet are left out."""
    export = ctx.db.scan(Export).desc().first()
    if export is None:
        return None
    fields = {each.name: getattr(export, each.name) for each in attrs.fields(cast("Any", Export))}
    return {name: value for name, value in fields.items() if value is not None}


def _import(ctx: _Ctx, importId: str) -> Import | None:  # noqa: N803  # Convex's word.
    """Give an import."""
    ident = ctx.db.normalize_id(Import, importId)
    return None if ident is None else ctx.db.get(ident)


def _imports(ctx: _Ctx) -> list[Import]:
    """Give the imports of late, the newest first."""
    return ctx.db.scan(Import).desc().collect()


def _variables(ctx: _Ctx) -> list[dict[str, str]]:
    """Give the environment variables by name."""
    found = {each.name: each.value for each in ctx.db.scan(EnvironmentVariable)}
    return [{"name": name, "value": value} for name, value in sorted(found.items())]


def _variable(ctx: _Ctx, name: str) -> dict[str, str] | None:
    """Give one environment variable, None if it is not set."""
    return next((each for each in _variables(ctx) if each["name"] == name), None)


def _query(name: str, call: Any) -> Query[..., Any]:
    return Query(call, name, internal=True)


SYSTEM_QUERIES: Final[Mapping[str, Function[..., Any]]] = {
    "_system/cli/tables:default": _query("default", _tables),
    "_system/cli/tableData:default": _query("default", _table_data),
    "_system/cli/queryEnvironmentVariables:default": _query("default", _variables),
    "_system/cli/queryEnvironmentVariables:get": _query("get", _variable),
    "_system/cli/modules:apiSpec": _query("apiSpec", _api_spec),
    "_system/cli/exports:getLatest": _query("getLatest", _latest_export),
    "_system/cli/queryImport:default": _query("default", _import),
    "_system/cli/queryImport:list": _query("list", _imports),
}

for _path, _function in SYSTEM_QUERIES.items():
    _function.path = _path
