"""How deploys end: what the disk does not take at once is known meanwhile, and written later."""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio
from attrs import define, field

from flow_backend.errors import Overloaded
from flow_backend.functions.deployments import (
    GIVEN_UP,
    OPEN,
    BeginServing,
    ChangeDeployment,
    Fields,
    GiveUpDeployments,
    number_of,
)
from flow_backend.functions.job_steps import Step

logger = structlog.get_logger()

_FIRST_WAIT_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 30.0


@define(kw_only=True)
class Endings:
    """Notes in the rows of versions how their deploys ended, and with which the server began.

    Attributes:
        step: does a step of that name in a transaction; raises Overloaded if it is not done.
        turn: whoever changes rows of deployments has it.
    """

    step: Callable[[str, Step], Awaitable[object]]
    turn: trio.Lock
    _begins: BeginServing | None = None
    _is_given_up: bool = False
    _unwritten: dict[int, Fields] = field(factory=dict[int, Fields])

    async def begin(self, step: BeginServing) -> None:
        """Note which version serves; it is known from now on, whether the disk takes it or not."""
        self._begins = step
        await self._try()

    async def note(self, number: int, fields: Fields) -> None:
        """Note the end of a deploy: from now on it is shown, whether the disk takes it or not."""
        self._unwritten[number] = fields
        await self._try()

    async def give_up(self) -> None:
        """Note that a deploy never began, though it may have a row: nobody knows if that failed."""
        self._is_given_up = True
        await self._try()

    async def write(self) -> None:
        """Write what is not written yet.

        Raises: Overloaded if the disk does not take it.
        """
        if self._begins is not None:
            await self.step("begin", self._begins)
            self._begins = None
        if self._is_given_up:
            await self.step("give_up", GiveUpDeployments())
            self._is_given_up = False
        for number, fields in list(self._unwritten.items()):
            await self.step("change", ChangeDeployment(number, fields))
            del self._unwritten[number]

    async def settle(self) -> None:
        """Try again, ever more seldom, until all is written."""
        wait = _FIRST_WAIT_SECONDS
        while not self.is_settled:
            await trio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
            async with self.turn:
                await self._try()

    async def _try(self) -> None:
        try:
            await self.write()
        except Overloaded as error:
            # The rows say that a deploy goes on; the next start, too, would end that.
            logger.warning("it could not be noted yet how a deploy ended", reason=str(error))

    @property
    def is_settled(self) -> bool:
        """Whether the rows say how each deploy ended."""
        return self._begins is None and not self._is_given_up and not self._unwritten

    def shown(self, row: Fields) -> Fields:
        """Give a version's row as it is to be."""
        if self._begins is not None and row["state"] in self._begins.ends:
            return {**row, **self._begins.ended}
        if self._is_given_up and row["state"] in OPEN:
            return {**row, **GIVEN_UP}
        return {**row, **self._unwritten.get(number_of(row), {})}
