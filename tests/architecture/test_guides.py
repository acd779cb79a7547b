"""The examples of the guides are an app that runs; those of docs/flow.md do what they show."""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from flow_backend.deploy.codegen import types_of, write_files
from flow_backend.functions.function import Query
from flow_backend.functions.registry import App, load_app
from tests.deploy.typescript import compile_types, missing, write_project
from tests.flow.support import APP, open_running_flow

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)
DAY_MS = 86_400_000
GUIDES = ["app.md", *(f"guides/{file.name}" for file in (ROOT / "docs" / "guides").iterdir())]


def blocks(guide: str, language: str) -> list[str]:
    """Give a guide's blocks of one language, in their order."""
    text = (ROOT / "docs" / guide).read_text()
    return [match["code"] for match in BLOCK.finditer(text) if match["language"] == language]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """Give the app of the guides; each of their blocks is a file, none only a piece of one."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for block in [block for guide in GUIDES for block in blocks(guide, "python")]:
        named = re.match(r"# (\w+\.py)\n", block)
        assert named is not None, f"begin with the name of the file: {block}"
        assert not (folder / named[1]).exists(), f"two blocks are {named[1]}"
        (folder / named[1]).write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield load_app("shop")
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


@pytest.mark.slow
@pytest.mark.usefixtures("shop")
def test_the_guide_of_tests_is_right(tmp_path: Path) -> None:
    """Its examples are tests that pass, also where warnings are errors."""
    for block in blocks("testing.md", "python"):
        named = re.match(r"# (\w+\.py)\n", block)
        assert named is not None, f"begin with the name of the file: {block}"
        (tmp_path / named[1]).write_text(block)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", tmp_path],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "5 passed" in ran.stdout, ran.stdout


@pytest.mark.slow
@pytest.mark.node
def test_the_guides_typescript_fits_the_guides_app(shop: App, tmp_path: Path) -> None:
    why = missing()
    if why is not None:
        pytest.skip(why)
    (page,) = blocks("clients.md", "tsx")
    wrong = page.replace("euros: 9", 'euros: "9"')
    assert wrong != page
    project = tmp_path / "client"
    write_project(project, {"page.tsx": page, "wrong.tsx": wrong})
    write_files(types_of(shop), project / "generated")

    said = compile_types(project)

    assert [name for name, _ in said] == ["wrong.tsx"], said


def test_the_guides_app_is_whole(shop: App, tmp_path: Path) -> None:
    """All its parts load, and it reads as we want apps to read."""
    assert set(shop.crons) == {"sums", "rates", "report", "summary", "often"}
    assert {"bills:overdue", "trials:start", "payments:fetch"} <= set(shop.functions)
    ruff = [Path(sys.executable).parent / "ruff", "check", "--isolated", "--select", "F,E,W,UP,B"]
    checked = subprocess.run(
        [*ruff, "--line-length", "100", tmp_path], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


async def test_the_guides_app_runs(shop: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials end and are called off, and bills turn overdue, as the guide says."""
    async with open_running_flow(app=shop) as running:
        kept = await running.do("trials:start", name="kept")
        assert [job["name"] for job in await running.query("trials:waiting")] == ["trials:end"]
        await running.do("trials:subscribe", account=kept)
        assert await running.query("trials:waiting") == []

        now = running.backend.runtime.now_ns() // 1_000_000
        late = await running.do("bills:send", account=kept, euros=12, due_at=now - DAY_MS)
        await running.do("bills:send", account=kept, euros=12, due_at=now + DAY_MS)
        assert [bill["_id"] for bill in await running.query("bills:overdue")] == [late]

        monkeypatch.setattr("shop.trials.TRIAL_SECONDS", 0)
        ended = await running.do("trials:start", name="ended")
        with trio.fail_after(20):
            # The job's commit tells nobody in here, so we ask.
            while await running.query("trials:state", account=ended) == "trial":  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert await running.query("trials:state", account=ended) == "ended"
        assert await running.query("trials:state", account=kept) == "paying"


async def test_calls_of_the_guide_of_flow_give_what_it_shows() -> None:
    """A block with a path is called; the block with a value after it is part of what came back."""
    shown = [json.loads(block) for block in blocks("flow.md", "json")]
    results = 0
    async with open_running_flow() as running:
        answer: Any = None
        for block in shown:
            if "path" in block:
                asked = isinstance(APP.functions[block["path"]], Query)
                ask = running.query if asked else running.do
                answer = await ask(block["path"], **block["args"])
            elif "value" in block:
                results += 1
                assert_part(block["value"], answer)
    assert results >= 2


async def test_quick_add_reads_what_the_guide_lists() -> None:
    """Each example of the table is understood as a whole: no word of it is left in the title."""
    text = (ROOT / "docs" / "flow.md").read_text()
    table = text.partition("| part | for instance |")[2].partition("\n\n")[0]
    phrases = re.findall(r"`([^`]+)`", table)
    assert len(phrases) > 20
    async with open_running_flow() as running:
        for phrase in phrases:
            line = f"Call Ann {phrase}"
            read = await running.query(
                "capture_bar:preview", line=line, captured_at=1_793_268_000_000, zone="UTC"
            )
            assert read["title"] == "Call Ann", phrase


def assert_part(shown: Any, given: Any) -> None:
    """What is shown is in what was given: each field named, and every entry of a list."""
    match shown:
        case dict():
            for name, value in shown.items():
                assert name in given, (name, given)
                assert_part(value, given[name])
        case list():
            assert len(shown) == len(given), given
            for one, other in zip(shown, given, strict=True):
                assert_part(one, other)
        case _:
            assert shown == given
