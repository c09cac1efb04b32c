"""The timeline: when each job waited in its queue and when it ran, section by section; above them runs and wrappers."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from heapq import heappush, heapreplace
from itertools import zip_longest
from math import inf
from typing import NamedTuple

from jobs.pictures.picture import Band, Boxes, Picture, PicturedJob, Span

CELL = (40.0, 16.0)
BETWEEN_SECTIONS = 0.6
LEAST_SECONDS = 1


class PicturedRun(NamedTuple):
    """A run: its name, when it began and ended (seconds since 1970), whether it goes on, and its page."""

    label: str
    began_at: int
    ended_at: int | None
    goes_on: bool
    address: str


class PicturedWrapper(NamedTuple):
    """A wrapper: its name, the keys of its jobs, and its page."""

    label: str
    jobs: Sequence[int]
    address: str


class _Times(NamedTuple):
    """In seconds from the origin: when a job was sent, how long it lasted, and how much of that it waited."""

    start: int
    length: int
    wait: int

    @property
    def end(self) -> int:
        return self.start + self.length


def lay_out_timeline(
    jobs: Sequence[PicturedJob],
    now: int,
    runs: tuple[str, Iterable[PicturedRun]] = ("", ()),
    wrappers: tuple[str, Iterable[PicturedWrapper]] = ("", ()),
) -> Picture:
    """Return the jobs that were sent, as far as their times are known; those that are not over last until `now`.

    One of which no time is written lasts from when it was seen.

    In a section, jobs at the same time stand below each other. Above the sections stand the runs and the wrappers that
    these jobs were of, each kind under its title. All instants are seconds since 1970.
    """
    sent = [job for job in jobs if (job.submitted_at or job.started_at or job.seen_at)]
    sent.sort(key=_begin)
    if not sent:
        return Picture([], Boxes(), CELL)
    origin = _begin(sent[0])
    times = [_measure(job, origin, now) for job in sent]
    lanes = [(runs[0], _place_runs(runs[1], times, origin)), (wrappers[0], _place_wrappers(wrappers[1], sent, times))]
    spans, above, top = _stack_spans(lanes, max(time.end for time in times))
    rows, below = _choose_rows(sent, times, top)
    return Picture(
        jobs=sent,
        boxes=Boxes([time.start for time in times], rows, [time.length for time in times], [1] * len(sent)),
        cell=CELL,
        groups=[*above, *below],
        origin=origin,
        waits=[time.wait for time in times],
        spans=spans,
    )


def _begin(job: PicturedJob) -> int:
    """Return when a job that was sent was submitted; of some, only the start is known, or when they were seen."""
    return min(filter(None, (job.submitted_at, job.started_at, job.seen_at)))


def _measure(job: PicturedJob, origin: int, now: int) -> _Times:
    begun = _begin(job)
    end = job.finished_at or max(now, begun)
    length = max(end - begun, LEAST_SECONDS)
    began_to_run = job.started_at or (job.seen_at if job.status == "RUNNING" else None) or end
    return _Times(begun - origin, length, min(max(began_to_run - begun, 0), length))


def _place_runs(runs: Iterable[PicturedRun], times: Sequence[_Times], origin: int) -> list[Span]:
    """Return the runs that last into the time of the jobs.

    Autosubmit writes no end of a run that was stopped or killed: it is then that of the last job sent in it, and at
    most the beginning of the next one.
    """
    ordered = sorted(runs, key=lambda run: run.began_at)
    starts = [time.start for time in times]
    spans = []
    for run, later in zip_longest(ordered, ordered[1:]):
        begin, latest = run.began_at - origin, later.began_at - origin if later else inf
        of_run = times[bisect_left(starts, begin) : bisect_left(starts, latest)]
        end = run.ended_at - origin if run.ended_at else min(max((time.end for time in of_run), default=begin), latest)
        if run.goes_on or end >= 0:
            start = max(begin, 0)
            width = None if run.goes_on else max(end - start, LEAST_SECONDS)
            spans.append(Span(run.label, start, 0, width, 0, (), run.address))
    return spans


def _place_wrappers(
    wrappers: Iterable[PicturedWrapper], jobs: Sequence[PicturedJob], times: Sequence[_Times]
) -> list[Span]:
    """Return the wrappers whose jobs were sent, each from the first submission to the last end."""
    places = {job.pk: place for place, job in enumerate(jobs)}
    spans = []
    for wrapper in wrappers:
        inside = sorted(places[key] for key in wrapper.jobs if key in places)
        if inside:
            start = min(times[place].start for place in inside)
            end = max(times[place].end for place in inside)
            ran = min(times[place].start + times[place].wait for place in inside)
            spans.append(Span(wrapper.label, start, 0, end - start, ran - start, inside, wrapper.address))
    return sorted(spans, key=lambda span: span.x)


def _stack_spans(lanes: Iterable[tuple[str, list[Span]]], last: int) -> tuple[list[Span], list[Band], float]:
    """Return the spans that begin before the end, with their rows; a band for each lane; and the row below them."""
    placed: list[Span] = []
    bands: list[Band] = []
    y = 0.0
    for title, spans in lanes:
        busy: list[tuple[float, int]] = []
        for span in spans:
            if span.x <= last:
                end = last if span.width is None else span.x + span.width
                placed.append(span._replace(y=y + _take_row(busy, span.x, end)))
        if busy:
            bands.append(Band(title, y, len(busy)))
            y += len(busy) + BETWEEN_SECTIONS
    return placed, bands, y


def _choose_rows(jobs: Sequence[PicturedJob], times: Sequence[_Times], top: float) -> tuple[list[float], list[Band]]:
    """Return the row of each job, the first of its section that is free; and the bands of the sections from `top`."""
    ends: dict[str, list[tuple[float, int]]] = {}
    inner = []
    for job, time in zip(jobs, times, strict=True):
        busy = ends.setdefault(job.section, [])
        inner.append(_take_row(busy, time.start, time.end))
    groups, y = [], top
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
