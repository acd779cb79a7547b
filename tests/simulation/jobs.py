"""What must hold of jobs, looked at from outside: the rows at each commit, and the world outside.

Source: the guarantees, F.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from math import inf
from random import Random
from typing import Any, Final, cast

from attrs import define, evolve, field

from flow_backend.functions.jobs import KEPT_MS
from tests.simulation.app import Tables
from tests.simulation.faults import Faults, choose_faults
from tests.simulation.jobs_app import ATTEMPTS

JOBS: Final = "_scheduled_functions"
MUTATIONS: Final = frozenset({"work", "fail", "chain", "gone", "unfit"})
FINAL: Final = frozenset({"success", "failed", "canceled"})
_NEXT: Final[Mapping[str, frozenset[str]]] = {
    "mutation": frozenset({"success", "failed", "canceled"}),
    "action": frozenset({"inProgress", "canceled", "failed"}),
}
_DAY_NS: Final = 86_400 * 10**9
JUMPS_NS: Final = tuple(
    each * 10**9 for each in (-3600, 3600, -365 * 86_400, 3 * 86_400, -1, 1, 5, -5)
)


def job_faults(seed: int) -> Faults:
    """Choose faults for a world with jobs: those of any world, and what jobs must stand."""
    faults, random = choose_faults(Random(seed)), Random(f"jobs {seed}")
    killed = [
        (random.choice(("jobs", "jobs", "scheduler", "actions", "action")), random.randint(1, 60))
        for _ in range(random.choice((0, 0, 1, 2)))
    ]
    jumps = tuple(random.choice(JUMPS_NS) for _ in range(random.choice((0, 0, 1, 3))))
    return evolve(
        faults,
        jobs=random.choice((3, 6, 12)),
        restarts=random.choice((0, 1, 2, 3)),
        clock_jumps_ns=jumps,
        killed_actors=(*faults.killed_actors, *killed)[:4],
        downtimes_ns=(0, 3 * _DAY_NS, 3600 * 10**9)[: random.choice((1, 3))],
        next_app=random.random() < 0.4,
        tight=random.random() < 0.4,
    )


def _kind(row: Mapping[str, Any]) -> str:
    return str(row["state"]["kind"])


@define(eq=False)
class JobsOracle:
    """Checks each state of the database against the one before, and the last one as a whole.

    Attributes:
        now_ms: the latest that the server's wall clock has shown a short while ago.
        outside: how often each action has begun, as the world outside has seen it.
        forgotten: the jobs that are no more, a week after their end.
    """

    now_ms: Callable[[], float]
    outside: Counter[str] = field(factory=Counter[str])
    forgotten: set[str] = field(factory=set[str])
    ran: int = 0
    _before: dict[str, Mapping[str, Any]] = field(factory=dict[str, Mapping[str, Any]])

    def look(self, tables: Tables) -> None:
        """Look at one more committed state."""
        rows: list[Any] = tables[JOBS]
        planned: list[Any] = tables["planned"]
        ran: list[Any] = tables["ran"]
        jobs: dict[str, Mapping[str, Any]] = {row["_id"]: row for row in rows}
        for ident in self._before.keys() - jobs.keys():
            jobs[ident] = self._before[ident]
            old = self.now_ms() - KEPT_MS - (jobs[ident]["completedTime"] or inf)
            assert ident in self.forgotten or old >= 0, f"forgotten too early: {jobs[ident]}"
            self.forgotten.add(ident)
        assert sorted(jobs) == sorted(row["job"] for row in planned), "F3: a job without its plan"
        for ident, row in jobs.items():
            self._step(self._before.get(ident), row)
        self._early(ran, planned, jobs)
        times = Counter[str](row["token"] for row in ran)
        for plan in planned:
            kind = _kind(jobs[plan["job"]])
            if plan["kind"] in MUTATIONS:
                took = times[plan["token"]]
                assert took == (kind == "success"), f"F1: {plan} is {kind} and ran {took} times"
        self._before = jobs

    def _step(self, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> None:
        was = "pending" if before is None else _kind(before)
        now = _kind(after)
        if was == now or was in FINAL:
            assert was == now, f"a job that was {was} is {now}: {after}"
            return
        if was == "pending":
            assert now in _NEXT[after["runs"]], f"a job that waited is {now}: {after}"
        if now in {"inProgress", "success"} and was == "pending":
            assert after["due"] <= self.now_ms(), f"F4: early by the wall clock: {after}"
        assert after["attempts"] <= ATTEMPTS, after

    def _early(self, ran: list[Any], planned: list[Any], jobs: Mapping[str, Any]) -> None:
        by_token = {row["token"]: jobs[row["job"]] for row in planned}
        for row in ran[self.ran :]:
            job = by_token[row["token"]]
            # An action that has begun goes on, also when the clock is set back meanwhile.
            is_early = job["runs"] == "mutation" and row["at"] < job["scheduledTime"]
            assert not is_early, f"F4: early: {row} {job}"
            assert job["attempts"] >= 1, f"F2: it ran before it was started: {job}"
        self.ran = len(ran)

    # --- At the end ------------------------------------------------------------------------------

    def latest_due(self, tables: Tables) -> float | None:
        """Give when the last of those that wait is due, ms; None if none waits or runs."""
        rows: list[Any] = tables[JOBS]
        return max((row["due"] for row in rows if _kind(row) not in FINAL), default=None)

    def check(self, tables: Tables) -> Counter[str]:
        """Check what all jobs have come to. Returns: how many of each sort."""
        jobs, planned = self._before, cast("list[Any]", tables["planned"])
        times = Counter[str](str(row["token"]) for row in tables["ran"])
        came_to = Counter[str]()
        for plan in planned:
            job = jobs[plan["job"]]
            self._check_end(plan, job, times[plan["token"]])
            came_to[f"job {plan['kind']}: {_kind(job)}"] += 1
        return came_to

    def _check_end(self, plan: Mapping[str, Any], job: Mapping[str, Any], ran: int) -> None:
        kind, error, sort = _kind(job), str(job["state"]["error"]), plan["kind"]
        begun = self.outside[plan["token"]]
        told = f"{plan}: {kind} {error}, ran {ran} times, begun {begun} times, {job['attempts']:g}"
        assert kind in FINAL, f"never done: {told}"
        assert (kind == "canceled") == (plan["canceled"] is not None), f"F6: {told}"
        if plan["canceled"] == "pending" and sort != "steady":
            assert (ran, begun) == (0, 0), f"F6: {told}"
        if sort in MUTATIONS:
            assert begun == 0, told
            self._check_mutation(sort, kind, error, told)
            return
        most = ATTEMPTS if sort == "steady" else 1
        assert ran <= begun <= min(most, job["attempts"]), f"F2: {told}"
        if kind == "success":
            assert ran >= 1, told
        if kind == "failed" and sort == "act":
            assert error.startswith("interrupted") or "server" in error.lower(), told

    def _check_mutation(self, sort: str, kind: str, error: str, told: str) -> None:
        # It may be set aside if the writer was made to fail at just this one, twice.
        if kind != "failed" or error.startswith("set aside"):
            return
        assert sort in {"fail", "gone", "unfit"}, f"F7: {told}"
        words = {"fail": "does not want to", "gone": "s:gone", "unfit": "s:unfit"}
        assert words[sort] in error, told
