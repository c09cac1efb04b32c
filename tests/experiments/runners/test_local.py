"""The local runner on real processes."""

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from experiments.runners import local
from experiments.runners.local import LocalRunner

from autosubmit_portal.agent import run_directory
from experiments.autosubmit.environment import make_environment
from experiments.models import Site
from tests.conftest import MakeExperiment
from tests.support.services import children_of
from tests.support.waiting import wait_for

SHOW_ARGUMENTS = "import sys; print(ascii(sys.argv[1:]))"
NASTY = [
    "two\nlines\n",
    "back\\nslash\\",
    "$(touch pwned)",
    "`id`",
    "-x",
    "é🌍",
    "",
    "  ends  ",
    "%s%%",
    "\\0101",
    "\t\r",
    "*",
]


@pytest.fixture
def runner(tmp_path: Path) -> LocalRunner:
    return LocalRunner(Site(autosubmit="/opt/autosubmit/bin/autosubmit", home=str(tmp_path)))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "actions" / "7" / "0"


def ended(runner: LocalRunner, directory: Path) -> int:
    """Wait for the end of a command and return its exit status."""
    wait_for(lambda: runner.look(directory).exit_status is not None)
    return runner.look(directory).exit_status or 0


def pid_of(directory: Path) -> int:
    wait_for((directory / "pid").exists)
    return int((directory / "pid").read_text().split()[0])


def test_every_argument_arrives_exactly_as_given(runner: LocalRunner, directory: Path) -> None:
    runner.start([sys.executable, "-c", SHOW_ARGUMENTS, *NASTY], directory)
    ended(runner, directory)
    assert ast.literal_eval(runner.read_text(directory)) == NASTY


def test_the_exit_status_is_kept(runner: LocalRunner, directory: Path) -> None:
    runner.start([sys.executable, "-c", "raise SystemExit(88)"], directory)
    assert ended(runner, directory) == 88


def test_output_and_errors_are_one_stream_in_order(runner: LocalRunner, directory: Path) -> None:
    script = "import os; os.write(1, b'one\\n'); os.write(2, b'two\\n'); os.write(1, b'three\\n')"
    runner.start([sys.executable, "-c", script], directory)
    ended(runner, directory)
    assert runner.read_text(directory) == "one\ntwo\nthree\n"


def test_a_command_is_never_started_twice_in_one_directory(runner: LocalRunner, directory: Path) -> None:
    runner.start(["true"], directory)
    with pytest.raises(FileExistsError):
        runner.start(["true"], directory)


def test_a_missing_program_ends_with_127(runner: LocalRunner, directory: Path) -> None:
    runner.start(["/nonexistent/autosubmit", "run", "a000"], directory)
    assert ended(runner, directory) == 127


def test_the_run_directory_is_private(runner: LocalRunner, directory: Path) -> None:
    runner.start(["true"], directory)
    assert directory.stat().st_mode & 0o077 == 0


def test_libraries_keep_their_caches_out_of_the_home_of_the_store(
    runner: LocalRunner, directory: Path, tmp_path: Path
) -> None:
    shown = "import os; print(os.environ['XDG_CACHE_HOME'], os.environ['MPLCONFIGDIR'])"
    runner.start([sys.executable, "-c", shown], directory)
    ended(runner, directory)
    folders = [Path(folder) for folder in runner.read_text(directory).split()]
    assert [folder.is_relative_to(tmp_path) for folder in folders] == [False, False]


def test_a_real_command_leaves_nothing_but_experiments_in_the_home(
    autosubmit: Path, autosubmit_home: Path, make_experiment: MakeExperiment, directory: Path
) -> None:
    runner = LocalRunner(Site(autosubmit=str(autosubmit), home=str(autosubmit_home)))
    runner.start([str(autosubmit), "create", "--noplot", make_experiment("small")], directory)
    assert ended(runner, directory) == 0
    assert sorted(path.name for path in autosubmit_home.iterdir()) == [".autosubmitrc", "autosubmit"]


def test_the_command_has_a_session_of_its_own(runner: LocalRunner, directory: Path) -> None:
    runner.start(["sleep", "60"], directory)
    pid = pid_of(directory)
    try:
        assert os.getsid(pid) == pid != os.getsid(0)
    finally:
        os.killpg(pid, signal.SIGKILL)


