"""The timeline: when each job waited in its queue and when it ran, section by section."""

from collections.abc import Iterable, Sequence
from heapq import heappush, heapreplace

from jobs.pictures.picture import Band, Boxes, Picture, PicturedJob

CELL = (40.0, 16.0)
BETWEEN_SECTIONS = 0.6
LEAST_SECONDS = 1


def lay_out_timeline(jobs: Sequence[PicturedJob], now: int, runs: Iterable[tuple[str, int]] = ()) -> Picture:
    """Return the jobs that were sent, as far as their times are known; those that are not over last until `now`.

    In a section, jobs at the same time stand below each other. `runs` are the names and the beginnings of runs. All
    instants are seconds since 1970.
    """
    sent = [job for job in jobs if (job.submitted_at or job.started_at)]
    sent.sort(key=_begin)
    if not sent:
        return Picture([], Boxes(), CELL)
    origin = _begin(sent[0])
    spans = [_measure(job, origin, now) for job in sent]
    rows, groups = _choose_rows(sent, spans)
    last = max(start + length for start, length, _ in spans)
    marks = [(name, at - origin) for name, at in runs]
    return Picture(
        jobs=sent,
        boxes=Boxes([start for start, _, _ in spans], rows, [length for _, length, _ in spans], [1] * len(sent)),
        cell=CELL,
        groups=groups,
        origin=origin,
        waits=[wait for _, _, wait in spans],
        marks=[(name, at) for name, at in marks if 0 <= at <= last],
    )


def _begin(job: PicturedJob) -> int:
    """Return when a job that was sent was submitted; of some, only the start is known."""
    return min(filter(None, (job.submitted_at, job.started_at)))


def _measure(job: PicturedJob, origin: int, now: int) -> tuple[int, int, int]:
    """Return in seconds when a job was sent, how long it lasted, and how much of that it waited."""
    begun = _begin(job)
    end = job.finished_at or max(now, begun)
    length = max(end - begun, LEAST_SECONDS)
    began_to_run = job.started_at or end
    return begun - origin, length, min(max(began_to_run - begun, 0), length)


def _choose_rows(jobs: Sequence[PicturedJob], spans: Sequence[tuple[int, int, int]]) -> tuple[list[float], list[Band]]:
    """Return the row of each job: the first of its section that is free; and the bands of the sections."""
    ends: dict[str, list[tuple[float, int]]] = {}
    inner = []
    for job, (start, length, _) in zip(jobs, spans, strict=True):
        busy = ends.setdefault(job.section, [])
        inner.append(_take_row(busy, start, start + length))
    groups, y = [], 0.0
    for section, busy in ends.items():
        groups.append(Band(section, y, len(busy)))
        y += len(busy) + BETWEEN_SECTIONS
    tops = {group.label: group.start for group in groups}
    return [tops[job.section] + row for job, row in zip(jobs, inner, strict=True)], groups


def _take_row(busy: list[tuple[float, int]], start: float, end: float) -> int:
    """Return a row that is free from `start`, and have it busy until `end`; `busy` is a heap of ends and rows."""
    if busy and busy[0][0] <= start:
        row = busy[0][1]
        heapreplace(busy, (end, row))
        return row
    heappush(busy, (end, len(busy)))
    return len(busy) - 1
