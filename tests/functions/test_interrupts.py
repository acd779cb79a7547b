"""Calls that go on for ever are ended, wherever they are, and nothing else is."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from flow_backend.functions.context import NOBODY, MutationCtx, QueryCtx
from flow_backend.functions.function import mutation, query
from flow_backend.functions.limits import Interrupted, Limits, ThreadDeadlines, run_within
from flow_backend.functions.loader import load_version, unload_version
from flow_backend.storage.base import Done, Refused, TableName
from tests.effort import cases
from tests.functions.backend import Backend, Board, Open, Task, said

# An error that is thrown from outside may land in a destructor, where Python prints it and goes on;
# it is then thrown again, which is what these tests show.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SHORT = Limits(cpu_seconds=0.05, total_seconds=0.5)


@query
def loop(ctx: QueryCtx) -> None:
    while True:
        pass


@query
def catch_all(ctx: QueryCtx) -> None:
    while True:
        try:
            while True:
                pass
        except BaseException:  # The worst that an app can do.
            pass


@query
def catch_in_calls(ctx: QueryCtx) -> None:
    def inner() -> None:
        while True:
            try:
                time.time()
            except BaseException:
                continue

    while True:
        try:
            inner()
        except BaseException:
            continue
        finally:
            time.time()


@query
def recurse(ctx: QueryCtx) -> int:
    def deeper(n: int) -> int:
        return deeper(n + 1) + 1

    return deeper(0)


@query
def scan(ctx: QueryCtx) -> int:
    while True:
        for _ in ctx.db.scan(Task.by_title).filter(lambda _: False):
            pass


@query
def collect_for_ever(ctx: QueryCtx) -> int:
    while True:
        ctx.db.scan(Task.by_title).collect()


@mutation
def write_for_ever(ctx: MutationCtx) -> None:
    while True:
        ctx.db.insert(Board(name="x"))


@mutation
def fill(ctx: MutationCtx, count: int) -> None:
    board = ctx.db.insert(Board(name="home"))
    for number in range(count):
        ctx.db.insert(Task(board=board, title=f"task {number:05}"))


@query
def quick(ctx: QueryCtx) -> str:
    return "done"


@query
def short(ctx: QueryCtx, seconds: float) -> str:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return "done"


FUNCTIONS = {
    f"t:{each.call.__name__}": each
    for each in (
        loop,
        catch_all,
        catch_in_calls,
        recurse,
        scan,
        collect_for_ever,
        write_for_ever,
        fill,
        quick,
        short,
    )
}


@pytest.fixture
def backend(start: Open) -> Backend:
    deadlines = ThreadDeadlines(0.01)
    wide = evolve(SHORT, documents_read=10**9, bytes_read=10**12, ranges_read=10**9)
    wide = evolve(wide, documents_written=10**9, bytes_written=10**12)
    backend = start(FUNCTIONS, limits=wide, deadlines=deadlines)
    assert isinstance(backend, Backend)
    return backend


def in_thread(work: Callable[[], Any]) -> Any:
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    return found[0]


def here(work: Callable[[], Any]) -> Any:
    return work()


@pytest.mark.slow
@pytest.mark.parametrize("where", [here, in_thread])
@pytest.mark.parametrize("path", ["loop", "catch_all", "catch_in_calls", "scan"])
def test_a_query_that_never_ends_is_ended(
    backend: Backend, where: Callable[[Callable[[], Any]], Any], path: str
) -> None:
    """One client's endless loop must not be everybody's."""
    backend.mutate("t:fill", count=50)

    run = where(lambda: backend.run(f"t:{path}"))

    assert "timed out" in said(run.result)
    assert "0.05 s of processor time" in said(run.result)
    assert sys.gettrace() is None
    assert backend.query("t:quick") == "done"


@pytest.mark.slow
@pytest.mark.parametrize("where", [here, in_thread])
def test_endless_recursion_is_ended(
    backend: Backend, where: Callable[[Callable[[], Any]], Any]
) -> None:
    run = where(lambda: backend.run("t:recurse"))

    assert "too deep (limit: " in said(run.result)
    assert "at deeper (" in said(run.result)


@pytest.mark.slow
def test_a_query_that_timed_out_depends_on_all_that_it_scanned(backend: Backend) -> None:
    """How far an interrupted scan came is not known; a change may make it fast again."""
    backend.mutate("t:fill", count=2)

    run = backend.run("t:collect_for_ever")

    assert isinstance(run.result, Refused)
    assert [each.stop for each in run.read_set[TableName("tasks")]] == [None]


@pytest.mark.slow
def test_a_mutation_that_never_ends_is_ended_and_leaves_nothing(backend: Backend) -> None:
    """Its batch goes on, and what it wrote is gone."""
    refused = backend.refused("t:write_for_ever")

    assert "timed out" in said(refused)
    assert backend.writes == []
    backend.mutate("t:fill", count=1)
    assert len(backend.writes) == 2


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Let the watching thread run often enough to see calls of a millisecond twice."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.00001)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
def test_nothing_is_thrown_once_a_call_has_ended(quick_switches: None) -> None:
    """Calls that end when their time is over: none may throw into what comes next."""
    deadlines = ThreadDeadlines(0.0002)
    limits = Limits(cpu_seconds=0.0004, total_seconds=10)
    interrupts: list[int] = []
    ended = 0
    for number in range(2_000):
        watch = deadlines.watch(limits, partial(interrupts.append, number))
        try:
            try:
                try:
                    watch.enter()
                    until = time.thread_time() + 0.0005 + (number % 8) * 0.0003
                    while time.thread_time() < until:
                        pass
                finally:
                    watch.over = True
                    watch.leave()
            except Interrupted:
                ended += 1
                watch.over = True
                watch.leave()
        except Interrupted:
            watch.leave()
        thrown = len(interrupts)
        for _ in range(50):  # Here is where a late one would land, and fail the test.
            time.thread_time()
        assert len(interrupts) == thrown

    assert ended > 0, "no call came near its limit: the test shows nothing"


@pytest.mark.slow
def test_what_is_thrown_at_a_call_as_it_ends_holds_up_no_other() -> None:
    """Wherever it comes, nothing is left locked: else every later call would wait for ever."""
    calls = cases(3_000, 200_000)
    program = [sys.executable, "-m", "tests.functions.thrown_storm", str(calls), "300"]

    ended = subprocess.run(program, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > calls // 20, "few were thrown at twice: the test shows nothing"


@pytest.mark.slow
def test_calls_near_their_limit_end_one_way_or_the_other(start: Open, quick_switches: None) -> None:
    """Through the runner: an answer or a refusal, and never an error beside it."""
    limits = Limits(cpu_seconds=0.001, total_seconds=10)
    backend = start(FUNCTIONS, limits=limits, deadlines=ThreadDeadlines(0.0005))
    backend.snapshot.begin()
    kinds: set[type] = set()
    for number in range(2_000):
        run = backend.runner.query(
            "t:short",
            {"seconds": 0.0008 + (number % 8) * 0.0004},
            NOBODY,
            backend.snapshot,
        )
        kinds.add(type(run.result))
    backend.snapshot.end()

    assert kinds == {Done, Refused}


@pytest.mark.slow
def test_other_threads_go_on(backend: Backend) -> None:
    """The error is thrown into the thread that is late, and no other."""
    steps: list[int] = []
    stop = threading.Event()

    def beside() -> None:
        while not stop.is_set():
            steps.append(1)
            time.sleep(0.001)

    thread = threading.Thread(target=beside)
    thread.start()
    in_thread(lambda: backend.run("t:loop"))
    before = len(steps)
    assert in_thread(lambda: backend.run("t:quick")).result == Done(b'"done"')
    stop.set()
    thread.join()

    assert before > 5


@pytest.mark.parametrize("body", ["while True: pass", "import time\nwhile True: time.sleep(0.01)"])
def test_the_import_of_a_version_that_never_ends_is_ended(tmp_path: Path, body: str) -> None:
    """And nothing of it stays, so that the next one can be loaded in the same thread."""
    package = tmp_path / "endless"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "loop.py").write_text(body)
    deadlines = ThreadDeadlines()

    with pytest.raises(TimeoutError):
        run_within(deadlines, 0.2, lambda: load_version(tmp_path, "endless", 9))

    assert not [name for name in sys.modules if name.startswith("endless")]
    (package / "loop.py").write_text("")
    app = run_within(deadlines, 30, lambda: load_version(tmp_path, "endless", 9))
    unload_version("endless", 9)
    assert app.name == "endless"
    with pytest.raises(ZeroDivisionError):
        run_within(deadlines, 30, lambda: 1 // 0)
