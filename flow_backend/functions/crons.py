"""``Crons``: what an app does again and again, declared in its ``crons.py``."""

import inspect
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, ParamSpec, get_args

from attrs import define, field

from flow_backend.errors import AppDefinitionError, InvalidTime
from flow_backend.functions.cron_times import Interval, Schedule, wall_times
from flow_backend.functions.function import Action, Function, Kind, Mutation
from flow_backend.records import frozen

P = ParamSpec("P")

Missed = Literal["once", "skip"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_NAME: Final = re.compile(r"[ -~]{1,200}")


@frozen
class Cron:
    """One declaration: ``place`` is its file and line."""

    name: str
    schedule: Schedule
    function: Function[..., Any]
    args: Mapping[str, object]
    missed: Missed
    place: str


@define
class Crons:
    """The crons of an app: ``crons = Crons()`` in its ``crons.py``, and a call for each.

    Each is run by the server alone, with no identity, as a scheduled function is. If its last run
    has not ended when the next is due, that one is left out. What was missed while the server was
    down is made up for by one run (``missed="once"``), or not at all (``"skip"``).

    The function's arguments go by name; for one that is called as something here is (``at``,
    ``zone``) write a function around it.
    """

    declared: dict[str, Cron] = field(factory=dict[str, Cron])

    def interval(
        self,
        name: str,
        /,
        *,
        seconds: int,
        run: Mutation[..., Any] | Action[..., Any],
        missed: Missed = "once",
        **args: object,
    ) -> None:
        """Run a function every so many seconds, the first time at once.

        Raises: AppDefinitionError.
        """
        if type(seconds) is not int or not 1 <= seconds <= 366 * 86_400:
            raise AppDefinitionError(
                f"cron {name!r}: seconds is a whole number from 1 to a year's, not {seconds!r}"
            )
        self._add(name, Interval(seconds), run, missed, args)

    def hourly(
        self,
        name: str,
        /,
        *,
        minute: int = 0,
        run: Mutation[..., Any] | Action[..., Any],
        missed: Missed = "once",
        **args: object,
    ) -> None:
        """Run a function every hour, at this minute by UTC."""
        _check(name, "minute", minute, 0, 59)
        self._add(name, wall_times(f"{minute} * * * *", "UTC"), run, missed, args)

    def daily(
        self,
        name: str,
        /,
        *,
        at: str,
        run: Mutation[..., Any] | Action[..., Any],
        zone: str = "UTC",
        missed: Missed = "once",
        **args: object,
    ) -> None:
        """Run a function every day at a wall time of a zone, such as ``"09:00"``."""
        self.cron(name, f"{_time(name, at)} * * *", run=run, zone=zone, missed=missed, **args)

    def weekly(
        self,
        name: str,
        /,
        *,
        on: Weekday,
        at: str,
        run: Mutation[..., Any] | Action[..., Any],
        zone: str = "UTC",
        missed: Missed = "once",
        **args: object,
    ) -> None:
        """Run a function every week, on a weekday."""
        if on not in get_args(Weekday):
            raise AppDefinitionError(f"cron {name!r}: on is a day such as 'monday', not {on!r}")
        expression = f"{_time(name, at)} * * {on[:3]}"
        self.cron(name, expression, run=run, zone=zone, missed=missed, **args)

    def monthly(
        self,
        name: str,
        /,
        *,
        day: int | Literal["last"],
        at: str,
        run: Mutation[..., Any] | Action[..., Any],
        zone: str = "UTC",
        missed: Missed = "once",
        **args: object,
    ) -> None:
        """Run a function every month that has this day; ``"last"`` is the last one of each."""
        if day != "last":
            _check(name, "day", day, 1, 31)
        expression = f"{_time(name, at)} {'L' if day == 'last' else day} * *"
        self.cron(name, expression, run=run, zone=zone, missed=missed, **args)

    def cron(
        self,
        name: str,
        expression: str,
        /,
        *,
        run: Mutation[..., Any] | Action[..., Any],
        zone: str = "UTC",
        missed: Missed = "once",
        **args: object,
    ) -> None:
        """Run a function at the wall times that fit a cron expression of five fields.

        Raises: AppDefinitionError.
        """
        try:
            schedule = wall_times(expression, zone)
        except (AppDefinitionError, InvalidTime) as error:
            raise AppDefinitionError(f"cron {name!r}: {error}") from None
        self._add(name, schedule, run, missed, args)

    def _add(
        self,
        name: str,
        schedule: Schedule,
        run: Function[..., Any],
        missed: Missed,
        args: Mapping[str, object],
    ) -> None:
        if _NAME.fullmatch(name) is None:
            raise AppDefinitionError(f"a cron's name is 1 to 200 printable letters, not {name!r}")
        if name in self.declared:
            first = self.declared[name].place
            raise AppDefinitionError(f"there is a cron {name!r} already ({first}); rename one")
        # What an app writes there may be anything.
        kind = getattr(run, "kind", None)
        if kind is not Kind.MUTATION and kind is not Kind.ACTION:
            raise AppDefinitionError(f"cron {name!r}: run is a mutation or an action, not {run!r}")
        if missed not in get_args(Missed):
            raise AppDefinitionError(
                f"cron {name!r}: missed is 'once' (one run makes up for all) or 'skip', "
                f"not {missed!r}"
            )
        self.declared[name] = Cron(name, schedule, run, dict(args), missed, _place())


def _place() -> str:
    """Say where the app calls us from."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _check(name: str, what: str, number: int, least: int, most: int) -> None:
    if type(number) is not int or not least <= number <= most:
        raise AppDefinitionError(
            f"cron {name!r}: {what} is a whole number from {least} to {most}, not {number!r}"
        )


def _time(name: str, at: str) -> str:
    found = _TIME.fullmatch(at)
    if found is None:
        raise AppDefinitionError(f"cron {name!r}: at is a time such as '09:00', not {at!r}")
    return f"{int(found[2])} {int(found[1])}"
