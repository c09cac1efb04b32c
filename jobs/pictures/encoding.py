"""A picture as compact values for JSON: a list for each field, and numbers that compress well."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from jobs.pictures.picture import LETTERS, Edge, Picture, PicturedJob

UNKNOWN_LETTER = LETTERS["UNKNOWN"]


def encode_picture(picture: Picture) -> dict[str, Any]:
    """Return the picture as JSON values; static/portal/picture.js reads them.

    `ids`, and the places of the jobs of a span, are differences, each from the one before. `status` has a letter for
    each job. `submitted` is in seconds from `epoch` (since 1970), `queued` and `ran` are durations in seconds; null
    where not known. `seen` is in seconds from `epoch`, and empty if no job has it. `parents` has for each job how many
    parents it has, then how far before it each stands.
    """
    jobs, boxes = picture.jobs, picture.boxes
    epoch = min((at for job in jobs if (at := job.submitted_at or job.started_at or job.seen_at)), default=0)
    return {
        "cell": picture.cell,
        "ids": _differ([job.pk for job in jobs]),
        "names": [job.name for job in jobs],
        "status": "".join(LETTERS.get(job.status, UNKNOWN_LETTER) for job in jobs),
        "x": boxes.x,
        "y": boxes.y,
        "width": _shorten(boxes.width),
        "height": _shorten(boxes.height),
        "rows": picture.rows,
        "groups": picture.groups,
        "columns": picture.columns,
        "spans": [span._replace(jobs=_differ(span.jobs)) for span in picture.spans],
        "parents": _encode_parents(len(jobs), picture.edges),
        "origin": picture.origin,
        "waits": _shorten(picture.waits),
        **_encode_times(jobs, epoch),
    }


def _encode_times(jobs: Sequence[PicturedJob], epoch: int) -> dict[str, Any]:
    times = [_to_times(job, epoch) for job in jobs]
    submitted, queued, ran = ([list(part) for part in zip(*times, strict=True)]) if times else ([], [], [])
    return {"epoch": epoch, "submitted": submitted, "queued": queued, "ran": ran, "seen": _encode_seen(jobs, epoch)}


def _encode_seen(jobs: Sequence[PicturedJob], epoch: int) -> list[int | None]:
    seen = [None if job.seen_at is None else job.seen_at - epoch for job in jobs]
    return seen if any(at is not None for at in seen) else []


def _to_times(job: PicturedJob, epoch: int) -> tuple[int | None, int | None, int | None]:
    sent, started, finished = job.submitted_at or job.started_at, job.started_at, job.finished_at
    if sent is None:
        return None, None, None
    if started is None:
        return sent - epoch, None, None
    return sent - epoch, started - sent, None if finished is None else finished - started


def _differ(numbers: Sequence[int]) -> list[int]:
    return [*numbers[:1], *(after - before for before, after in pairwise(numbers))]


def _shorten(numbers: Iterable[float]) -> list[float]:
    """Return one number for all where they are the same."""
    values = list(numbers)
    return values[:1] if len(set(values)) == 1 else values


def _encode_parents(count: int, edges: Sequence[Edge]) -> list[int]:
    if not edges:
        return []
    parents: list[list[int]] = [[] for _ in range(count)]
    for parent, child in edges:
        parents[child].append(child - parent)
    return [value for of_one in parents for value in (len(of_one), *sorted(of_one))]
