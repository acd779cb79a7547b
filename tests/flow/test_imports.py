"""The product is an app like any other: what it needs of the backend is public."""

import ast
from pathlib import Path

import flow

PUBLIC = {"flow_backend", "flow_backend.cli.main"}


def test_flow_imports_public_names_alone() -> None:
    """If Flow needed more, so would every other app."""
    root = Path(flow.__file__).parent
    found = {
        module
        for file in root.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        for module in imported(node)
        if module.split(".")[0] == "flow_backend"
    }

    assert found == PUBLIC


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
