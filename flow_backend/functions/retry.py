"""``Retry``: how often, and after which waits, an action that failed is tried again."""

from random import Random

from attrs import field, frozen

from flow_backend.errors import AppDefinitionError

_LONGEST_SECONDS = 7 * 86_400


@frozen(kw_only=True)
class Retry:
    """A policy for an action that may safely run more than once: ``@action(retry=Retry())``.

    The wait before attempt n + 1 is ``first_seconds × factor^(n − 1)``, at most ``most_seconds``;
    a random half of it is left out, so that what failed together does not come back together. An
    :class:`AppError` is an answer and ends the attempts.

    Attributes:
        attempts: how often it runs at most, the first time included.

    Raises: AppDefinitionError for numbers that make no policy.
    """

    attempts: int = field(default=5)
    first_seconds: float = field(default=1.0)
    factor: float = field(default=2.0)
    most_seconds: float = field(default=300.0)

    def __attrs_post_init__(self) -> None:
        self._check("attempts", self.attempts, 2, 100)
        self._check("first_seconds", self.first_seconds, 0.001, _LONGEST_SECONDS)
        self._check("factor", self.factor, 1, 100)
        self._check("most_seconds", self.most_seconds, self.first_seconds, _LONGEST_SECONDS)

    def _check(self, name: str, value: float, least: float, most: float) -> None:
        if not least <= value <= most:
            raise AppDefinitionError(
                f"Retry({name}={value}): {name} lies between {least:g} and {most:g}"
            )

    def delay_seconds(self, failed: int, random: Random) -> float | None:
        """Give the wait before the next attempt, or None if there is none.

        ``failed`` counts the attempts so far, at least one.
        """
        if failed >= self.attempts:
            return None
        # The exponent is bounded, since a float's power is not.
        longest = self.first_seconds * self.factor ** min(failed - 1, 60)
        return min(longest, self.most_seconds) * (0.5 + random.random() / 2)
