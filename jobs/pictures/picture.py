"""What a picture is made of: jobs in, boxes and labels out. Lengths are in units that the browser scales."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

LETTERS = {
    "COMPLETED": "C",
    "SKIPPED": "K",
    "FAILED": "F",
    "RUNNING": "R",
    "QUEUING": "Q",
    "SUBMITTED": "U",
    "PREPARED": "P",
    "READY": "Y",
    "HELD": "H",
    "DELAYED": "D",
    "SUSPENDED": "S",
    "WAITING": "W",
    "UNKNOWN": "X",
}
"""The letter that stands for a status where its colour alone would be the sign."""

Edge = tuple[int, int]
"""The places of a parent and of its child among the jobs."""


class PicturedJob(NamedTuple):
    """What pictures need to know of a job; `date` is its start date, the instants are those of its newest attempt."""

    pk: int
    name: str
    status: str
    section: str = ""
    date: datetime | None = None
    member: str = ""
    chunk: int | None = None
    split: int | None = None
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Box(NamedTuple):
    """Where a job is drawn."""

    x: float
    y: float
    width: float
    height: float


class Band(NamedTuple):
    """A labelled stretch of rows or columns."""

    label: str
    start: float
    length: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The jobs, the box of each in the same order, and what is written beside them.

    `cell` is how many pixels wide and high a unit is drawn at most when the picture is opened. `groups` are bands of
    rows. Where the columns are instants, `origin` is the first one, a unit is a second, and `waits` says how much of
    each box is the time before the job began. `marks` are labelled places on the x axis.
    """

    jobs: Sequence[PicturedJob]
    boxes: Sequence[Box]
    cell: tuple[float, float]
    rows: Sequence[Band] = ()
    groups: Sequence[Band] = ()
    columns: Sequence[Band] = ()
    edges: Sequence[Edge] = ()
    origin: datetime | None = None
    waits: Sequence[float] = field(default_factory=list)
    marks: Sequence[tuple[str, float]] = ()


def name_date(date: datetime | None) -> str:
    """Return a start date as Autosubmit writes it: a day, or the minute where it is not midnight."""
    if date is None:
        return ""
    return f"{date:%Y%m%d}" if not (date.hour or date.minute) else f"{date:%Y%m%d%H%M}"


def sort_naturally(texts: Iterable[str]) -> list[str]:
    """Return texts in an order in which fc2 comes before fc10."""
    return sorted(texts, key=lambda text: (len(text), text))
