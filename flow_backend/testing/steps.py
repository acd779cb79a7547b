"""Counts the steps that tasks take, and makes one fail at a chosen step: "kill at step k"."""

from collections.abc import Callable
from typing import Any, Final

import trio
from attrs import define, field
from outcome import Error, Value

# Both names are private to trio, whose version is pinned.
_NEXT: Final = "_next_send"
"""What trio is about to hand to a task."""

_CANCEL: Final = "_cancel_status"
"""Of a nursery: whether what runs in it is being cancelled."""


class Killed(Exception):
    """Raised into an actor at one of its steps, in the place of what it has waited for."""


def nobody(task: str) -> str | None:
    """Watch no task at all."""
    del task
    return None


@define(eq=False)
class Steps(trio.abc.Instrument):
    """Counts each time that a task goes on after an ``await``, and fails it there if told so.

    The wait itself has ended when the task fails: what it waited for has happened, as when a bug
    raises right behind it. A task that is being ended from outside is left alone.

    Attributes:
        actor_of: names the actor that a task belongs to, by the task's name; None for those that
            are left alone.
        counts: how many steps each actor has taken.
        kills: at which step an actor is to fail, once.
        is_armed: while it is not, none fails; those that were to fail do so later.
        killed: those that have failed, each with its step.
        total: steps of all actors together; at ``machine_at``, ``machine`` is called, once.

    Source: the simulation, "A world", rule 5.
    """

    actor_of: Callable[[str], str | None] = nobody
    counts: dict[str, int] = field(factory=dict[str, int])
    kills: dict[str, int] = field(factory=dict[str, int])
    killed: list[tuple[str, int]] = field(factory=list[tuple[str, int]])
    is_armed: bool = True
    total: int = 0
    machine_at: int | None = None
    machine: Callable[[], None] = lambda: None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count the step, and fail the task or the machine if it is the chosen one."""
        actor = self.actor_of(task.name)
        if actor is None:
            return
        self.total += 1
        if self.machine_at is not None and self.total >= self.machine_at:
            self.machine_at = None
            self.machine()
        result: Any = getattr(task, _NEXT)
        if result is None:
            return  # It has only begun: there is no await in it to fail at.
        count = self.counts[actor] = self.counts.get(actor, 0) + 1
        at = self.kills.get(actor)
        if at is not None and self.is_armed and count >= at and _may_fail(task, result):
            del self.kills[actor]
            self.killed.append((actor, count))
            setattr(task, _NEXT, Error(Killed(f"{actor} was made to fail at step {count}")))


def _may_fail(task: trio.lowlevel.Task, result: object) -> bool:
    if any(nursery.cancel_scope.cancel_called for nursery in task.child_nurseries):
        return False  # It waits inside of trio for what it has started.
    if isinstance(result, Value):
        return True
    # A sleep ends as a cancellation too, of a scope inside of the task itself.
    status: Any = getattr(task.parent_nursery, _CANCEL, None)
    return status is not None and not status.effectively_cancelled
