"""The logs of an experiment and of its jobs: which there are, and reading them by parts."""

import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.autosubmit.logs import decompress, reader
from jobs.autosubmit.logs.reader import ExperimentLogs, JobLogs, Log, LogPart, NoSuchLog
from jobs.autosubmit.secrets import CONTEXT_BYTES
from tests.support.job_lists import read_newest_attempts

HOSTILE = ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\0b", "a000_SIM.\ud800", "a000_SIM." + "x" * 300]


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """The folder of an experiment whose job SIM was tried twice and whose run was logged."""
    folder = tmp_path / "a000"
    (folder / "tmp" / "LOG_a000").mkdir(parents=True)
    (folder / "tmp" / "ASLOGS").mkdir()
    names = ("a000_SIM.cmd", "LOG_a000/a000_SIM.1.out", "LOG_a000/a000_SIM.1.err", "LOG_a000/a000_SIM.2.out")
    for age, name in enumerate((*names, "LOG_a000/a000_SIMPLE.1.out", "LOG_a000/a000_SIM_COMPLETED")):
        (folder / "tmp" / name).write_bytes(b"0123456789")
        os.utime(folder / "tmp" / name, (age, age))
    for name in ("20261125_100000_run.log", "20261125_100000_run_err.log", "jobs_failed_status.log", ".gitkeep"):
        (folder / "tmp" / "ASLOGS" / name).write_bytes(b"said\n")
        os.utime(folder / "tmp" / "ASLOGS" / name, (7, 7))
    return folder


@pytest.fixture
def of_job(experiment: Path) -> JobLogs:
    """The logs of the job SIM."""
    return JobLogs(experiment, "a000_SIM", ["wrapper.out"])


def content(log: Log) -> bytes:
    with log:
        return log.read(0, 1000)


def test_the_logs_of_a_job_are_those_of_each_attempt_and_its_script(of_job: JobLogs) -> None:
    assert [(file.name, file.kind) for file in of_job.list_files()] == [
        ("a000_SIM.2.out", "out"),
        ("a000_SIM.1.err", "err"),
        ("a000_SIM.1.out", "out"),
        ("a000_SIM.cmd", "script"),
    ]


def test_a_log_that_only_the_history_names_is_one_of_the_job(experiment: Path, of_job: JobLogs) -> None:
    (experiment / "tmp" / "LOG_a000" / "wrapper.out.gz").write_bytes(gzip.compress(b"all"))
    assert of_job.list_files()[0].name == "wrapper.out.gz"
    assert content(of_job.open("wrapper.out")) == b"all"


def test_the_script_is_the_newest_one_and_listed_once(experiment: Path, of_job: JobLogs) -> None:
    (experiment / "tmp" / "LOG_a000" / "a000_SIM.cmd").write_bytes(b"copy")
    assert [file.name for file in of_job.list_files()].count("a000_SIM.cmd") == 1
    assert content(of_job.open("a000_SIM.cmd")) == b"0123456789"


def test_the_logs_of_an_experiment_are_those_of_its_commands(experiment: Path) -> None:
    assert [(file.name, file.kind) for file in ExperimentLogs(experiment).list_files()] == [
        ("jobs_failed_status.log", "jobs_failed_status"),
        ("20261125_100000_run_err.log", "run_err"),
        ("20261125_100000_run.log", "run"),
    ]


def test_an_experiment_without_a_folder_has_no_logs(tmp_path: Path) -> None:
    assert ExperimentLogs(tmp_path / "a001").list_files() == []
    assert JobLogs(tmp_path / "a001", "a001_SIM").list_files() == []


def test_names_and_times_that_cannot_be_told_do_no_harm(experiment: Path) -> None:
    for name in (b"\xff.log", b"a\nb.log"):
        (experiment / "tmp" / "ASLOGS" / os.fsdecode(name)).touch()
    os.utime(experiment / "tmp" / "ASLOGS" / "jobs_failed_status.log", (2**40, 2**40))
    assert len(ExperimentLogs(experiment).list_files()) == 3


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_none_of_a_log_is_refused(experiment: Path, of_job: JobLogs, name: str) -> None:
    with pytest.raises(NoSuchLog):
        of_job.open(name)
    with pytest.raises(NoSuchLog):
        ExperimentLogs(experiment).open(name)


@pytest.mark.parametrize("name", ["a000_SIMPLE.1.out", "a000_SIM_COMPLETED"])
def test_the_log_of_another_job_is_none_of_this_one(of_job: JobLogs, name: str) -> None:
    with pytest.raises(NoSuchLog, match="a000_SIM has no log"):
        of_job.open(name)


