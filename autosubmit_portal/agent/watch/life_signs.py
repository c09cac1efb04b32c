"""Signs of life of runs: the state of the process, since when it lives, and when its log was written last.

Of each run its log is looked for once; then one `stat` and one line of the kernel are read in each pass.
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from autosubmit_portal.agent.host import read_process_fields
from experiments.autosubmit.forms import RunState
from experiments.autosubmit.life import NO_LIFE, STATES, Life
from experiments.autosubmit.liveness import read_autosubmit_words
from experiments.autosubmit.store import Store

_RUN_LOG = re.compile(r"\d{8}_\d{6}_run\.log")
_START_FIELD = 19  # of those after the name of the process
# The log is opened when the run begins, by a clock that may be another.
_SLACK_SECONDS = 1.0
# It then waits for a time or for another run without a word, or does not log each turn.
_QUIET_OPTIONS = frozenset(("-st", "--start_time", "-sa", "--start_after", "-lf", "--logfile"))


@dataclass(frozen=True, slots=True)
class _Known:
    """What does not change while a process lives; `log` is blank until it is found."""

    pid: int
    started_at: float
    may_be_quiet: bool
    log: str = ""


class LifeSigns:
    """What is known of the runs of a store. `read_fields` asks the kernel of a process."""

    def __init__(self, read_fields: Callable[[int], list[str]] = read_process_fields) -> None:
        self._read_fields = read_fields
        self._known: dict[str, _Known] = {}

    def look(self, expid: str, store: Store, alive: RunState) -> Life:
        """Return what is seen of the process of a run; nothing without one."""
        fields = self._read_fields(alive.pid) if alive.is_running and alive.pid is not None else []
        if alive.pid is None or len(fields) <= _START_FIELD:
            self._known.pop(expid, None)
            return NO_LIFE
        known = self._known[expid] = self._learn(expid, store, alive.pid, fields)
        state = fields[0] if fields[0] in STATES else "S"
        return Life(state, known.started_at, _get_time(known.log), known.may_be_quiet)

    def _learn(self, expid: str, store: Store, pid: int, fields: list[str]) -> _Known:
        known = self._known.get(expid)
        if known is None or known.pid != pid:
            is_quiet = not _QUIET_OPTIONS.isdisjoint(_list_options(pid))
            known = _Known(pid, _compute_start(fields), is_quiet)
        if known.log:
            return known
        log = _find_log(str(store.experiment_folder(expid)), known.started_at)
        return _Known(pid, known.started_at, known.may_be_quiet, log)


def _list_options(pid: int) -> list[str]:
    """Return the options of the command line, without values."""
    return [word.partition("=")[0] for word in read_autosubmit_words(pid)]


def _compute_start(fields: list[str]) -> float:
    """Return when a process began, in whole seconds: the kernel counts ticks since it was started itself."""
    lives = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
    return float(round(time.time() - lives))


def _find_log(folder: str, started_at: float) -> str:
    """Return the log of a run that began then; blank while there is none."""
    logs = os.path.join(folder, "tmp", "ASLOGS")
    try:
        with os.scandir(logs) as entries:
            newest = max((entry.name for entry in entries if _RUN_LOG.fullmatch(entry.name)), default="")
    except OSError:
        return ""
    found = os.path.join(logs, newest)
    written_at = _get_time(found) if newest else None
    return found if written_at is not None and written_at >= started_at - _SLACK_SECONDS else ""


def _get_time(log: str) -> float | None:
    try:
        return os.lstat(log).st_mtime if log else None
    except OSError:
        return None
