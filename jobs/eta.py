"""Estimate how long the chunks of a section still take, from the complete ones. Pure functions; no Django."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ChunkJob:
    """A job of a chunk: its status, and when its newest attempt began and ended."""

    chunk: int
    status: str
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Eta:
    """What is left. Durations are in seconds; None while no complete chunk can be measured."""

    eta_seconds: float | None
    chunks_total: int
    chunks_remaining: int
    avg_runtime_per_chunk_seconds: float | None


def estimate(jobs: Iterable[ChunkJob]) -> Eta:
    """Return the mean time of a complete chunk, times the number of the other chunks, like Autosubmit API 4.2.

    A chunk is all jobs with its number, of any start date and member. It is complete when all of them are; its time is
    from the first start to the last end.
    """
    chunks: dict[int, list[ChunkJob]] = defaultdict(list)
    for job in jobs:
        chunks[job.chunk].append(job)
    complete = [chunk for chunk in chunks.values() if all(job.status == "COMPLETED" for job in chunk)]
    took = [seconds for seconds in map(_measure_seconds, complete) if seconds is not None]
    mean = sum(took) / len(took) if took else None
    left = len(chunks) - len(complete)
    eta = 0.0 if not left else None if mean is None else mean * left
    return Eta(eta, len(chunks), left, mean)


def _measure_seconds(chunk: Sequence[ChunkJob]) -> float | None:
    start = min((job.started_at for job in chunk if job.started_at), default=None)
    end = max((job.finished_at for job in chunk if job.finished_at), default=None)
    return (end - start).total_seconds() if start and end and end >= start else None
