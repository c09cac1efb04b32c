"""Which commands of Autosubmit were at work on an experiment: each keeps a log in `<expid>/tmp/ASLOGS`.

They tell who changed something outside of the portal, and whether a run did that lives on another host. The logs of
`stop` are in one folder for all experiments.
"""

import os
import re
from collections import defaultdict
from datetime import datetime
from functools import cached_property
from pathlib import Path

from jobs.autosubmit.database import open_regular
from jobs.autosubmit.values import to_moment

_LOG = re.compile(r"\d{8}_\d{6}_([a-z]+)\.log")
# `stop -a` names no expid; the log of its errors ends with `_err`, which is too short for an expid.
_STOP_LOG = re.compile(r"\d{8}_\d{6}_stop((?:_[A-Za-z0-9]{4,})*)\.log")
_MOST_BYTES = 1_000_000


def find_commands_since(folder: str, since: float) -> list[str]:
    """Return the names of the commands that wrote into their logs since a time (seconds since 1970), each once.

    `folder` is that of the experiment. Nothing is told where the logs cannot be read.
    """
    try:
        with os.scandir(os.path.join(folder, "tmp", "ASLOGS")) as entries:
            logs = [(match[1], entry) for entry in entries if (match := _LOG.fullmatch(entry.name))]
            return sorted({name for name, entry in logs if entry.stat(follow_symlinks=False).st_mtime >= since})
    except OSError:
        return []


class StopLogs:
    """The logs of the `stop` commands of an installation; the folder is listed when the first is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_last(self, expid: str) -> datetime | None:
        """Return when a command last stopped the run of an experiment; None where no log tells of one."""
        times = [time for name, time in self._logs[expid] if self._has_stopped(name, expid)]
        times += [time for name, time in self._logs[""] if self._has_named_stop(name, expid)]
        return to_moment(max(times)) if times else None

    @cached_property
    def _logs(self) -> defaultdict[str, list[tuple[str, float]]]:
        """Name and time of the logs of each expid, and under a blank one of those of all."""
        logs: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if match := _STOP_LOG.fullmatch(entry.name):
                        time = entry.stat(follow_symlinks=False).st_mtime
                        for expid in match[1].split("_")[1:] or [""]:
                            logs[expid].append((entry.name, time))
        except OSError:  # nothing is told where the logs cannot be read
            logs.clear()
        return logs

    def _has_stopped(self, name: str, expid: str) -> bool:
        """Whether a command that was given the expid stopped a run; `stop --force` writes nothing about it."""
        text = self._read(name)
        return text is not None and f"Expid {expid} was not running" not in text

    def _has_named_stop(self, name: str, expid: str) -> bool:
        """Whether a command that was given no expid says that it stopped a run of this one."""
        return f"Checking the status of the expid: {expid}\n" in (self._read(name) or "")

    def _read(self, name: str) -> str | None:
        try:
            with open_regular(self.folder / name) as file:
                return file.read(_MOST_BYTES).decode("utf-8", "replace")
        except OSError:
            return None
