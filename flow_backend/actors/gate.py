"""Whether new work is taken: the door that is shut while the process has no memory left for it."""

from attrs import define

from flow_backend.errors import Overloaded


@define
class Gate:
    """Shut by the server when its memory is full, and opened again when it is not.

    Attributes:
        refusals: how much work was turned away.
    """

    shut: bool = False
    refusals: int = 0

    def check(self) -> None:
        """Let new work pass.

        Raises: Overloaded while the gate is shut; the same work may be sent again.
        """
        if self.shut:
            self.refusals += 1
            raise Overloaded("the server's memory is full (FLOW_MEMORY_BYTES_MAX); try again later")
