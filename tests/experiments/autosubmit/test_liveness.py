import fcntl
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.autosubmit.liveness import Liveness, Locks, check_liveness, read_autosubmit_words, read_locks
from experiments.autosubmit.store import Store
from tests.support.lock_holders import NOBODY, lock_held
from tests.support.waiting import wait_for

# A test that is given away to other accounts must be root's.
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of others")


@pytest.fixture
def lock_file(tmp_path: Path) -> Path:
    path = tmp_path / "a000" / "tmp" / "autosubmit.lock"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.mark.parametrize("words", [("run", "a000"), ("-lc", "DEBUG", "run", "--update_version", "a000")])
def test_a_run_that_holds_the_lock_is_running(words: tuple[str, ...], lock_file: Path) -> None:
    with lock_held(lock_file, *words) as pid:
        alive = check_liveness(lock_file, read_locks())
        assert (alive.is_running, alive.pid, alive.locked_by) == (True, pid, "")
        assert alive.evidence.startswith(f"process {pid} on ")


def test_a_run_that_waits_is_asleep_and_one_that_computes_is_not(lock_file: Path) -> None:
    with lock_held(lock_file, "run", "a000"):
        wait_for(lambda: check_liveness(lock_file, read_locks()).is_asleep)
    assert not Liveness(True, os.getpid(), "").is_asleep


def test_a_command_that_holds_the_lock_for_a_moment_is_not_a_run(lock_file: Path) -> None:
    with lock_held(lock_file, "setstatus", "a000") as pid:
        alive = check_liveness(lock_file, read_locks())
        assert (alive.is_running, alive.pid, alive.locked_by) == (False, pid, "")
        assert "for setstatus" in alive.evidence


@pytest.mark.parametrize(("program", "words"), [("reader", ("run", "a000")), ("autosubmit", ())])
def test_another_program_that_holds_the_lock_is_no_run_and_is_told(
    program: str, words: tuple[str, ...], lock_file: Path
) -> None:
    with lock_held(lock_file, *words, program=program) as pid:
        alive = check_liveness(lock_file, read_locks())
        assert (alive.is_running, alive.pid) == (False, pid)
        assert alive.locked_by.startswith(f"process {pid} of {pwd.getpwuid(os.getuid()).pw_name} on ")


@needs_root
def test_the_command_line_of_a_run_is_not_believed_of_another_account(lock_file: Path) -> None:
    with lock_held(lock_file, "run", "a000", uid=NOBODY) as pid:
        alive = check_liveness(lock_file, read_locks())
        assert (alive.is_running, alive.pid) == (False, pid)
        assert f"process {pid} of nobody" in alive.locked_by


@needs_root
def test_a_run_of_the_owner_of_the_folder_is_believed(lock_file: Path) -> None:
    os.chown(lock_file.parent.parent, NOBODY, -1)
    with lock_held(lock_file, "run", "a000", uid=NOBODY):
        assert check_liveness(lock_file, read_locks()).is_running


def test_a_run_of_another_experiment_that_holds_the_lock_is_no_run_of_this_one(lock_file: Path) -> None:
    with lock_held(lock_file, "run", "a001"):
        assert not check_liveness(lock_file, read_locks()).is_running


def test_a_holder_that_cannot_be_seen_counts_as_a_run_and_says_so(lock_file: Path) -> None:
    status = lock_file.stat()
    device = (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
    alive = check_liveness(lock_file, Locks({device: 2**22 + 1}))  # no process has such a number
    assert (alive.is_running, "cannot be seen" in alive.evidence) == (True, True)


def test_a_shared_lock_is_no_run(lock_file: Path) -> None:
    with lock_file.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert not check_liveness(lock_file, read_locks()).is_running


def test_a_lock_file_that_nobody_holds_is_no_run(lock_file: Path) -> None:
    assert check_liveness(lock_file, read_locks()).evidence == "nobody holds the lock"


def test_without_a_lock_file_it_was_never_run(tmp_path: Path) -> None:
    alive = check_liveness(tmp_path / "a000" / "tmp" / "autosubmit.lock", read_locks())
    assert (alive.is_running, alive.pid) == (False, None)


def test_another_device_number_is_believed_for_an_autosubmit_command_of_the_experiment(lock_file: Path) -> None:
    with lock_held(lock_file, "run", "a000") as pid:
        assert check_liveness(lock_file, Locks({(255, 255, lock_file.stat().st_ino): pid})).pid == pid


def test_another_device_number_is_not_believed_for_another_program(lock_file: Path) -> None:
    elsewhere = Locks({(255, 255, lock_file.stat().st_ino): os.getpid()})
    assert check_liveness(lock_file, elsewhere).pid is None


def test_a_system_without_a_lock_table_says_so(lock_file: Path) -> None:
    assert "does not tell" in check_liveness(lock_file, Locks(is_known=False)).evidence


def test_a_process_that_is_gone_has_no_words() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert read_autosubmit_words(process.pid) == []


def test_a_real_run_holds_its_lock_until_it_is_killed(
    store: Store, long_experiment: str, long_run: "subprocess.Popen[str]"
) -> None:
    lock_file = store.lock_file(long_experiment)
    assert check_liveness(lock_file, read_locks()).pid == long_run.pid
    long_run.kill()
    wait_for(lambda: not check_liveness(lock_file, read_locks()).is_running)
