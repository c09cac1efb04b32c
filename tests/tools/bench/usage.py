"""What processes and their children use of the processor, and hold in memory, pages that they share in parts."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from tests.tools.bench.memory import family

TICKS = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


class Usage:
    """The cores that named processes use with their children, ended ones too, while this is entered.

    Of the bench itself its own time alone counts: the portal is a child of it.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self.cores: dict[str, float] = {}
        self._pids = pids

    def __enter__(self) -> "Usage":
        self._before, self._began = self._read(), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        lasted = time.monotonic() - self._began
        self.cores = {name: (now - self._before[name]) / lasted for name, now in self._read().items()}

    def _read(self) -> dict[str, float]:
        return {name: read_seconds(pid) for name, pid in self._pids.items()}


def read_seconds(pid: int) -> float:
    """Return the seconds of processor of a process and its children; of this process its own alone."""
    if pid == os.getpid():
        return time.process_time()
    return sum(map(_read_ticks, family(pid))) / TICKS


def read_pss(pids: list[int]) -> float:
    """Return the MB that processes hold; a page that others have too counts in part."""
    return sum(map(_read_pss, pids)) * 1024 / 1_000_000


def _read_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0  # it ended meanwhile
    return sum(map(int, fields[11:15]))


def _read_pss(pid: int) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0
