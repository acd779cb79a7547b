"""What is asked of the Deployer, and how that ends."""

from collections.abc import Sequence

from attrs import field

from flow_backend.functions.deployments import Problem
from flow_backend.records import frozen
from flow_backend.schema.system import DeploymentOrigin
from flow_backend.values.timestamp import CommitTs


@frozen
class DeployRequest:
    """A package that is to serve.

    Attributes:
        zipped: the package, as :func:`flow_backend.functions.package.zip_package` makes it.
        package: its name; None takes that of the zip's only folder.
        restores: the version that it brings back.
        dry_run: whether it is checked only.
        agreed: whether somebody has agreed to all that must be agreed to.
    """

    zipped: bytes = field(repr=False)
    package: str | None = None
    origin: DeploymentOrigin = "deploy"
    author: str = ""
    message: str = ""
    restores: int | None = None
    dry_run: bool = False
    agreed: bool = False


@frozen
class RollbackRequest:
    """An earlier version that is to serve again; None is the one before that of now."""

    to: int | None = None
    author: str = ""
    message: str = ""
    dry_run: bool = False
    agreed: bool = False


@frozen
class Deployed:
    """A version is in force, from ``ts`` on."""

    number: int
    ts: CommitTs


@frozen
class DeployRefused:
    """A package that cannot serve, and why. Nothing has changed."""

    number: int
    problems: tuple[Problem, ...]


@frozen
class Checked:
    """A package that could serve; it was checked only."""

    number: int


DeployResult = Deployed | DeployRefused | Checked


class Problems(Exception):  # It is an answer.
    """A package cannot serve."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(len(problems))
        self.problems = tuple(problems)
