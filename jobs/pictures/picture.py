"""What a picture is made of: jobs in, boxes and labels out. Lengths are in units that the browser scales."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from jobs.autosubmit.start_dates import format_alike

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
    """What pictures need to know of a job: its start date, and the instants of its newest attempt.

    `seen_at` is since when it is seen in its status, where nothing has written when it came into it. All instants are
    seconds since 1970: a picture may have a hundred thousand jobs, and objects are slow.
    """

    pk: int
    name: str
    status: str
    section: str = ""
    date: int | None = None
    member: str = ""
    chunk: int | None = None
    split: int | None = None
    submitted_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    seen_at: int | None = None


@dataclass(frozen=True, slots=True)
class Boxes:
    """Where each job is drawn. Lists of numbers: an object for each box would keep the garbage collector busy."""

    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    width: list[float] = field(default_factory=list)
    height: list[float] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[float, float, float, float]]:
        """Yield x, y, width and height of each."""
        return zip(self.x, self.y, self.width, self.height, strict=True)


class Band(NamedTuple):
    """A labelled stretch of rows or columns."""

    label: str
    start: float
    length: float


class Span(NamedTuple):
    """A named stretch of time above the jobs: a run, or a wrapper.

    It lasts until now where `width` is None. `wait` is how much of it was time in a queue, `jobs` are the places of its
    jobs, and `address` is the page about it.
    """

    label: str
    x: float
    y: float
    width: float | None
    wait: float
    jobs: Sequence[int]
    address: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The jobs, the box of each in the same order, and what is written beside them.

    `cell` is how many pixels wide and high a unit is drawn at most when the picture is opened. `groups` are bands of
    rows. Where the columns are instants, `origin` is the first one (seconds since 1970), a unit is a second, and
    `waits` says how much of each box is the time before the job began. `spans` are other stretches of time.
    """

    jobs: Sequence[PicturedJob]
    boxes: Boxes
    cell: tuple[float, float]
    rows: Sequence[Band] = ()
    groups: Sequence[Band] = ()
    columns: Sequence[Band] = ()
    edges: Sequence[Edge] = ()
    origin: int | None = None
    waits: Sequence[float] = field(default_factory=list)
    spans: Sequence[Span] = ()


def name_dates(dates: Iterable[int | None]) -> dict[int | None, str]:
    """Return the names of start dates, all in one form as Autosubmit writes them; that of None is blank."""
    known = [*{seconds: None for seconds in dates if seconds is not None}]
    names = format_alike(datetime.fromtimestamp(seconds, UTC) for seconds in known)
    return {None: "", **dict(zip(known, names, strict=True))}


def sort_naturally(texts: Iterable[str]) -> list[str]:
    """Return texts in an order in which fc2 comes before fc10."""
    return sorted(texts, key=lambda text: (len(text), text))
