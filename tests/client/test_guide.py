"""The examples of docs/clients.md run as they stand."""

import re
from contextlib import redirect_stdout
from io import StringIO

import pytest

from tests.server_process import ROOT, ServerProcess

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.slow
def test_the_guides_examples_run(flow_server: ServerProcess) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "clients.md").read_text())
    said: list[str] = []

    for block in blocks:
        assert "http://127.0.0.1:3210" in block
        example = block.replace("http://127.0.0.1:3210", flow_server.url)
        with redirect_stdout(StringIO()) as out:
            exec(compile(example, "docs/clients.md", "exec"), {"__name__": "example"})
        said.append(out.getvalue())

    assert said[0] == "['Paint the fence']\n"
    assert said[1] == "[]\n"
    assert {"House", "Garden"} <= set(re.findall(r"'(\w+)'", said[2]))
    assert int(said[3]) >= 2
    assert "'title': 'Garden'" in said[4]
    assert len(said) == 5