def test_a_log_that_cannot_be_read_says_why(experiment: Path, of_job: JobLogs) -> None:
    folder = experiment / "tmp" / "LOG_a000"
    (folder / "a000_SIM.7.out").symlink_to("/etc/passwd")
    os.mkfifo(folder / "a000_SIM.8.out")
    for attempt, why in ((7, "leads out of the folder of a000"), (8, "Not a regular file"), (9, "any more")):
        with pytest.raises(NoSuchLog, match=why):
            of_job.open(f"a000_SIM.{attempt}.out")


RECORDED = "a000_SIM.20261128173227.out_attempt_1"


def write_logs(experiment: Path, *names: str) -> None:
    """Write logs, each after the one before, that hold their own names."""
    for age, name in enumerate(names, 100):
        path = experiment / "tmp" / "LOG_a000" / name
        path.write_text(name)
        os.utime(path, (age, age))


def test_a_recorded_name_opens_the_newest_log_of_its_kind_and_attempt(experiment: Path) -> None:
    first, newest = "a000_SIM.20261128173230.out_attempt_1", "a000_SIM.20261128173232.out_attempt_1"
    write_logs(experiment, first, newest, newest.replace("1732", "1733").replace("_1", "_2"))
    shelf = JobLogs(experiment, "a000_SIM", [RECORDED])
    assert content(shelf.open(RECORDED)) == newest.encode()
    assert shelf.find_path(RECORDED) == experiment / "tmp" / "LOG_a000" / newest


def test_a_recorded_name_opens_the_log_of_that_name_where_there_is_one(experiment: Path) -> None:
    write_logs(experiment, RECORDED, "a000_SIM.20261128173232.out_attempt_1")
    assert content(JobLogs(experiment, "a000_SIM", [RECORDED]).open(RECORDED)) == RECORDED.encode()


def test_a_recorded_name_opens_no_log_of_another_kind_attempt_or_job(experiment: Path) -> None:
    others = ("SIM.2.out_attempt_2", "SIM.2.err_attempt_1", "SIMPLE.2.out_attempt_1", "SIM.POST.2.out_attempt_1")
    write_logs(experiment, *(f"a000_{other}" for other in others))
    shelf = JobLogs(experiment, "a000_SIM", [RECORDED])
    assert shelf.find_path(RECORDED) is None
    with pytest.raises(NoSuchLog, match="any more"):
        shelf.open(RECORDED)


def test_a_name_that_is_not_recorded_opens_no_other_log(experiment: Path) -> None:
    write_logs(experiment, "a000_SIM.2.out_attempt_1")
    with pytest.raises(NoSuchLog):
        JobLogs(experiment, "a000_SIM").open(RECORDED)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("20261128173232.out_attempt_12", "out"),
        ("20261128173232.err_attempt_1", "err"),
        ("cmd.out.0", "out"),
        ("cmd.err.3", "err"),
        ("20261128173232.out.xz", "out"),
        ("20261128173232.err_attempt_1.gz", "err"),
        ("None.out", "out"),
        ("cmd", "script"),
    ],
)
def test_each_name_of_a_log_says_its_kind(experiment: Path, name: str, kind: str) -> None:
    write_logs(experiment, f"a000_POST.{name}")
    assert [file.kind for file in JobLogs(experiment, "a000_POST").list_files()] == [kind]


@pytest.mark.parametrize("name", ["a000_SIM.POST.1.out", "a000_SIM.POST.cmd", "a000_SIM.POST.cmd.out.1", "a000_SIM.²"])
def test_a_job_whose_name_goes_on_after_a_dot_keeps_its_logs(experiment: Path, name: str) -> None:
    write_logs(experiment, name)
    shelf = JobLogs(experiment, "a000_SIM")
    assert name not in [file.name for file in shelf.list_files()]
    with pytest.raises(NoSuchLog, match="has no log"):
        shelf.open(name)


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [(0, 4, b"0123"), (8, 4, b"89"), (10, 4, b""), (99, 4, b""), (0, 0, b""), (0, -1, b"")],
)
def test_a_log_is_read_by_parts(of_job: JobLogs, offset: int, limit: int, expected: bytes) -> None:
    with of_job.open("a000_SIM.1.out") as log:
        assert (log.read(offset, limit), log.size) == (expected, 10)


