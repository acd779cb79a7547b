"""Looks up the code that comes back in a rollback, or goes on after a restart."""

from attrs import field

from flow_backend.actors.deploy_requests import DeployRequest, RollbackRequest
from flow_backend.errors import AppDefinitionError
from flow_backend.functions.deployments import (
    Fields,
    building_deployment,
    code_of,
    find_deployment,
    is_served,
    version_before,
)
from flow_backend.records import frozen
from flow_backend.storage.base import Snapshot


@frozen
class Restored:
    """A version that can come back: whose code it is, and that code."""

    number: int
    package: str
    zipped: bytes = field(repr=False)

    def asked_by(self, wanted: RollbackRequest) -> DeployRequest:
        """Give what brings it back."""
        return DeployRequest(
            zipped=self.zipped,
            package=self.package,
            origin="rollback",
            author=wanted.author,
            message=wanted.message,
            restores=self.number,
            dry_run=wanted.dry_run,
            agreed=wanted.agreed,
        )


def find_version(snapshot: Snapshot, number: int | None) -> Restored:
    """Find what a rollback brings back, None is what served before.

    Raises: AppDefinitionError.
    """
    wanted = version_before(snapshot) if number is None else number
    if wanted is None:
        raise AppDefinitionError("There is no version before the one that serves")
    fields = find_deployment(snapshot, wanted)
    if fields is None or not is_served(fields):
        raise AppDefinitionError(f"There is no version {wanted} that has served")
    zipped = snapshot.package(str(fields["digest"]))
    if zipped is None:
        raise AppDefinitionError(f"The package of version {wanted} is kept no more")
    return Restored(code_of(fields), str(fields["package"]), zipped)


def find_building(snapshot: Snapshot) -> tuple[bytes, Fields | None]:
    """Find the version whose indexes were being built, and its package; empty if that is lost."""
    fields = building_deployment(snapshot)
    found = None if fields is None else snapshot.package(str(fields["digest"]))
    return found or b"", fields