def test_a_command_can_be_interrupted_even_if_its_starter_ignores_interrupts(
    runner: LocalRunner, directory: Path
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        runner.start([sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT))"], directory)
    finally:
        signal.signal(signal.SIGINT, before)
    ended(runner, directory)
    assert "default_int_handler" in runner.read_text(directory)


def test_the_launcher_outlives_a_signal_to_its_command_and_keeps_the_status(
    runner: LocalRunner, directory: Path
) -> None:
    runner.start(["sleep", "60"], directory)
    pid = pid_of(directory)
    wait_for(lambda: "sleep" in children_of(pid))
    os.killpg(pid, signal.SIGTERM)
    assert ended(runner, directory) == 128 + signal.SIGTERM


def test_a_command_whose_launcher_was_killed_is_not_alive(runner: LocalRunner, directory: Path) -> None:
    runner.start(["sleep", "60"], directory)
    pid = pid_of(directory)
    wait_for(lambda: runner.look(directory).is_alive)
    os.killpg(pid, signal.SIGKILL)
    wait_for(lambda: not runner.look(directory).is_alive)
    assert runner.look(directory).exit_status is None


def test_a_command_that_ends_while_it_is_looked_at_has_ended(
    runner: LocalRunner, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.mkdir(parents=True)
    (directory / "pid").write_text("4711 1\n")

    def ends(_pid: int) -> str:
        (directory / "exit_status").write_text("0\n")
        return ""

    monkeypatch.setattr(run_directory, "read_process_start", ends)
    assert runner.look(directory).exit_status == 0


def test_an_exit_status_that_finds_no_room_is_written_when_there_is_room(runner: LocalRunner, directory: Path) -> None:
    runner.start(["mkdir", "exit_status.new"], directory)  # nothing can be written there, as on a full disk
    wait_for(lambda: "sleep" in children_of(pid_of(directory)))
    assert runner.look(directory).is_alive
    (directory / "exit_status.new").rmdir()
    assert ended(runner, directory) == 0


def test_a_command_that_was_given_up_never_starts(runner: LocalRunner, directory: Path) -> None:
    assert runner.give_up(directory)
    with pytest.raises(FileExistsError):
        runner.start(["true"], directory)


def test_a_command_that_is_given_up_while_it_is_started_never_starts(
    runner: LocalRunner, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up_first(*arguments: Any) -> dict[str, str]:
        assert runner.give_up(directory)
        return make_environment(*arguments)

    monkeypatch.setattr(local, "make_environment", give_up_first)
    runner.start(["touch", str(directory / "started")], directory)
    wait_for(lambda: str(directory) not in children_of(os.getpid()))
    assert not (directory / "started").exists()


def test_a_command_that_has_started_cannot_be_given_up(runner: LocalRunner, directory: Path) -> None:
    runner.start(["true"], directory)
    ended(runner, directory)
    assert not runner.give_up(directory)


def test_another_process_with_the_same_pid_is_not_our_command(runner: LocalRunner, directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "pid").write_text(f"{os.getpid()} 1\n")
    assert not runner.look(directory).is_alive


def test_the_command_line_of_the_launcher_does_not_name_the_run(runner: LocalRunner, directory: Path) -> None:
    """`autosubmit stop` scans command lines and would interrupt the launcher instead of the run."""
    runner.start(["sleep", "60", "autosubmit", "run", "a000"], directory)
    pid = pid_of(directory)
    try:
        assert b"a000" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        os.killpg(pid, signal.SIGKILL)


def test_too_much_output_loses_its_oldest_part(
    runner: LocalRunner, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "MOST_OUTPUT_BYTES", 100)
    monkeypatch.setattr(run_directory, "KEPT_OUTPUT_BYTES", 10)
    directory.mkdir(parents=True)
    (directory / "output").write_text("old" * 100 + "the newest")
    runner.bound_output(directory)
    assert (directory / "output").read_text() == "[earlier output was dropped]\nthe newest"


def test_a_command_has_the_umask_of_the_account_and_what_we_keep_of_it_is_private(
    runner: LocalRunner, directory: Path, tmp_path: Path, settings: Any, private_umask: None
) -> None:
    settings.COMMANDS_UMASK = 0o002
    runner.start(["/bin/sh", "-c", f"umask; echo >{tmp_path}/of-the-group; exit 3"], directory)
    assert ended(runner, directory) == 3
    assert runner.read_text(directory) == "0002\n"
    assert (tmp_path / "of-the-group").stat().st_mode & 0o777 == 0o664
    assert {file.stat().st_mode & 0o077 for file in (directory, *directory.iterdir())} == {0}


def ticks() -> float:
    """Return the time since boot as the kernel counts it when a process begins."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")


@contextmanager
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_a_process_that_is_older_than_the_command_is_interrupted_once_for_each_mark(
    runner: LocalRunner, directory: Path
) -> None:
    with sleeper() as older:
        born = ticks()
        wait_for(lambda: ticks() > born + 2)
        runner.start(["sleep", "600"], directory)
        pid_of(directory)
        assert [runner.interrupt(directory, older.pid, "3") for _ in range(2)] == [True, False]
        assert older.wait() == -signal.SIGINT
    os.killpg(pid_of(directory), signal.SIGKILL)


def test_a_process_that_is_younger_than_the_command_is_not_interrupted(runner: LocalRunner, directory: Path) -> None:
    runner.start(["sleep", "600"], directory)
    pid_of(directory)
    with sleeper() as younger:
        assert not runner.interrupt(directory, younger.pid, "3")
        assert younger.poll() is None
    os.killpg(pid_of(directory), signal.SIGKILL)
