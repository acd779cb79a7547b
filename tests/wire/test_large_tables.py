"""Deploys over a large table: a misfit is named, an index is built beside, also over a kill -9."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, field

from flow_backend.cli.target import AdminClient, find_target
from flow_backend.deploy.push import follow
from flow_backend.functions.package import package_of, zip_package
from tests.cli.support import Served, serving
from tests.effort import FULL, cases

pytestmark = pytest.mark.slow
PIECE = 1_000
OWNERS = 1000
SCHEMA = """
from flow_backend import Document, Index, document

@document("items")
class Item(Document):
    name: str
    owner: str
    size: {size}
    body: str = ""

    by_name = Index("name")
{indexes}
"""
ITEMS = """
from flow_backend import Id, MutationCtx, QueryCtx, mutation, query
from small_app.schema import Item

@mutation
def fill(ctx: MutationCtx, first: int, count: int) -> None:
    for number in range(first, first + count):
        size = "large" if number == 77 else number
        owner = f"o{number % 1000}"
        ctx.db.insert(Item(name=f"n{number}", owner=owner, size=size, body="some text " * 10))

@query
def named(ctx: QueryCtx, name: str) -> Id[Item] | None:
    found = ctx.db.scan(Item.by_name[name]).first()
    return found.id if found else None

@mutation
def give(ctx: MutationCtx, name: str, owner: str) -> None:
    found = ctx.db.scan(Item.by_name[name]).first()
    assert found is not None
    ctx.db.patch(found.id, owner=owner)
"""
OWNED = """
from flow_backend import QueryCtx, query
from small_app.schema import Item

@query
def names(ctx: QueryCtx, owner: str) -> list[str]:
    return [each.name for each in ctx.db.scan(Item.by_owner[owner])]
