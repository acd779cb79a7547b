"""The randomness of one call: all of it follows from one number."""

import hashlib
import random
from typing import Final

from attrs import define

from flow_backend.schema.ids import INTERNAL_BYTES

_DAY_BYTES: Final = 2


@define
class Seed:
    """Draws what a call needs. A call that is run again with the same number draws the same.

    Most calls draw nothing, and seeding Python's generator costs as much as reading ten rows: it is
    made when it is first asked for. Ids are drawn from a hash, and so are not shifted by what the
    app draws.
    """

    number: int
    _random: random.Random | None = None
    _drawn: int = 0

    @property
    def random(self) -> random.Random:
        """The generator that apps see as ``ctx.random``."""
        if self._random is None:
            self._random = random.Random(self.number)
        return self._random

    def internal_id(self, day: int) -> bytes:
        """Draw the 16 bytes of a new document; ``day`` counts from the Unix epoch.

        Source: the values, "Document IDs".
        """
        self._drawn += 1
        hashed = hashlib.blake2b(
            b"%d/%d" % (self.number, self._drawn), digest_size=INTERNAL_BYTES - _DAY_BYTES
        )
        return hashed.digest() + day.to_bytes(_DAY_BYTES, "big")
