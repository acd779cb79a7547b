"""Which version of the app is in force: a function of the commit timestamp.

A deploy is a commit with a timestamp of its own. Whoever reads a snapshot at ``ts``, or writes
after it, uses the newest version that began at ``ts`` or before, so no call ever mixes two.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

import trio
from attrs import define, field

from flow_backend.functions.cron_steps import BoundCron
from flow_backend.functions.registry import App, BoundApp
from flow_backend.functions.runner import Runner
from flow_backend.values.timestamp import NO_COMMIT, CommitTs


@define(eq=False)
class AppVersion:
    """A version of the app that serves, or did and still has calls under way.

    Attributes:
        number: its deployment's.
        runner: runs its functions, with its environment.
        crons: those that it declares, by name.
        from_ts: the commit that it began with.
        users: how many calls and snapshots use it that may outlast its time.
    """

    number: int
    runner: Runner
    crons: Mapping[str, BoundCron] = field(factory=dict[str, BoundCron])
    from_ts: CommitTs = NO_COMMIT
    users: int = 0

    @property
    def bound(self) -> BoundApp:
        """The app, compiled for the database."""
        return self.runner.app

    @property
    def app(self) -> App:
        """The app, as it was loaded."""
        return self.runner.app.app


def _forget(_: AppVersion) -> None:
    """Leave it to Python."""


@define
class Versions:
    """The versions in memory: the newest, and those before it that something still uses.

    Only the event loop changes it.

    Attributes:
        newest: the one in force.
        on_forgotten: called with each that nobody uses any more.
    """

    newest: AppVersion
    on_forgotten: Callable[[AppVersion], None] = _forget
    _older: list[AppVersion] = field(factory=list[AppVersion])
    _changing: trio.Event | None = None

    def at(self, ts: CommitTs) -> AppVersion:
        """Give the version in force at a timestamp that is read by somebody now."""
        if self.newest.from_ts <= ts:
            return self.newest
        for version in reversed(self._older):
            if version.from_ts <= ts:
                return version
        raise AssertionError((ts, [each.from_ts for each in self._older], self.newest.from_ts))

    def has(self, number: int) -> bool:
        """Say whether a version of this number is in memory, with whichever environment."""
        return any(each.number == number for each in (self.newest, *self._older))

    @contextmanager
    def using(self, version: AppVersion) -> Generator[AppVersion]:
        """Keep a version in memory while the block runs."""
        self.hold(version)
        try:
            yield version
        finally:
            self.release(version)

    def hold(self, version: AppVersion) -> None:
        """Keep a version in memory until :meth:`release`."""
        version.users += 1

    def release(self, version: AppVersion) -> None:
        """Let go of a version."""
        version.users -= 1
        assert version.users >= 0, version.number
        if not version.users and version is not self.newest:
            self._sweep()

    # --- Changing --------------------------------------------------------------------------------

    def begin_change(self) -> None:
        """Note that the newest is about to be another, before its commit can be seen by anyone."""
        assert self._changing is None, self.newest.number
        self._changing = trio.Event()

    def settle(self) -> None:
        """Note that the change is over, whether there was one or not."""
        if self._changing is not None:
            self._changing.set()
            self._changing = None

    @property
    def is_changing(self) -> bool:
        """Whether the newest may be another on disk than here."""
        return self._changing is not None

    async def wait_settled(self) -> None:
        """Wait until what a new snapshot reads has a version here: some milliseconds at most."""
        while self._changing is not None:
            await self._changing.wait()

    def install(self, version: AppVersion) -> None:
        """Put a version in force, from its timestamp on."""
        assert version.from_ts > self.newest.from_ts, (version.from_ts, self.newest.from_ts)
        self._older.append(self.newest)
        self.newest = version
        self.settle()
        self._sweep()

    def _sweep(self) -> None:
        # Whoever reads a state of before holds its version: no new reader can come for one.
        over = [each for each in self._older if not each.users]
        self._older = [each for each in self._older if each.users]
        for version in over:
            self.on_forgotten(version)
