"""Why a job of an experiment failed, and with which exit code, told from its logs, read by the agent of its site."""

from dataclasses import dataclass, field

from django.conf import settings

from experiments.exit_codes import find_exit_code
from experiments.failure_reasons import MOST_SHOWN, Finding, find, load
from experiments.logs import Logs
from experiments.models import Experiment
from jobs.autosubmit.logs.reader import NoSuchLog
from jobs.models import Job

# What tells why stands at the end.
TAIL_BYTES = 64 * 1024
SCRIPT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a log tells, and its name."""

    finding: Finding
    log: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What the logs of a failed job tell, the most certain first, and the exit code of its script where they do."""

    explanations: list[Explanation] = field(default_factory=list)
    exit_code: int | None = None


def explain(experiment: Experiment, job: Job) -> Failure:
    """Return what the logs of the newest attempt of a failed job tell, errors first; nothing if it has not failed.

    A log that cannot be read tells nothing. Raises BrokenStore when the site does not answer.
    """
    if job.status != "FAILED":
        return Failure()
    shelf = Logs(experiment, job)
    logs = {name: _read(shelf, name, -TAIL_BYTES, TAIL_BYTES) for name in (job.err_log, job.out_log) if name}
    script = _read(shelf, f"{job.name}.cmd", 0, SCRIPT_BYTES) if any(logs.values()) else ""
    found: dict[str, Explanation] = {}
    for name, log in logs.items():
        for finding in find(log, load(settings.FAILURE_REASONS), experiment.site.slug, script):
            found.setdefault(finding.reason.name, Explanation(finding, name))
    causes_first = sorted(found.values(), key=lambda one: one.finding.reason.is_aftermath)
    codes = (find_exit_code(log) for log in logs.values())
    return Failure(causes_first[:MOST_SHOWN], next((code for code in codes if code is not None), None))


def _read(logs: Logs, name: str, offset: int, limit: int) -> str:
    try:
        return logs.read(name, offset, limit).decode("utf-8", "replace")
    except NoSuchLog:
        return ""
