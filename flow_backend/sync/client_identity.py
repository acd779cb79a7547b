"""Which client program is talking, and what it can take."""

import re
from typing import Final, get_args

from attrs import frozen

from flow_backend.sync.messages import ClientName

_KNOWN: Final[dict[str, ClientName]] = {name: name for name in get_args(ClientName)}
_NUMBER: Final = r"(0|[1-9][0-9]{0,8})"
_IDENTIFIERS: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_SEMVER: Final = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_IDENTIFIERS})?(?:\+{_IDENTIFIERS})?"
)
_LONGEST: Final = 200
_FIRST_WITH_CHUNKS: Final = (1, 28, 0)


@frozen
class ClientIdentity:
    """A client program. ``version`` is a semantic version, or "" if the client told none."""

    name: ClientName
    version: str

    @property
    def takes_chunks(self) -> bool:
        """Whether the client puts a transition together that came in pieces.

        Source: the sync protocol, "Feature gates by client".
        """
        if self.name == "flow":
            return True
        parsed = _SEMVER.fullmatch(self.version)
        if self.name != "npm" or parsed is None:
            return False
        major, minor, patch, prerelease = parsed.groups()
        version = (int(major), int(minor), int(patch))
        # A prerelease of a version comes before it.
        return version > _FIRST_WITH_CHUNKS or (version == _FIRST_WITH_CHUNKS and not prerelease)


def client_of(path_version: str | None, header: str | None) -> ClientIdentity:
    """Tell who a client is from its address (``1.48.0``) or its header (``python-0.8.1``).

    Only the JavaScript client puts its version into the address, and it can set no header. What
    does not parse makes the client an unknown one, which is served as any other.

    Source: the sync protocol, "Endpoint".
    """
    if path_version is not None and _is_semver(path_version):
        return ClientIdentity("npm", path_version)
    if header is not None and len(header) <= _LONGEST:
        # Names and versions both hold hyphens: the first split that leaves a version has the
        # longest one.
        for hyphen in re.finditer("-", header):
            if _is_semver(version := header[hyphen.end() :]):
                name = _KNOWN.get(header[: hyphen.start()], "unknown")
                return ClientIdentity(name, version)
    return ClientIdentity("unknown", "")


def _is_semver(text: str) -> bool:
    return len(text) <= _LONGEST and _SEMVER.fullmatch(text) is not None
