"""Run directories on real processes."""

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent import launcher, run_directory
from autosubmit_portal.agent.run_directory import RunDirectory, State
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
def run(tmp_path: Path) -> RunDirectory:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return RunDirectory(folder)


def start(run: RunDirectory, argv: Sequence[str], umask: int = 0o077) -> None:
    run.take("ab")
    run.prepare(argv, "")
    run.launch({"PATH": os.environ["PATH"]}, umask)


def printed(run: RunDirectory) -> str:
    return run.read_output(0, 10_000).data.decode()


def ended(run: RunDirectory) -> int:
    """Wait for the end of a command and return its exit status."""
    wait_for(lambda: run.look().exit_status is not None)
    return run.look().exit_status or 0


def pid_of(run: RunDirectory) -> int:
    wait_for((run.path / "pid").exists)
    return int((run.path / "pid").read_text().split()[0])


def test_every_argument_arrives_exactly_as_given(run: RunDirectory) -> None:
    start(run, [sys.executable, "-c", SHOW_ARGUMENTS, *NASTY])
    ended(run)
    assert ast.literal_eval(printed(run)) == NASTY


def test_output_and_errors_are_one_stream_in_order(run: RunDirectory) -> None:
    script = "import os; os.write(1, b'one\\n'); os.write(2, b'two\\n'); os.write(1, b'three\\n')"
    start(run, [sys.executable, "-c", script])
    ended(run)
    assert printed(run) == "one\ntwo\nthree\n"


def test_a_missing_program_ends_with_127(run: RunDirectory) -> None:
    start(run, ["/nonexistent/autosubmit", "run", "a000"])
    assert ended(run) == 127


def test_the_command_has_a_session_of_its_own(run: RunDirectory) -> None:
    start(run, ["sleep", "60"])
    pid = pid_of(run)
    try:
        assert os.getsid(pid) == pid != os.getsid(0)
    finally:
        os.killpg(pid, signal.SIGKILL)


def test_a_command_can_be_interrupted_even_if_its_starter_ignores_interrupts(run: RunDirectory) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        start(run, [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT))"])
    finally:
        signal.signal(signal.SIGINT, before)
    ended(run)
    assert "default_int_handler" in printed(run)


def test_the_launcher_outlives_a_signal_to_its_command_and_keeps_the_status(run: RunDirectory) -> None:
    start(run, ["sleep", "60"])
    pid = pid_of(run)
    wait_for(lambda: "sleep" in children_of(pid))
    os.killpg(pid, signal.SIGTERM)
    assert ended(run) == 128 + signal.SIGTERM


def test_a_command_whose_launcher_was_killed_is_not_alive(run: RunDirectory) -> None:
    start(run, ["sleep", "60"])
    pid = pid_of(run)
    wait_for(lambda: run.look().state is State.ALIVE)
    os.killpg(pid, signal.SIGKILL)
    wait_for(lambda: run.look().state is not State.ALIVE)
    assert run.look().exit_status is None


def test_a_command_that_ends_while_it_is_looked_at_has_ended(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run.path / "pid").write_text("4711 1\n")

    def ends(_pid: int) -> str:
        (run.path / "exit_status").write_text("0\n")
        return ""

    monkeypatch.setattr(run_directory, "read_process_start", ends)
    assert run.look().exit_status == 0


def test_an_exit_status_that_finds_no_room_is_written_when_there_is_room(run: RunDirectory) -> None:
    start(run, ["mkdir", "exit_status.new"])  # nothing can be written there, as on a full disk
    wait_for(lambda: "sleep" in children_of(pid_of(run)))
    assert run.look().state is State.ALIVE
    (run.path / "exit_status.new").rmdir()
    assert ended(run) == 0


def test_a_command_that_is_given_up_while_it_is_started_never_starts(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = launcher.launch

    def give_up_first(*arguments: Any) -> int:
        assert run.give_up()
        return launch(*arguments)

    monkeypatch.setattr(launcher, "launch", give_up_first)
    start(run, ["touch", str(run.path / "started")])
    wait_for(lambda: str(run.path) not in children_of(os.getpid()))
    assert not (run.path / "started").exists()


def test_another_process_with_the_same_pid_is_not_our_command(run: RunDirectory) -> None:
    (run.path / "pid").write_text(f"{os.getpid()} 1\n")
    assert run.look().state is not State.ALIVE


def test_the_command_line_of_the_launcher_does_not_name_the_run(run: RunDirectory) -> None:
    """`autosubmit stop` scans command lines and would interrupt the launcher instead of the run."""
    start(run, ["sleep", "60", "autosubmit", "run", "a000"])
    pid = pid_of(run)
    try:
        assert b"a000" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        os.killpg(pid, signal.SIGKILL)


def test_too_much_output_loses_its_oldest_part(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_directory, "MOST_OUTPUT_BYTES", 100)
    monkeypatch.setattr(run_directory, "KEPT_OUTPUT_BYTES", 10)
    (run.path / "output").write_text("old" * 100 + "the newest")
    run.bound_output()
    assert (run.path / "output").read_text() == "[earlier output was dropped]\nthe newest"


def test_a_command_has_the_umask_of_the_account_and_what_we_keep_of_it_is_private(
    run: RunDirectory, tmp_path: Path, private_umask: None
) -> None:
    start(run, ["/bin/sh", "-c", f"umask; echo >{tmp_path}/of-the-group; exit 3"], 0o002)
    assert ended(run) == 3
    assert printed(run) == "0002\n"
    assert (tmp_path / "of-the-group").stat().st_mode & 0o777 == 0o664
    assert {file.stat().st_mode & 0o077 for file in (run.path, *run.path.iterdir())} == {0}


def ticks() -> float:
    """Return the time since boot as the kernel counts it when a process begins."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")


@contextmanager
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_a_process_that_is_older_than_the_command_is_interrupted_once_for_each_mark(run: RunDirectory) -> None:
    with sleeper() as older:
        born = ticks()
        wait_for(lambda: ticks() > born + 2)
        start(run, ["sleep", "600"])
        pid_of(run)
        assert [run.interrupt(older.pid, "3") for _ in range(2)] == [True, False]
        assert older.wait() == -signal.SIGINT
    os.killpg(pid_of(run), signal.SIGKILL)


def test_a_process_that_is_younger_than_the_command_is_not_interrupted(run: RunDirectory) -> None:
    start(run, ["sleep", "600"])
    pid_of(run)
    with sleeper() as younger:
        assert not run.interrupt(younger.pid, "3")
        assert younger.poll() is None
    os.killpg(pid_of(run), signal.SIGKILL)