def test_a_part_is_sent_in_blocks_of_bounded_size(
    experiment: Path, of_job: JobLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BLOCK_BYTES", 1000)
    data = b"0123456789" * 10_000
    (experiment / "tmp" / "LOG_a000" / "a000_SIM.1.out").write_bytes(data)
    part = LogPart(of_job.open("a000_SIM.1.out"), 1, 999_999)
    blocks = list(part)
    part.close()
    assert b"".join(blocks) == data[1:]
    assert max(map(len, blocks)) <= 1000 + CONTEXT_BYTES


def test_a_file_keeps_its_identity_while_it_grows_and_another_one_has_another(
    experiment: Path, of_job: JobLogs
) -> None:
    path = experiment / "tmp" / "LOG_a000" / "a000_SIM.1.out"
    with of_job.open(path.name) as log:
        before = log.identity
        with path.open("ab") as file:
            file.write(b"more")
        assert (log.identity, log.size) == (before, 14)
        path.rename(path.with_name("old"))
        path.write_bytes(b"new")
        with of_job.open(path.name) as other:
            assert other.identity != before


def test_the_log_of_a_real_job_is_read(root: Path, failed: str) -> None:
    times = read_newest_attempts(root / "metadata" / "data" / f"job_data_{failed}.db")[f"{failed}_BAD"]
    shelf = JobLogs(root / failed, f"{failed}_BAD", [times.out_log])
    assert b"about to fail" in content(shelf.open(times.out_log))
    assert {file.kind for file in shelf.list_files()} >= {"out", "err", "script"}


def test_the_logs_of_a_real_run_are_read(root: Path, failed: str) -> None:
    shelf = ExperimentLogs(root / failed)
    run = next(file for file in shelf.list_files() if file.kind == "run")
    assert b"about to fail" not in content(shelf.open(run.name))
    assert {"run", "create"} <= {file.kind for file in shelf.list_files()}


# --- Compressed


PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress}


def packed_log(experiment: Path, data: bytes, suffix: str) -> Path:
    path = experiment / "tmp" / "LOG_a000" / f"a000_SIM.3.out{suffix}"
    path.write_bytes(data)
    return path


@pytest.fixture(params=list(PACK))
def packed(request: pytest.FixtureRequest, experiment: Path) -> Path:
    """A compressed log of the digits, one million times."""
    return packed_log(experiment, PACK[request.param](b"0123456789" * 1_000_000), request.param)


def test_a_compressed_log_is_found_by_the_name_without_its_suffix(of_job: JobLogs, packed: Path) -> None:
    for name in ("a000_SIM.3.out", packed.name):
        with of_job.open(name) as log:
            assert (log.name, log.plain_name, log.size) == (packed.name, "a000_SIM.3.out", 10_000_000)
    listed = of_job.list_files()[0]
    assert (listed.name, listed.kind, listed.is_compressed) == (packed.name, "out", True)
    assert listed.size == packed.stat().st_size


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [(0, 4, b"0123"), (9_999_998, 10, b"89"), (5_000_001, 3, b"123"), (20_000_000, 5, b""), (0, 0, b"")],
)
def test_a_part_of_a_compressed_log_is_that_of_its_content(
    of_job: JobLogs, packed: Path, offset: int, limit: int, expected: bytes
) -> None:
    with of_job.open(packed.name) as log:
        assert log.read(offset, limit) == expected


@pytest.mark.parametrize("suffix", list(PACK))
def test_a_log_compressed_in_two_streams_is_read_to_its_end(experiment: Path, of_job: JobLogs, suffix: str) -> None:
    path = packed_log(experiment, PACK[suffix](b"one") + PACK[suffix](b"two"), suffix)
    assert content(of_job.open(path.name)) == b"onetwo"


def test_a_compressed_log_that_is_cut_short_is_read_as_far_as_it_goes(of_job: JobLogs, packed: Path) -> None:
    packed.write_bytes(packed.read_bytes()[:-20])
    with of_job.open(packed.name) as log:
        assert log.read(0, 10) == b"0123456789"
        assert 0 < log.size <= 10_000_000


def test_the_size_of_a_compressed_log_is_counted_once_for_each_version(
    of_job: JobLogs, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with of_job.open(packed.name) as log:
        assert log.size == 10_000_000
        monkeypatch.setattr(decompress, "MAX_BYTES", 0)
        assert log.size == 10_000_000
    packed.write_bytes(packed.read_bytes()[:-20])
    with of_job.open(packed.name) as log, pytest.raises(OSError, match="more than 0 bytes"):
        _ = log.size


def test_beyond_the_end_of_a_compressed_log_nothing_is_unpacked(
    of_job: JobLogs, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with of_job.open(packed.name) as log:
        assert log.size == 10_000_000
        monkeypatch.setattr(decompress, "MAX_BYTES", 0)
        assert log.read(10_000_000, 10) == log.read(0, 0) == b""


def test_a_log_that_is_not_what_its_name_says_is_an_error(of_job: JobLogs, packed: Path) -> None:
    packed.write_bytes(b"0123456789" * 10)
    with of_job.open(packed.name) as log, pytest.raises(OSError, match="broken"):
        log.read(0, 10)


@pytest.mark.parametrize("suffix", list(PACK))
def test_a_small_file_that_holds_too_much_is_an_error(
    experiment: Path, of_job: JobLogs, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decompress, "MAX_BYTES", 1_000_000)
    path = packed_log(experiment, PACK[suffix](bytes(10_000_000)), suffix)
    with of_job.open(path.name) as log, pytest.raises(OSError, match="more than 1,000,000 bytes"):
        _ = log.size
