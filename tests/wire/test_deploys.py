"""Deploys and rollbacks while official clients are at work: no client notices more than that."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from flow_backend.cli.target import AdminClient, find_target
from flow_backend.deploy.push import follow
from flow_backend.functions.package import package_of, zip_package
from tests.cli.support import Served, serving
from tests.effort import FULL, cases
from tests.interop.support import CLIENTS, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]
PATIENCE_SECONDS = 900.0
GROWTH_MAX = 1.10
FILLERS = 600
FILLER_CHARACTERS = 100_000
"""The writer's cache of pages grows to its 32 MiB with whatever is written: first it is filled."""

SCHEMA = """
from flow_backend import Document, Index, document

@document("counters")
class Counter(Document):
    name: str
    count: int
{fields}
    by_name = Index("name")
{indexes}

@document("fillers")
class Filler(Document):
    text: str

{tables}
"""
FIELD = '    note: str = "none"\n    rank: float | None = None'
INDEX = '    by_count = Index("count", "name")'
TABLE = '@document("notes")\nclass Note(Document):\n    text: str\n'
COUNTERS = """
from attrs import frozen
from flow_backend import MutationCtx, QueryCtx, mutation, query
from small_app.schema import Counter, Filler
from small_app.version import VERSION

@frozen
class Seen:
    versions: list[int]
    count: int

def counter(ctx: QueryCtx | MutationCtx, name: str) -> Counter | None:
    return ctx.db.scan(Counter.by_name[name]).first()

@query
def watch(ctx: QueryCtx, name: str) -> Seen:
    found = counter(ctx, name)
    return Seen(everywhere(ctx), found.count if found else 0)

@query
def inner(ctx: QueryCtx) -> int:
    from small_app.version import VERSION as lazy
    return lazy

@mutation
def add(ctx: MutationCtx, name: str) -> Seen:
    found = counter(ctx, name)
    count = found.count + 1 if found else 1
    if found is None:
        ctx.db.insert(Counter(name=name, count=1))
    else:
        ctx.db.patch(found.id, count=count)
    return Seen(everywhere(ctx), count)

@mutation
def fill(ctx: MutationCtx, text: str) -> None:
    ctx.db.insert(Filler(text=text))

def everywhere(ctx: QueryCtx | MutationCtx) -> list[int]:
    from small_app import version
    return [VERSION, version.VERSION, ctx.run(inner), Counter.VERSION]
"""
MORE = """
from flow_backend import QueryCtx, query

@query
def hello(ctx: QueryCtx) -> str:
    return "hello {number}"
"""


def files(number: int) -> dict[str, str]:
    """Give version ``number`` of the app; its schema and functions are others than those before."""
    schema = SCHEMA.format(
        fields=FIELD if number % 4 in {1, 2} else "",
        indexes=INDEX if number % 3 == 1 else "",
        tables=TABLE if number % 5 == 2 else "",
    )
    # No annotation: it is no field.
    schema = schema.replace("    count: int\n", f"    count: int\n    VERSION = {number}\n")
    texts = {
        "__init__": "",
        "version": f"VERSION = {number}\n",
        "schema": schema,
        "counters": COUNTERS,
    }
    if number % 2:
        texts[f"more_{number % 7}"] = MORE.format(number=number)
    return {f"small_app/{name}.py": text for name, text in texts.items()}


def zipped(number: int) -> bytes:
    named = {name: text.encode() for name, text in files(number).items()}
    return zip_package(package_of("small_app", named))


def push(admin: AdminClient, path: str, body: bytes | None = None, **asked: str) -> dict[str, Any]:
    number = admin.post(path, body, yes="1", **asked)["number"]
    done = dict(follow(admin, number, False, lambda _: None))
    assert done["state"] == "active", done
    return done


@contextmanager
def at_work(served: Served, clients: int) -> Iterator["subprocess.Popen[str]"]:
    """Have official clients work while the block runs; its last lines are what they saw."""
    given = {"url": served.url, "clients": clients, "overdueMs": PATIENCE_SECONDS * 1000}
    command = ["node", str(CLIENTS / "deploys.mjs"), "load", json.dumps(given)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert json.loads(_stdout(process).readline()) == {"ready": True}
            yield process
        finally:
            process.kill()


def _stdout(process: "subprocess.Popen[str]") -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def memory_bytes(pid: int) -> int:
    """Give the memory of a process that is its own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("Private_Dirty:")]
    return int(line.split()[1]) * 1024


def test_deploys_and_rollbacks_that_no_client_notices(tmp_path: Path) -> None:
    """No call fails, no update is lost, none mixes versions; and memory does not grow."""
    deploys, rollbacks, clients = cases(80, 100), cases(20, 20), cases(60, 50)
    for name, text in files(0).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with serving(tmp_path, "--data", str(tmp_path / "data")) as served:
        served.wait_ready()
        target = find_target(None, None, str(tmp_path / "data"))
        for _ in range(FILLERS if FULL else 0):
            served.call("mutation", "counters:fill", text="x" * FILLER_CHARACTERS)
        with at_work(served, clients) as process, target.client() as admin:
            memory: list[int] = []
            took: list[float] = []
            for number in range(1, deploys + 1):
                began = time.monotonic()
                push(admin, "/api/flow/deploy", zipped(number), package="small_app")
                took.append(time.monotonic() - began)
                if number == min(5, deploys):
                    time.sleep(1)
                    memory.append(memory_bytes(served.popen.pid))
            for _ in range(rollbacks):
                push(admin, "/api/flow/rollback")
            final = push(admin, "/api/flow/deploy", zipped(1000), package="small_app")
            # Two seconds of calls on the last version.
            time.sleep(2)
            memory.append(memory_bytes(served.popen.pid))
            said, complaint = process.communicate("", timeout=60)
        seen = [json.loads(line) for line in said.splitlines()]
        assert process.returncode == 0, complaint
        stored = {
            each["name"]: each["count"]
            for each in admin_rows(served, tmp_path / "data")
        }  # fmt: skip

    assert len(seen) == clients
    for each in seen:
        assert each["failed"] == [], each
        assert (each["mixed"], each["lost"]) == (0, 0), each
        assert each["live"]["versions"] == [1000.0] * 4
        assert stored[each["name"]] == each["counted"] > 0
    assert final["number"] > deploys + rollbacks
    took.sort()
    print(
        f"{deploys} deploys and {rollbacks} rollbacks beside {clients} clients, which made "
        f"{sum(each['counted'] for each in seen)} mutations; a deploy took "
        f"{took[len(took) // 2]:.2f} s (median), {took[-1]:.2f} s (longest); memory "
        f"{memory[0] / 2**20:.1f} MiB after the first, {memory[-1] / 2**20:.1f} MiB at the end"
    )
    if FULL:
        assert memory[-1] <= memory[0] * GROWTH_MAX, memory


def admin_rows(served: Served, data: Path) -> list[dict[str, Any]]:
    """Read the counters as an admin does, on one page."""
    args = {"table": "counters", "paginationOpts": {"numItems": 1000, "cursor": None}}
    body = {"path": "_system/cli/tableData", "args": args, "format": "json"}
    with find_target(served.url, None, str(data)).client() as admin:
        rows: list[dict[str, Any]] = admin.post("/api/function", body)["value"]["page"]
        return rows
