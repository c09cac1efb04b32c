"""Why a job of an experiment failed, and with which exit code, told from its logs, read by the agent of its site."""

from dataclasses import dataclass, field
from threading import Lock

from cachetools import TTLCache
from django.conf import settings

from experiments.error_lines import tells_error
from experiments.exit_codes import find_exit_code
from experiments.failure_reasons import LONGEST_LINE, MOST_SHOWN, Finding, find, load
from experiments.logs import Logs
from experiments.models import Experiment
from experiments.shell_echo import list_own_lines
from jobs.autosubmit.logs.reader import NoSuchLog
from jobs.models import Job

# What tells why stands at the end.
TAIL_BYTES = 64 * 1024
SCRIPT_BYTES = 256 * 1024
KEPT_SECONDS, MOST_KEPT = 600, 1_000


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a log tells, and its name."""

    finding: Finding
    log: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What the logs of a failed job tell, the best first, and the exit code of its script where they do.

    `line` is the one that tells most: that of the first explanation, else the last that speaks of an error.
    """

    explanations: list[Explanation] = field(default_factory=list)
    exit_code: int | None = None
    line: str = ""


_kept: TTLCache[tuple[object, ...], Failure] = TTLCache(MOST_KEPT, KEPT_SECONDS)
_lock = Lock()


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
    causes_first = sorted(found.values(), key=lambda one: one.finding.reason.is_aftermath)[:MOST_SHOWN]
    codes = (find_exit_code(log) for log in logs.values())
    lines = (_find_last_error(log, script) for log in logs.values())
    line = causes_first[0].finding.line if causes_first else next(filter(None, lines), "")
    return Failure(causes_first, next((code for code in codes if code is not None), None), line)


def explain_briefly(experiment: Experiment, job: Job) -> Failure:
    """Return the same as it was told last: this process keeps for a while what the logs of an attempt have told.

    Raises BrokenStore.
    """
    key = (experiment.pk, job.name, job.status, job.fail_count, job.finished_at, job.err_log, job.out_log)
    with _lock:
        kept = _kept.get(key)
    if kept is None:
        kept = explain(experiment, job)
        if kept.line:  # else its logs may not have been fetched yet
            with _lock:
                _kept[key] = kept
    return kept


def _find_last_error(log: str, script: str) -> str:
    lines = reversed(list_own_lines(log, script))
    return next((line.strip()[:LONGEST_LINE] for line in lines if tells_error(line, ())), "")


def _read(logs: Logs, name: str, offset: int, limit: int) -> str:
    try:
        return logs.read(name, offset, limit).decode("utf-8", "replace")
    except NoSuchLog:
        return ""
