"""An alarm: one thing that needs somebody, with one sentence of why and the best thing to do."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What a rule has found.

    `sentence` says what is wrong, `evidence` what that was concluded from, and `advice` what to do. `remedy` is the
    name of the kind of action that helps best, blank where none does; `job` is the job it is about, blank for none.
    """

    rule: str
    sentence: str
    evidence: str
    since: datetime
    advice: str = ""
    remedy: str = ""
    job: str = ""


def tell_alarms(alarms: Iterable[Alarm]) -> list[dict[str, str]]:
    """Return alarms as JSON can hold them."""
    return [asdict(alarm) | {"since": alarm.since.isoformat()} for alarm in alarms]


def read_alarms(told: Iterable[Mapping[str, Any]]) -> list[Alarm]:
    """Return the alarms that were told so."""
    return [Alarm(**{**one, "since": datetime.fromisoformat(one["since"])}) for one in told]
