"""The jobs of an experiment and the edges between them, read from the mirror."""

from collections.abc import Collection
from threading import Lock

from cachetools import TTLCache, cached

from experiments.models import Experiment
from jobs.models import Job, JobDependency
from jobs.workflow import JobRow, Workflow

COLUMNS = ("name", "status", "section", "date", "member", "chunk")

# A form asks for the same workflow at each key press. A job of one that is kept takes about 1 kB.
MAX_KEPT_JOBS = 200_000
KEPT_SECONDS = 60.0
# Fewer jobs than this are read in a moment.
LEAST_KEPT_JOBS = 2_000
_kept: TTLCache[object, Workflow] = TTLCache(MAX_KEPT_JOBS, KEPT_SECONDS, getsizeof=lambda it: len(it.rows))


def read_jobs(experiments: Collection[int]) -> dict[int, Workflow]:
    """Read the jobs of experiments without their edges, by experiment. One query."""
    found: dict[int, list[JobRow]] = {experiment: [] for experiment in experiments}
    jobs = Job.objects.filter(experiment__in=experiments).order_by("pk")
    for experiment, *row in jobs.values_list("experiment_id", *COLUMNS):
        found[experiment].append(JobRow(*row))
    return {experiment: Workflow(rows) for experiment, rows in found.items()}


def read_workflow(experiment: Experiment) -> Workflow:
    """Read the jobs and the edges of an experiment, with one query for each."""
    rows = Job.objects.filter(experiment=experiment).order_by("pk").values_list("pk", *COLUMNS)
    jobs = {pk: JobRow(*values) for pk, *values in rows}
    edges = JobDependency.objects.filter(parent__experiment=experiment).values_list("parent_id", "child_id")
    names = ((jobs.get(parent), jobs.get(child)) for parent, child in edges)
    return Workflow(list(jobs.values()), [(parent.name, child.name) for parent, child in names if parent and child])


def recall_workflow(experiment: Experiment) -> Workflow:
    """Return the same for who only looks: of a large one what was read before, if it was not written since."""
    is_large = experiment.total_jobs >= LEAST_KEPT_JOBS and experiment.refreshed_at is not None
    return _recall(experiment) if is_large else read_workflow(experiment)


@cached(_kept, key=lambda experiment: (experiment.pk, experiment.refreshed_at), lock=Lock())
def _recall(experiment: Experiment) -> Workflow:
    return read_workflow(experiment)
