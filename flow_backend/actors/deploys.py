"""What the server asks of deploys: they go on in the nursery, and whoever asked may leave."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
import trio
from attrs import define

from flow_backend.actors.blame import shown
from flow_backend.actors.deploy_requests import DeployRequest, DeployResult, RollbackRequest
from flow_backend.actors.deploying import Deployer
from flow_backend.actors.mailbox import Reply
from flow_backend.functions.deployments import Fields

logger = structlog.get_logger()


@define
class Deploys:
    """Begins deploys, and tells how they stand."""

    deployer: Deployer
    nursery: trio.Nursery

    async def run(self, request: DeployRequest) -> DeployResult:
        """Put a version of the app in force, or say why it cannot be.

        Raises: AppDefinitionError if it is no package; Overloaded if nothing was taken.
        """
        try:
            return await self.deployer.deploy(request)
        finally:
            self._settle()

    async def start(self, request: DeployRequest) -> int:
        """Begin a deploy, and give its number: how it goes on stands in its row.

        Raises: what :meth:`run` raises.
        """
        return await self._begun(lambda told: self.deployer.deploy(request, told))

    async def start_rollback(self, wanted: RollbackRequest) -> int:
        """Begin to put the code of an earlier version in force again, and give the new number.

        Raises: AppDefinitionError if that version cannot come back; what :meth:`run` raises.
        """
        return await self._begun(lambda told: self.deployer.roll_back(wanted, told))

    async def newest(self, most: int, *, served: bool) -> Sequence[Fields]:
        """Give the newest versions, newest first; those that served, or all."""
        return await self.deployer.deployments(most, served=served)

    async def find(self, number: int) -> Fields | None:
        """Give a version, None if there is none of this number."""
        return await self.deployer.deployment(number)

    def resume(self) -> None:
        """Go on with the deploy whose indexes were being built when the server ended, if any.

        What else an end without warning left of deploys is put in order, too.
        """
        self._settle()

        async def keep() -> None:
            try:
                await self.deployer.sweep()
                await self.deployer.resume()
            except Exception as error:
                logger.warning("a deploy failed", error=shown(error))
            self._settle()

        self.nursery.start_soon(keep, name="deploy")

    def _settle(self) -> None:
        """Go on with noting how deploys ended, if the disk did not take it."""
        endings = self.deployer.endings
        if not (endings.is_settled or self.nursery.cancel_scope.cancel_called):
            self.nursery.start_soon(endings.settle, name="ends of deploys")

    async def _begun(self, work: Callable[[Callable[[int], None]], Awaitable[DeployResult]]) -> int:
        """Start a deploy of its own."""
        begun = Reply[int | Exception]()

        async def keep() -> None:
            try:
                await work(begun.put)
            except Exception as error:
                begun.put(error)
                logger.warning("a deploy failed", error=shown(error))
            self._settle()

        self.nursery.start_soon(keep, name="deploy")
        answer = await begun.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer
