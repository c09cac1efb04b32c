import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.autosubmit import compressed
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


# --- Compressed


PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}


@pytest.fixture(params=list(PACK))
def packed(request: pytest.FixtureRequest, experiment: Path) -> Path:
    """A compressed log of the digits, one million times."""
    folder = experiment / "tmp" / "LOG_a000"
    path = folder / f"a000_SIM.1.out{request.param}"
    path.write_bytes(PACK[request.param](b"0123456789" * 1_000_000))
    return path


def test_a_compressed_log_is_found_by_the_name_without_its_suffix(experiment: Path, packed: Path) -> None:
    assert log_path(experiment, "a000_SIM.1.out") == log_path(experiment, packed.name) == packed


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [
        (0, 4, b"0123"),
        (9_999_998, 10, b"89"),
        (5_000_001, 3, b"123"),
        (-3, 10, b"789"),
        (-3, 2, b"78"),
        (20_000_000, 5, b""),
        (0, 0, b""),
    ],
)
def test_a_part_of_a_compressed_log_is_that_of_its_content(
    packed: Path, offset: int, limit: int, expected: bytes
) -> None:
    assert read_log(packed, offset, limit) == (expected, 10_000_000)


@pytest.mark.parametrize("suffix", list(PACK))
def test_a_log_compressed_in_two_streams_is_read_to_its_end(experiment: Path, suffix: str) -> None:
    path = experiment / "tmp" / "LOG_a000" / f"x.out{suffix}"
    path.write_bytes(PACK[suffix](b"one") + PACK[suffix](b"two"))
    assert read_log(path, 0, 100) == (b"onetwo", 6)


def test_a_compressed_log_that_is_cut_short_is_read_as_far_as_it_goes(packed: Path) -> None:
    packed.write_bytes(packed.read_bytes()[:-20])
    content, size = read_log(packed, 0, 10)
    assert content == b"0123456789"
    assert 0 < size <= 10_000_000


def test_a_log_that_is_not_what_its_name_says_is_an_error(packed: Path) -> None:
    packed.write_bytes(b"0123456789" * 10)
    with pytest.raises(OSError, match="broken"):
        read_log(packed, 0, 10)


@pytest.mark.parametrize("suffix", list(PACK))
def test_a_small_file_that_holds_too_much_is_an_error(
    experiment: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "MAX_BYTES", 1_000_000)
    path = experiment / "tmp" / "LOG_a000" / f"x.out{suffix}"
    path.write_bytes(PACK[suffix](bytes(10_000_000)))
    with pytest.raises(OSError, match="more than 1000000 bytes"):
        read_log(path, -10, 10)
