import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.autosubmit.liveness import Locks, autosubmit_words, liveness, read_locks
from experiments.autosubmit.store import Store
from tests.waiting import wait_for

LOCKS_AND_WAITS = (
    "import fcntl, sys\n"
    "file = open(sys.argv[-1])\n"
    "fcntl.flock(file, fcntl.LOCK_EX)\n"
    "print('locked', flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture
def lock_file(tmp_path: Path) -> Path:
    path = tmp_path / "a000" / "tmp" / "autosubmit.lock"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program named autosubmit that locks its last argument until its input ends."""
    path = tmp_path / "autosubmit"
    path.write_text(LOCKS_AND_WAITS)
    return path


def locking(*command: object) -> Iterator[int]:
    arguments = [sys.executable, *map(str, command)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        yield process.pid


def test_a_run_that_holds_the_lock_is_running(program: Path, lock_file: Path) -> None:
    for pid in locking(program, "run", "a000", lock_file):
        alive = liveness(lock_file, read_locks())
        assert (alive.is_running, alive.pid) == (True, pid)
        assert alive.evidence.startswith(f"process {pid} on ")


def test_a_command_that_holds_the_lock_for_a_moment_is_not_a_run(program: Path, lock_file: Path) -> None:
    for pid in locking(program, "setstatus", "a000", lock_file):
        alive = liveness(lock_file, read_locks())
        assert (alive.is_running, alive.pid) == (False, pid)
        assert "for setstatus" in alive.evidence


def test_an_unknown_holder_counts_as_a_run(lock_file: Path) -> None:
    with lock_file.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert liveness(lock_file, read_locks()).pid == os.getpid()
        assert liveness(lock_file, read_locks()).is_running


def test_a_shared_lock_is_no_run(lock_file: Path) -> None:
    with lock_file.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert not liveness(lock_file, read_locks()).is_running


def test_a_lock_file_that_nobody_holds_is_no_run(lock_file: Path) -> None:
    assert liveness(lock_file, read_locks()).evidence == "nobody holds the lock"


def test_without_a_lock_file_it_was_never_run(tmp_path: Path) -> None:
    alive = liveness(tmp_path / "a000" / "tmp" / "autosubmit.lock", read_locks())
    assert (alive.is_running, alive.pid) == (False, None)


def test_another_device_number_is_believed_for_an_autosubmit_command_of_the_experiment(
    program: Path, lock_file: Path
) -> None:
    for pid in locking(program, "run", "a000", lock_file):
        assert liveness(lock_file, Locks({(255, 255, lock_file.stat().st_ino): pid})).pid == pid


def test_another_device_number_is_not_believed_for_another_program(lock_file: Path) -> None:
    elsewhere = Locks({(255, 255, lock_file.stat().st_ino): os.getpid()})
    assert liveness(lock_file, elsewhere).pid is None


def test_a_system_without_a_lock_table_says_so(lock_file: Path) -> None:
    assert "does not tell" in liveness(lock_file, Locks(is_known=False)).evidence


def test_a_process_that_is_gone_has_no_words() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert autosubmit_words(process.pid) == []


def test_a_real_run_holds_its_lock_until_it_is_killed(
    store: Store, long_experiment: str, long_run: "subprocess.Popen[str]"
) -> None:
    lock_file = store.lock_file(long_experiment)
    assert liveness(lock_file, read_locks()).pid == long_run.pid
    long_run.kill()
    wait_for(lambda: not liveness(lock_file, read_locks()).is_running)
