"""The words that quick add knows, and the pieces of patterns that are made of them."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import define, field

WEEKDAYS: Final = {
    **dict.fromkeys(("mon", "monday"), 0),
    **dict.fromkeys(("tue", "tues", "tuesday"), 1),
    **dict.fromkeys(("wed", "weds", "wednesday"), 2),
    **dict.fromkeys(("thu", "thur", "thurs", "thursday"), 3),
    **dict.fromkeys(("fri", "friday"), 4),
    **dict.fromkeys(("sat", "saturday"), 5),
    **dict.fromkeys(("sun", "sunday"), 6),
}
MONTHS: Final = {
    **dict.fromkeys(("jan", "january"), 1),
    **dict.fromkeys(("feb", "february"), 2),
    **dict.fromkeys(("mar", "march"), 3),
    **dict.fromkeys(("apr", "april"), 4),
    "may": 5,
    **dict.fromkeys(("jun", "june"), 6),
    **dict.fromkeys(("jul", "july"), 7),
    **dict.fromkeys(("aug", "august"), 8),
    **dict.fromkeys(("sep", "sept", "september"), 9),
    **dict.fromkeys(("oct", "october"), 10),
    **dict.fromkeys(("nov", "november"), 11),
    **dict.fromkeys(("dec", "december"), 12),
}
NUMBERS: Final = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
}
ORDINALS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
DAY_CODES: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
DAY_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTH_NAMES: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

# Words after which a phrase describes the thing, and says nothing of when it is to be done.
AGAINST: Final = re.compile(
    r"(?<!\S)(?:for|of|about|since|from|last|past|the|an?|my|our|between|after|than|vs\.?)\s+\Z",
    re.IGNORECASE,
)
ARTICLE: Final = re.compile(r"(?<!\S)(?:the|an?)\s+\Z", re.IGNORECASE)
MARKER: Final = r"(?:due\s+on|due\s+by|due|on|by|before|until)"


def one_of(words: Iterable[str]) -> str:
    """Give a pattern for any of these words, longer ones first."""
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)) + ")"


WEEKDAY: Final = one_of(WEEKDAYS)
MONTH: Final = one_of(MONTHS)
COUNT: Final = rf"(?:\d{{1,3}}|{one_of(NUMBERS)})"
NTH: Final = r"(?:\d{1,2}(?:st|nd|rd|th))"
ORDINAL: Final = rf"(?:{NTH}|{one_of(ORDINALS)})"
DAYPART: Final = r"(?:morning|afternoon|evening|night)"

# A phrase stands apart: no part of a longer word, a number such as 24/7, or a possessive.
START: Final = r"(?:(?<=[\s(,;:])|(?<![\s\S]))"
END: Final = r"(?=[\s)]|[,.;:!?]+(?:[\s)]|\Z)|\Z)"


@define
class Phrase:
    """A pattern that is compiled when it is first used.

    All of them together take a tenth of a second, which the start of a server has no use for.
    """

    source: str
    flags: re.RegexFlag = re.IGNORECASE
    _compiled: re.Pattern[str] | None = field(default=None, init=False)

    @property
    def pattern(self) -> re.Pattern[str]:
        """The pattern, compiled."""
        if self._compiled is None:
            self._compiled = re.compile(self.source, self.flags)
        return self._compiled

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Give all places of a text where it stands."""
        return self.pattern.finditer(text)

    def search(self, text: str) -> re.Match[str] | None:
        """Find the first place of a text where it stands."""
        return self.pattern.search(text)

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Find it right at a place."""
        return self.pattern.match(text, start)


def phrase(pattern: str) -> Phrase:
    """Give a phrase that stands apart. Spaces in ``pattern`` match any spaces of the line."""
    spaced = pattern.replace(" ", r"\s+")
    return Phrase(START + "(?:" + spaced + ")" + END)


def count_of(text: str) -> int:
    """Give the number that a word or digits mean."""
    return NUMBERS.get(text.lower()) or int(text)


def ordinal_of(text: str) -> int:
    """Give the number of ``2nd`` or ``second``; -1 for ``last``."""
    lowered = text.lower()
    return ORDINALS[lowered] if lowered in ORDINALS else int(lowered[:-2])
