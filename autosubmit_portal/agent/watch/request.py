"""What a gateway may ask of a watcher."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.agent.protocol.fields import refuse_others, take_flag, take_number, take_text, take_texts
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.site_file import BadSiteFileError, SiteFile

MOST_ATTENDED = 5_000
LONGEST_PAUSE = 3600.0
_MOST_EPOCH = 100
_LONGEST_EXPID = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: what the portal has seen already, and what it attends to.

    `pause_seconds` is the time between two requests, of which the quiet experiments get a share.
    """

    epoch: str
    counter: int
    attend: frozenset[str]
    pause_seconds: float
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where the store is, and the program that writes it: as the file of the site says, and nobody else."""

    home: Path
    configuration: Path | None
    program: Path
    caches: Path


def find_place(site: SiteFile) -> Place:
    """Return what the file of a site says. Raises BadSiteFileError if it names no store."""
    if site.home is None:
        raise BadSiteFileError("The file of the site names no “home” of a store.")
    return Place(site.home, site.configuration, site.program, site.spool / "caches")


def understand(arguments: Message) -> Asked:
    """Return what is asked. Raises ProtocolError."""
    refuse_others(arguments, "epoch", "counter", "attend", "pause_seconds", "is_whole")
    attend = take_texts(arguments, "attend")
    if len(attend) > MOST_ATTENDED or any(len(expid) > _LONGEST_EXPID for expid in attend):
        raise ProtocolError(f"“attend” must be at most {MOST_ATTENDED} names of experiments")
    return Asked(
        epoch=take_text(arguments, "epoch", most=_MOST_EPOCH),
        counter=take_number(arguments, "counter"),
        attend=frozenset(attend),
        pause_seconds=_take_seconds(arguments, "pause_seconds"),
        is_whole=take_flag(arguments, "is_whole"),
    )


def _take_seconds(message: Message, name: str) -> float:
    value: Any = message.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LONGEST_PAUSE:
        raise ProtocolError(f"“{name}” must be a number from 0 to {LONGEST_PAUSE:.0f}")
    return float(value)
