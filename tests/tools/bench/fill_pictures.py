"""Fills a portal for the part `pictures`: experiments in the middle of their run, and somebody who looks."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from experiments.models import Experiment, Run
from jobs.models import Job, JobDependency
from tests.tools.bench.fill_changes import fill_experiments
from tests.tools.bench.fill_lists import _session

START = datetime(2000, 1, 1, tzinfo=UTC)
SECTIONS = ("SIM", "POST", "CLEAN", "TRANSFER", "PLOT")
MINUTES = {"SIM": 90, "POST": 20, "CLEAN": 3, "TRANSFER": 12, "PLOT": 5}
CHUNKS = 40
DONE_CHUNKS = 24
WRAPPED = 4
RUNS = 3
BATCH = 5000


def fill(*sizes: int) -> None:
    """Make an experiment with so many jobs for each of the sizes; print their keys and the session of a manager."""
    fill_experiments(len(sizes))
    made = {}
    for size, experiment in zip(sizes, Experiment.objects.order_by("expid"), strict=False):
        fill_one(experiment, size)
        made[size] = experiment.pk
    print(json.dumps({"experiments": made, "session": _session()}))


def fill_one(experiment: Experiment, size: int) -> None:
    """Make so many jobs of an experiment, or a few less, with their dependencies and the counts."""
    members = max(1, size // (CHUNKS * len(SECTIONS)))
    jobs = [Job(experiment=experiment, name=f"{experiment.expid}_INI", section="INI", status="COMPLETED")]
    dice = random.Random(experiment.pk)
    for member in range(members):
        jobs += _list_member(experiment, f"fc{member}", dice)
    Job.objects.bulk_create(jobs, BATCH)
    edges = [JobDependency(parent=parent, child=child) for parent, child in _list_edges(jobs)]
    JobDependency.objects.bulk_create(edges, BATCH)
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job.status] = counts.get(job.status, 0) + 1
    for run_id in range(1, RUNS + 1):
        Run.objects.create(experiment=experiment, run_id=run_id, started_at=timezone.now() - timedelta(days=6 - run_id))
    Experiment.objects.filter(pk=experiment.pk).update(status_counts=counts, total_jobs=len(jobs), is_running=True)


def _list_member(experiment: Experiment, member: str, dice: random.Random) -> Iterator[Job]:
    at = timezone.now() - timedelta(days=5) + timedelta(minutes=dice.randrange(60))
    last = dice.randrange(DONE_CHUNKS - 3, DONE_CHUNKS + 3)
    is_stuck = dice.random() < 0.2
    for chunk in range(1, CHUNKS + 1):
        for section in SECTIONS:
            job = Job(experiment=experiment, name=f"{experiment.expid}_20000101_{member}_{chunk}_{section}")
            if section == "SIM":
                job.wrapper = f"{experiment.expid}_ASThread_{member}_{(chunk - 1) // WRAPPED}"
            job.section, job.date, job.member, job.chunk, job.status = section, START, member, chunk, "WAITING"
            if chunk < last:
                at = _end(job, at, dice)
            elif chunk == last and section == "SIM":
                _end(job, at, dice)
                job.status = "FAILED" if is_stuck else "RUNNING"
                job.finished_at = job.finished_at if is_stuck else None
            yield job


def _end(job: Job, at: datetime, dice: random.Random) -> datetime:
    """Have a job completed; return when the next one may begin."""
    job.status = "COMPLETED"
    job.submitted_at = at
    job.started_at = at + timedelta(seconds=dice.randrange(1800))
    job.finished_at = job.started_at + timedelta(seconds=60 * MINUTES[job.section] + dice.randrange(600))
    return job.finished_at if job.section == "SIM" else at + timedelta(seconds=30)


def _list_edges(jobs: list[Job]) -> Iterator[tuple[Job, Job]]:
    """Yield what waits for what: a SIM for that of the chunk before, the others for the one before them."""
    step = len(SECTIONS)
    for place in range(1, len(jobs), step):
        is_first = (place - 1) // step % CHUNKS == 0
        yield (jobs[0] if is_first else jobs[place - step], jobs[place])
        for after in range(1, step):
            yield jobs[place + after - 1], jobs[place + after]
        if not is_first:
            yield jobs[place - step + 2], jobs[place]
        yield jobs[place], jobs[place + 3]
