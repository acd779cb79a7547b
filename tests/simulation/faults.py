"""Which faults a world has: each seed turns most of them off, since calm runs find others."""

from random import Random
from typing import Any

from attrs import evolve, fields, frozen

from flow_backend.testing.disk import Kind
from tests.simulation.machine import DiskFault
from tests.simulation.tuning import TUNINGS

ACTORS = ("mutations", "table", "queries", "actions", "action", "outbox", "snapshots", "session")
"""The actors that can be made to fail at a step, by the names that :func:`actor_of` gives."""

JOB_ACTORS = ("jobs", "scheduler")
"""Those that have work only in a world with jobs."""


@frozen
class Faults:
    """What befalls a world.

    Attributes:
        people: how many clients there are; each takes up to ``steps`` steps.
        cuts: clients lose their connections.
        partitions: how often many links are held at once, and all released later.
        swizzles: how often links are held one after another, and released in another order.
        lost_answers: with which probability a client's connection ends at an answer.
        odd: how many clients do what no good client does.
        clock_jumps_ns: by how much the wall clock jumps, each at some moment or between two lives.
        restarts: how often the server ends and starts again, and ``kills`` how many of these ends
            are sudden.
        crashes: how often an actor is given a message that it cannot take.
        killed_actors: actors that fail at a step, one after another.
        machine_steps: when its actors have taken so many steps the process is killed, for each.
        disk: whether the server runs on a simulated disk, which costs more time; ``disk_faults`` is
            what befalls it, one in each life, and ``power_cuts`` the share of ends of the process
            that are ends of the machine.
        jobs: how often a client that does something plans jobs, in twentieths; ``downtimes_ns`` is
            by how much the wall clock goes on between two lives, and ``next_app`` says that each
            second life is one of the app's next version.
        deploys: how many versions of the app are deployed or brought back, and ``deploy_kills`` the
            share of these in whose midst the process is killed.
        tuned: names of :data:`tests.simulation.tuning.TUNINGS`.
    """

    people: int = 4
    steps: int = 12
    cuts: bool = False
    partitions: int = 0
    swizzles: int = 0
    slow_readers: bool = False
    lost_answers: float = 0.0
    odd: int = 0
    clock_jumps_ns: tuple[int, ...] = ()
    restarts: int = 0
    crashes: int = 0
    killed_actors: tuple[tuple[str, int], ...] = ()
    machine_steps: tuple[int, ...] = ()
    identities: bool = False
    tight: bool = False
    slow_work: bool = False
    actions: bool = False
    tuned: tuple[str, ...] = ()
    disk: bool = False
    disk_faults: tuple[DiskFault, ...] = ()
    power_cuts: float = 0.0
    jobs: int = 0
    downtimes_ns: tuple[int, ...] = ()
    next_app: bool = False
    deploys: int = 0
    deploy_kills: float = 0.0

    @property
    def only_deploys(self) -> bool:
        """Whether nothing but deploys could close a connection."""
        kept = ("people", "steps", "identities", "actions", "deploys", "slow_work")
        calm = evolve(Faults(), **{name: getattr(self, name) for name in kept})
        return self == calm


_JUMPS_SECONDS = (-365 * 86400, -86400, -3600, -1, 1, 3600, 86400, 365 * 86400)


def _once_a_year(jumps: list[int]) -> list[int]:
    """Leave one jump of a year ahead: after a second one requests are forgotten, as is promised."""
    year = _JUMPS_SECONDS[-1] * 10**9
    first = jumps.index(year) if year in jumps else len(jumps)
    return [
        jump if jump != year or place == first else year // 365 for place, jump in enumerate(jumps)
    ]


def choose_faults(random: Random) -> Faults:
    """Choose, all from the seed."""

    def maybe() -> bool:
        return random.random() < 0.5

    def some(*counts: int) -> int:
        return random.choice(counts)

    tuned = [name for name in TUNINGS if random.random() < 0.12]
    jumps = _once_a_year([random.choice(_JUMPS_SECONDS) * 10**9 for _ in range(some(0, 0, 1, 3))])
    killed = [_kill(random) for _ in range(some(0, 0, 1, 2, 4))]
    machine = [random.randrange(20, 900) for _ in range(some(0, 0, 0, 1, 2))]
    return Faults(
        people=random.randrange(2, 7),
        steps=random.randrange(4, 18),
        cuts=maybe(),
        partitions=some(0, 0, 1),
        swizzles=some(0, 0, 1),
        slow_readers=random.random() < 0.3,
        lost_answers=random.choice((0.0, 0.0, 0.3)),
        odd=some(0, 0, 1, 2),
        clock_jumps_ns=tuple(jumps),
        restarts=some(0, 0, 1, 2),
        crashes=some(0, 0, 1),
        killed_actors=tuple(killed),
        machine_steps=tuple(machine),
        identities=maybe(),
        tight=random.random() < 0.3,
        slow_work=maybe(),
        actions=maybe() or any(actor in {"action", "actions"} for actor, _ in killed),
        tuned=tuple(tuned),
        disk=random.random() < 0.5,
        disk_faults=tuple(_disk_fault(random) for _ in range(some(0, 1, 2))),
        power_cuts=random.choice((0.0, 0.5, 1.0)),
    )


def _kill(random: Random) -> tuple[str, int]:
    """An actor, and after how many more of its steps it fails; some take few."""
    actor = random.choice(ACTORS)
    most = {"snapshots": 2, "action": 3, "actions": 3, "session": 40}.get(actor, 100)
    return actor, random.randint(1, most)


def _disk_fault(random: Random) -> DiskFault:
    """Mostly the power, after the start or in its midst; else an operation that fails."""
    if random.random() < 0.6:
        return DiskFault(random.choice((random.randrange(1, 90), random.randrange(60, 900))))
    kinds: tuple[Kind, ...] = ("read", "write", "sync", "truncate")
    kind = random.choice(kinds)
    return DiskFault(
        random.randrange(1, 60),
        kind,
        times=random.choice((1, 1, 3, None)),
        is_full=kind == "write" and random.random() < 0.5,
        drops_pages=random.random() < 0.5,
    )


def smaller(faults: Faults) -> list[Faults]:
    """Give all faults that are a step simpler than these, the boldest first."""
    simpler: list[Faults] = []
    calm = Faults(people=1, steps=1)
    for each in fields(Faults):
        value: Any = getattr(faults, each.name)
        least: Any = getattr(calm, each.name)
        if value == least:
            continue
        simpler.append(evolve(faults, **{each.name: least}))
        match value:
            case bool() | float():
                pass
            case int() if value > 2:
                simpler.append(evolve(faults, **{each.name: value // 2}))
                simpler.append(evolve(faults, **{each.name: value - 1}))
            case tuple() if len(value) > 1:
                half = len(value) // 2
                simpler.append(evolve(faults, **{each.name: value[:half]}))
                simpler.append(evolve(faults, **{each.name: value[half:]}))
            case _:
                pass
    return simpler


def actor_of(task: str) -> str | None:
    """Name the actor that a task belongs to; None for tasks that are no part of the server."""
    if task in ACTORS or task in JOB_ACTORS or task == "deploy":
        return task
    if task.startswith("table "):
        return "table"
    if task.startswith("session "):
        return "session"
    if task.endswith("ActionActor._act"):
        return "action"
    return None
