import os
from pathlib import Path

import pytest

from jobs.autosubmit.history import read_job_times
from jobs.autosubmit.logs import LogOutsideStore, log_path, read_log


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    folder = tmp_path / "a000"
    (folder / "tmp" / "LOG_a000").mkdir(parents=True)
    return folder


@pytest.fixture
def log(experiment: Path) -> Path:
    path = log_path(experiment, "a000_SIM.1.out")
    path.write_bytes(b"0123456789")
    return path


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b"])
def test_a_name_with_a_folder_in_it_is_refused(experiment: Path, name: str) -> None:
    with pytest.raises(LogOutsideStore):
        log_path(experiment, name)


def test_a_link_out_of_the_experiment_is_refused(experiment: Path) -> None:
    (experiment / "tmp" / "LOG_a000" / "x.out").symlink_to("/etc/passwd")
    with pytest.raises(LogOutsideStore, match="leads out"):
        log_path(experiment, "x.out")


def test_a_folder_of_logs_that_leads_out_is_refused(experiment: Path, tmp_path: Path) -> None:
    (experiment / "tmp" / "LOG_a000").rmdir()
    (experiment / "tmp" / "LOG_a000").symlink_to(tmp_path)
    with pytest.raises(LogOutsideStore, match="leads out"):
        log_path(experiment, "x.out")


def test_a_circle_of_links_is_refused(experiment: Path) -> None:
    circle = experiment / "tmp" / "LOG_a000" / "x.out"
    circle.symlink_to(circle)
    with pytest.raises(LogOutsideStore):
        log_path(experiment, "x.out")


def test_an_experiment_behind_a_link_is_followed(experiment: Path, log: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a000").symlink_to(experiment)
    assert log_path(tmp_path / "other" / "a000", log.name) == log


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [
        (0, 4, b"0123"),
        (8, 4, b"89"),
        (10, 4, b""),
        (99, 4, b""),
        (-3, 99, b"789"),
        (-99, 2, b"01"),
        (0, -1, b""),
    ],
)
def test_a_log_is_read_by_pieces(log: Path, offset: int, limit: int, expected: bytes) -> None:
    assert read_log(log, offset, limit) == (expected, 10)


def test_a_named_pipe_does_not_hold_up_the_reader(experiment: Path) -> None:
    pipe = log_path(experiment, "x.out")
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="regular"):
        read_log(pipe, 0, 10)


def test_a_link_that_appears_after_the_check_is_not_followed(log: Path) -> None:
    log.unlink()
    log.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic link"):
        read_log(log, 0, 10)


def test_the_log_of_a_real_job_is_read(root: Path, failed: str) -> None:
    times = read_job_times(root / "metadata" / "data" / f"job_data_{failed}.db")[f"{failed}_BAD"]
    text, size = read_log(log_path(root / failed, times.out_log), 0, 1000)
    assert b"about to fail" in text
    assert size == len(text)
