"""Why a job of an experiment failed, told from its logs, read by the agent of its site."""

from dataclasses import dataclass

from django.conf import settings

from experiments.failure_reasons import MOST_SHOWN, Finding, find, load
from experiments.logs import Log, Logs
from experiments.models import Experiment
from jobs.autosubmit.logs.reader import NoSuchLog
from jobs.models import Job

# What tells why stands at the end.
TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a log tells, and its name."""

    finding: Finding
    log: str


def explain(experiment: Experiment, job: Job) -> list[Explanation]:
    """Return what the logs of the newest attempt of a failed job tell, errors first; empty if it has not failed.

    A log that cannot be read tells nothing. Raises BrokenStore when the site does not answer.
    """
    if job.status != "FAILED":
        return []
    found: dict[str, Explanation] = {}
    for name in filter(None, (job.err_log, job.out_log)):
        for finding in find(
            _read_tail(Logs(experiment, job), name), load(settings.FAILURE_REASONS), experiment.site.slug
        ):
            found.setdefault(finding.reason.name, Explanation(finding, name))
    return list(found.values())[:MOST_SHOWN]


def _read_tail(logs: Logs, name: str) -> str:
    try:
        log: Log = logs.open(name)
        return log.read(max(0, log.size - TAIL_BYTES), TAIL_BYTES).decode("utf-8", "replace")
    except NoSuchLog:
        return ""
