"""What a process and its children hold in memory, as the kernel counts it."""

import subprocess
import threading
import time
from pathlib import Path

LOOK_SECONDS = 0.05
_MEGABYTE = 1_000_000


def held(pid: int, what: str = "VmRSS") -> list[float]:
    """Return the MB of a process and of each of its descendants: VmRSS for now, VmHWM for the most so far."""
    found = [_read(number, what) for number in family(pid)]
    return [kilobytes * 1024 / _MEGABYTE for kilobytes in found if kilobytes]


def family(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            parents[int(folder.name)] = _parent(folder)
    members = [pid]
    for member in members:  # grows while it is walked
        members += [child for child, parent in parents.items() if parent == member]
    return members


def run_watched(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command to its end; return the seconds it took and the most MB of it and its children at one time.

    Pages that they share count for each of them, so the figure is never too small. AssertionError when it fails.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    watch = _Watch(process.pid)
    watch.start()
    try:
        output, _ = process.communicate()
        seconds = time.perf_counter() - began
    finally:
        process.kill()  # nothing, unless this one was interrupted
        watch.end()
    assert process.returncode == 0, output.decode("utf-8", "replace")
    return seconds, watch.peak


class _Watch(threading.Thread):
    """Looks at a process and its children until it is told to end."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.peak = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(LOOK_SECONDS):
            self.peak = max(self.peak, sum(held(self.pid, "VmHWM")))

    def end(self) -> None:
        self.ended.set()
        self.join()


def _read(pid: int, what: str) -> int:
    """Return a figure of /proc/<pid>/status in kB; 0 when the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{what}:")), 0)


def _parent(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # it ended meanwhile
