"""What a gateway may ask of a watcher."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autosubmit_portal.agent.protocol import ProtocolError, strict_json
from autosubmit_portal.agent.protocol.fields import refuse_others, take_flag, take_number, take_text, take_texts
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.site_file import SiteFile

# Whatever their names are, they fit into _MOST_BYTES.
MOST_ATTENDED = 800
# As long as a name of an experiment may be.
MARK_BYTES = 50
# A pipe takes 64 KiB at once, of this and of where the store is.
_MOST_BYTES = 45_000
LONGEST_PAUSE = 3600.0
_MOST_EPOCH = 100


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


def find_place(site: SiteFile) -> Place | None:
    """Return what the file of a site says; None if it names no store."""
    return Place(site.home, site.configuration, site.program, site.spool / "caches") if site.home else None


def tell_place(place: Place) -> Message:
    """Tell a watcher where it looks."""
    return {name: str(value or "") for name, value in asdict(place).items()}


def understand_place(told: Message) -> Place:
    """Understand what its agent has told."""
    configuration = told["configuration"]
    return Place(
        Path(told["home"]), Path(configuration) if configuration else None, Path(told["program"]), Path(told["caches"])
    )


def understand(arguments: Message) -> Asked:
    """Return what is asked. Raises ProtocolError."""
    refuse_others(arguments, "epoch", "counter", "attend", "pause_seconds", "is_whole")
    attend = take_texts(arguments, "attend")
    if len(attend) > MOST_ATTENDED or len(strict_json.encode(arguments)) > _MOST_BYTES:
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
