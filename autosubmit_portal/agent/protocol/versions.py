"""Versions of the protocol. A new minor one adds, a new major one changes; the major one before is still spoken."""

from dataclasses import dataclass

from autosubmit_portal.agent.protocol.errors import ProtocolError
from autosubmit_portal.sentences import say

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Versions:
    """What a side speaks: every version from the oldest to the newest."""

    oldest: Version
    newest: Version

    def agree(self, other: "Versions") -> Version:
        """Return the newest version that both speak."""
        version = min(self.newest, other.newest)
        if version < max(self.oldest, other.oldest):
            raise ProtocolError(
                say("it speaks protocol {other} and we speak {ours}: update the older of both", other=other, ours=self)
            )
        return version

    def __str__(self) -> str:
        oldest, newest = (".".join(map(str, version)) for version in (self.oldest, self.newest))
        return oldest if oldest == newest else f"{oldest} to {newest}"


OURS = Versions(oldest=(1, 0), newest=(1, 0))
