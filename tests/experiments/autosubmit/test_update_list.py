"""The script that gives a change to a run: its files and its ends. The real run reads it in test_live.py."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autosubmit_portal.agent.scripts import SCRIPTS
from tests.support.waiting import PATIENCE, wait_for

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of experiments, with a name that a shell must not read, and a000 in it."""
    root = tmp_path / "it's $(touch pwned) here"
    for folder in ("status", "pkl"):
        (root / "a000" / folder).mkdir(parents=True)
    (root / "a000" / "pkl" / "job_list_a000.pkl").write_text("before")
    (tmp_path / ".autosubmitrc").write_text(f"[database]\npath = /elsewhere\n[local]\n path = {root} \n")
    return root


@pytest.fixture
def start(root: Path, tmp_path: Path) -> Iterator[Start]:
    """Start the script in a group of its own, as the launcher does; one that is held begins when it reads a line."""
    started = []

    def begin(*names: str, status: str = "READY", is_held: bool = False) -> subprocess.Popen[str]:
        text = f"read -r _\n{SCRIPTS['update_list']}" if is_held else SCRIPTS["update_list"]
        process = subprocess.Popen(
            ["/bin/sh", "-c", text, "update_list", "a000", status, " ".join(names)],
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def waiting(root: Path) -> Path:
    """Where the run looks."""
    return root / "a000" / "status" / "updated_list_a000.txt"


def read(waiting: Path) -> None:
    """Do to the files what a run does: rename the list, then save the job list."""
    wait_for(waiting.exists)
    waiting.rename(waiting.with_name(f"{waiting.name}_20261124_0930"))


def save(root: Path) -> None:
    folder = root / "a000" / "pkl"
    (folder / "job_list_a000.pkl.tmp").write_text("after")
    (folder / "job_list_a000.pkl.tmp").rename(folder / "job_list_a000.pkl")


def test_the_run_finds_a_line_for_each_job(start: Start, waiting: Path) -> None:
    start("a000_1_SIM", "a000_2_SIM")
    wait_for(waiting.exists)
    assert waiting.read_text() == "a000_1_SIM READY\na000_2_SIM READY\n"


def test_it_ends_when_the_run_has_read_and_saved(start: Start, waiting: Path, root: Path) -> None:
    process = start("a000_1_SIM")
    read(waiting)
    save(root)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert said.startswith("CHANGED: job: a000_1_SIM status to: READY\nupdate_list: The run has read the change")
    assert [path.name for path in waiting.parent.iterdir()] == ["updated_list_a000.txt_20261124_0930"]


def test_a_change_that_was_read_and_not_saved_is_no_success(start: Start, waiting: Path, root: Path) -> None:
    process = start("a000_1_SIM")
    read(waiting)
    (root / "a000" / "pkl" / "job_list_a000.pkl.tmp").write_text("half of it")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    os.killpg(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 6
    assert "was not seen to save" in said


def test_it_takes_the_list_back_when_it_is_ended(start: Start, waiting: Path) -> None:
    process = start("a000_1_SIM")
    wait_for(waiting.exists)
    os.killpg(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 6
    assert "taken back, nothing was changed" in said
    assert list(waiting.parent.iterdir()) == []


def test_it_never_replaces_a_list_that_waits(start: Start, waiting: Path) -> None:
    waiting.write_text("a000_9_SIM WAITING\n")
    process = start("a000_1_SIM")
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 5
    assert f"A previous change is still waiting to be read: {waiting}." in said
    assert waiting.read_text() == "a000_9_SIM WAITING\n"
    assert list(waiting.parent.iterdir()) == [waiting]


def test_it_leaves_alone_what_somebody_else_puts_there_later(start: Start, waiting: Path) -> None:
    process = start("a000_1_SIM")
    read(waiting)
    waiting.write_text("a000_9_SIM WAITING\n")
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert waiting.read_text() == "a000_9_SIM WAITING\n"


def test_it_writes_through_no_link_that_has_its_name(start: Start, waiting: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    process = start("a000_1_SIM", is_held=True)
    link = waiting.parent / f".updated_list_a000.{process.pid}"
    link.symlink_to(victim)
    said, _ = process.communicate("go\n", timeout=PATIENCE)
    assert process.returncode == 4
    assert f"{link} is in the way" in said
    assert (victim.read_text(), link.is_symlink(), waiting.exists()) == ("precious", True, False)


def test_it_makes_no_file_where_a_dangling_link_leads(start: Start, waiting: Path, tmp_path: Path) -> None:
    process = start("a000_1_SIM", is_held=True)
    (waiting.parent / f".updated_list_a000.{process.pid}").symlink_to(tmp_path / "new")
    process.communicate("go\n", timeout=PATIENCE)
    assert process.returncode == 4
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("linked", ["status", ""])
def test_it_writes_into_no_folder_behind_a_link(start: Start, root: Path, tmp_path: Path, linked: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    folder = root / "a000" / linked
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    process = start("a000_1_SIM")
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 4
    assert "is a link, or below one" in said
    assert [path.name for path in elsewhere.iterdir() if "updated" in path.name] == []


def test_it_puts_nothing_into_a_folder_that_has_the_name_of_the_list(
    start: Start, waiting: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    waiting.symlink_to(elsewhere)
    process = start("a000_1_SIM")
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 5
    assert "is still waiting to be read" in said
    assert list(elsewhere.iterdir()) == []


def test_an_autosubmit_without_such_lists_is_named(start: Start, waiting: Path) -> None:
    waiting.parent.rmdir()
    process = start("a000_1_SIM")
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert f"There is no folder {waiting.parent}" in said


def test_names_and_folders_are_never_read_as_shell(start: Start, waiting: Path, tmp_path: Path) -> None:
    start("$(touch", "pwned)", "*", ";", "%s%n")
    wait_for(waiting.exists)
    assert waiting.read_text() == "$(touch READY\npwned) READY\n* READY\n; READY\n%s%n READY\n"
    assert not list(tmp_path.rglob("pwned"))


def test_four_thousand_names_arrive(start: Start, waiting: Path) -> None:
    start(*(f"a000_20000101_fc0_{number}_SIM" for number in range(4000)))
    wait_for(waiting.exists)
    assert len(waiting.read_text().splitlines()) == 4000
