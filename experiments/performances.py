"""How an experiment performs: its jobs from the mirror, their attempts and its configuration from the agent."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from cachetools import LRUCache

from experiments.configurations import MissingConfiguration, UnreadableConfiguration, read_file_configuration
from experiments.models import Experiment
from experiments.past_attempts import read_past_attempts
from experiments.performance.costs import Cost, count_chunks, count_sections, group_attempts
from experiments.performance.metrics import ListedJob, Metrics, compute_metrics
from experiments.performance.settings import SimulationSettings, count_years, extract_settings
from jobs.autosubmit.history import PastAttempt
from jobs.models import Job

MOST_KEPT = 8  # in each web process; of 10,000 jobs one takes some 10 MB
_COLUMNS = ("name", "section", "status", "chunk", "splits")

_kept: LRUCache[Any, "Performance"] = LRUCache(MOST_KEPT)
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Performance:
    """The metrics of an experiment with what they are made of. `trouble` says what of that could not be read."""

    jobs: Sequence[ListedJob]
    attempts: dict[str, list[PastAttempt]]
    settings: SimulationSettings
    metrics: Metrics
    sections: Sequence[Cost]
    trouble: str = ""

    def count_chunks(self, section: str) -> list[Cost]:
        """Return what each chunk of a section took."""
        return count_chunks(self.jobs, self.attempts, section)


def read_performance(experiment: Experiment) -> Performance:
    """Return how an experiment performs; it is read once for all who look at the same state of its files.

    Raises UnreadableHistory and BrokenStore.
    """
    state = (experiment.pk, experiment.refreshed_at, experiment.changed_at)
    with _lock:
        kept = _kept.get(state)
    if kept is None:
        kept = _read(experiment)
        if not kept.trouble:
            with _lock:
                _kept[state] = kept
    return kept


def _read(experiment: Experiment) -> Performance:
    attempts = group_attempts(read_past_attempts(experiment))
    settings, trouble = _read_settings(experiment)
    rows = Job.objects.filter(experiment=experiment).order_by("pk").values_list(*_COLUMNS)
    jobs = [ListedJob(*row) for row in rows]
    runs = experiment.runs.values_list("run_id", "chunk_unit", "chunk_size")
    years = {run_id: count_years(unit, size) for run_id, unit, size in runs}
    newest = {name: of_job[-1] for name, of_job in attempts.items()}
    metrics = compute_metrics(jobs, newest, settings, years)
    return Performance(jobs, attempts, settings, metrics, count_sections(jobs, attempts), trouble)


def _read_settings(experiment: Experiment) -> tuple[SimulationSettings, str]:
    """Return the settings that the files say now, and why they could not be read; blank if they could."""
    try:
        return extract_settings(read_file_configuration(experiment).values), ""
    except (MissingConfiguration, UnreadableConfiguration) as error:
        return SimulationSettings(), str(error)
