"""Whatever stands in the place of a job list, its reader answers or says why not, in bounded time, and runs nothing."""

import io
import os
import resource
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from jobs.autosubmit.history import UnreadableHistory, read_attempts, read_runs
from jobs.autosubmit.job_list import UnreadableJobList, read_dependencies, read_job_list
from jobs.autosubmit.pickles import costs as limits
from jobs.autosubmit.pickles.client import Decoder, decoder
from jobs.autosubmit.refusal import Refused
from tests.support import fuzz, stores

GOOD = stores.FOLDER / "4.1.17.1.pkl"


def decoded(path: Path, by: Decoder = decoder) -> list[bytes]:
    """What a decoder says of a pickle."""
    with path.open("rb") as file:
        return list(by.decode(file, path.stat().st_size))


def outcome(path: Path) -> str:
    """Read all that can be read there; any other error than those that are promised fails the test."""
    told = []
    for read in (read_job_list, read_dependencies, read_runs, read_attempts):
        try:
            read(path)
        except (UnreadableJobList, UnreadableHistory, FileNotFoundError) as error:
            told.append(str(error))
    return told[0] if told else ""


@pytest.mark.parametrize("seed", [fuzz.SEED + number for number in range(fuzz.ROUNDS)])
def test_mutated_pickles_are_read_or_refused_and_run_nothing(tmp_path: Path, seed: int) -> None:
    trace, path = tmp_path / "trace", tmp_path / "job_list_a000.pkl"
    for data in fuzz.pickles(Random(seed), trace):
        path.write_bytes(data)
        outcome(path)
    assert not trace.exists()
    assert len(read_job_list(GOOD).jobs) == 4


@pytest.mark.parametrize("seed", [fuzz.SEED + number for number in range(fuzz.ROUNDS)])
def test_mutated_databases_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    random, path = Random(seed), tmp_path / "job_list.db"
    made = [
        stores.make_database(tmp_path / "4.2.db", stores.TABLES_4_2 + stores.ROWS_4_2),
        stores.make_pickle_database(tmp_path / "4.1.db", "a000", GOOD.read_bytes()),
    ]
    for whole in made:
        for data in fuzz.databases(random, whole):
            path.write_bytes(data)
            outcome(path)


@pytest.mark.parametrize("data", fuzz.GREEDY.values(), ids=fuzz.GREEDY)
def test_a_pickle_that_asks_for_too_much_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "job_list_a000.pkl"
    path.write_bytes(data)
    with pytest.raises(UnreadableJobList):
        read_job_list(path)
    assert len(read_job_list(GOOD).jobs) == 4


@pytest.mark.parametrize("make", fuzz.STRANGE.values(), ids=fuzz.STRANGE)
def test_what_is_no_job_list_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "job_list_a000.pkl"
    make(path)
    begun = time.process_time()
    assert outcome(path)
    assert time.process_time() - begun < 1


def test_a_locked_database_is_unreadable_and_waits_little(tmp_path: Path) -> None:
    path = stores.make_database(tmp_path / "job_list.db", stores.TABLES_4_2)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnreadableJobList, match="locked"):
            read_job_list(path)


def test_a_decoder_that_died_is_started_again() -> None:
    own = Decoder()
    first = decoded(GOOD, own)
    process = own._start()
    process.kill()
    process.wait()
    assert decoded(GOOD, own) == first
    own.close()


def test_a_decoder_is_kept_while_it_behaves_and_ended_after_a_refusal() -> None:
    own = Decoder()
    decoded(GOOD, own)
    process = own._start()
    decoded(GOOD, own)
    assert own._start() is process
    with pytest.raises(Refused):
        list(own.decode(io.BytesIO(b"\x80\x05N."), 4))
    assert process.returncode is not None
    own.close()


def test_threads_that_decode_at_once_each_get_their_own_answer() -> None:
    wanted = {path.stem: decoded(path) for path in stores.PICKLES}
    found: dict[str, object] = {}

    def decode(path: Path) -> None:
        found[path.stem] = decoded(path)

    threads = [threading.Thread(target=decode, args=[path]) for path in stores.PICKLES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == wanted


def test_a_forked_process_has_a_decoder_of_its_own() -> None:
    wanted = decoded(GOOD)
    child = os.fork()
    if child == 0:  # pragma: no cover - the parent is what is measured
        os._exit(0 if decoded(GOOD) == wanted else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert decoded(GOOD) == wanted


def test_the_decoder_has_neither_environment_nor_more_memory_than_it_may() -> None:
    own = Decoder()
    pid = own._start().pid
    decoded(GOOD, own)
    names = {line.split("=")[0] for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if line}
    assert names <= {"LC_CTYPE"}
    assert resource.prlimit(pid, resource.RLIMIT_AS)[0] == limits.compute_memory(GOOD.stat().st_size)
    own.close()


def test_the_decoder_computes_no_longer_than_it_may() -> None:
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = Decoder()
    endless = fuzz.PICKLE_2 + b"](" + fuzz.TUPLE + b"q\x00" + b"h\x00" * 2_000_000 + b"e."
    with pytest.raises(Refused):
        list(own.decode(io.BytesIO(endless), len(endless)))
    own.close()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.ru_utime - begun.ru_utime < limits.compute_seconds(len(endless)) + 2


def test_a_database_whose_fault_sqlite_cannot_name_in_utf_8_is_unreadable(tmp_path: Path) -> None:
    path = stores.make_database(tmp_path / "job_list.db", stores.TABLES_4_2)
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE jobs", b"CREATE \xb3ABLE jobs"))
    with pytest.raises(UnreadableJobList):
        read_job_list(path)