"""
ANY_SIZE, INDEXED = "float | str", '    by_owner = Index("owner", "name")'


def files(size: str = ANY_SIZE, indexes: str = "", **more: str) -> dict[str, str]:
    schema = SCHEMA.format(size=size, indexes=indexes)
    texts = {"__init__": "", "schema": schema, "items": ITEMS, **more}
    return {f"small_app/{name}.py": text for name, text in texts.items()}


def push(admin: AdminClient, texts: dict[str, str]) -> int:
    named = {name: text.encode() for name, text in texts.items()}
    body = zip_package(package_of("small_app", named))
    number: int = admin.post("/api/flow/deploy", body, package="small_app")["number"]
    return number


@define
class Clients:
    """Readers and a writer that go on, also over a restart, and note how long each call took."""

    served: Served
    count: int
    given: dict[str, str] = field(factory=dict[str, str])
    took: list[float] = field(factory=list[float])
    refused: list[object] = field(factory=list[object])
    partial: list[tuple[float, int]] = field(factory=list[tuple[float, int]])
    owned: list[str] | None = None
    http: httpx.Client = field(factory=lambda: httpx.Client(timeout=60))
    down: bool = False
    over: bool = False

    def call(self, kind: str, path: str, **args: Any) -> Any:
        began = time.monotonic()
        body = {"path": path, "args": args}
        answer = self.http.post(f"{self.served.url}/api/{kind}", json=body).json()
        self.took.append(time.monotonic() - began)
        return answer

    def work(self) -> None:
        turn = 0
        while not self.over:
            turn += 1
            name, owner = f"n{turn * 7919 % self.count}", f"new {turn % 3}"
            with suppress(httpx.HTTPError):
                try:
                    written = self.call("mutation", "items:give", name=name, owner=owner)
                except httpx.HTTPError:
                    # It may have happened or not.
                    self.given.pop(name, None)
                    assert self.down, "a call failed while the server was up"
                    time.sleep(0.05)
                    continue
                self.given[name] = owner
                for answer in (written, self.call("query", "items:named", name=name)):
                    if answer["status"] != "success" or answer.get("value") == []:
                        self.refused.append(answer)
                self.look()
            time.sleep(0.01)

    def look(self) -> None:
        """Ask by the new index: there is no such function, or the answer is whole."""
        answer = self.call("query", "owned:names", owner="o5")
        if answer["status"] == "success" and self.owned is None:
            self.owned = answer["value"]


@contextmanager
def at_work(clients: Clients) -> Iterator[None]:
    thread = threading.Thread(target=clients.work)
    thread.start()
    try:
        yield
    finally:
        clients.over = True
        thread.join()
        clients.http.close()


def said(what: str, took: list[float]) -> None:
    ordered = sorted(took)
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    print(
        f"{what}: {len(took)} calls, p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, "
        f"longest {ordered[-1] * 1000:.0f} ms"
    )
    took.clear()


def test_a_misfit_and_an_index_among_very_many(tmp_path: Path) -> None:
    count = cases(220_000, 1_000_000) // PIECE * PIECE
    for name, text in files().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    data = tmp_path / "data"
    with serving(tmp_path, "--data", str(data)) as served:
        served.wait_ready()
        for first in range(0, count, PIECE):
            served.call("mutation", "items:fill", first=first, count=PIECE)
        odd = served.call("query", "items:named", name="n77")
        clients = Clients(served, count)
        with at_work(clients), find_target(None, None, str(data)).client() as admin:
            time.sleep(2 if FULL else 0.5)
            said("before", clients.took)

            began = time.monotonic()
            refused = follow(admin, push(admin, files("float")), False, lambda _: None)
            print(f"{count} documents: refused after {time.monotonic() - began:.1f} s")
            said("during the check", clients.took)
            [problem] = refused["problems"]
            assert refused["state"] == "refused"
            assert (problem["table"], problem["id"], problem["path"]) == ("items", odd, "size")

            began = time.monotonic()
            number = push(admin, files(indexes=INDEXED, owned=OWNED))
            wait_for(admin, number, share=0.4)
            clients.down = True
            served.popen.send_signal(signal.SIGKILL)
            served.popen.wait(20)
            print(f"killed after {time.monotonic() - began:.1f} s of the build")
            said("during the build", clients.took)
            assert clients.owned is None
            with serving(tmp_path, "--data", str(data)) as again:
                again.wait_ready()
                clients.served = again
                clients.down = False
                began = time.monotonic()
                with find_target(None, None, str(data)).client() as admin_again:
                    done = follow(admin_again, number, False, lambda _: None)
                print(f"went on: {time.monotonic() - began:.1f} s until it was in force")
                assert done["state"] == "active", done
                time.sleep(1)
                clients.over = True
                time.sleep(0.5)
                said("during the rest of it", clients.took)
                check(again, clients, count)


def wait_for(admin: AdminClient, number: int, share: float) -> None:
    """Wait until a part of the rows is filled."""
    while True:
        now = admin.get(f"/api/flow/deployments/{number}")
        assert now["state"] in {"checking", "building"}, now
        progress = now["progress"]
        if (
            progress.get("doing") == "filling indexes"
            and progress["done"] >= share * progress["of"]
        ):
            return
        if not FULL and now["state"] == "building":
            return  # Progress is told once a second, which is too late for so few.
        time.sleep(0.01)


def check(served: Served, clients: Clients, count: int) -> None:
    """Hold all that the index gives against what was written."""
    assert clients.refused == []
    assert clients.owned is not None
    owners = {f"n{number}": f"o{number % OWNERS}" for number in range(count)}
    by_owner = {
        owner: served.call("query", "owned:names", owner=owner)
        for owner in [f"o{number}" for number in range(OWNERS)] + [f"new {n}" for n in range(3)]
    }
    found = {name: owner for owner, names in by_owner.items() for name in names}
    assert len(found) == sum(map(len, by_owner.values())) == count
    for name, owner in clients.given.items():
        assert found[name] == owner, name
    untouched = [name for name in owners if not found[name].startswith("new ")]
    assert all(found[name] == owners[name] for name in untouched)
    # The first answer by the index was whole: what is missing in it was given away.
    first = set(clients.owned)
    for name, owner in owners.items():
        if owner == "o5" and name not in first:
            assert found[name] != "o5", name
