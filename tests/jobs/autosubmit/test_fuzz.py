"""Whatever stands in the place of a job list, its reader answers or says why not, in bounded time.

Hostile pickles are for readers, which have limits: tests/agent/test_readers.py.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from jobs.autosubmit.history import UnreadableHistory, read_runs
from jobs.autosubmit.job_list import UnreadableJobList, read_dependencies
from tests.support import fuzz, stores
from tests.support.job_lists import read_job_list, read_newest_attempts

WHOLE = stores.TABLES_4_2 + stores.ROWS_4_2


def outcome(path: Path) -> str:
    """Read all that can be read there; any other error than those that are promised fails the test."""
    told = []
    for read in (read_job_list, read_dependencies, read_runs, read_newest_attempts):
        try:
            read(path)
        except (UnreadableJobList, UnreadableHistory, FileNotFoundError) as error:
            told.append(str(error))
    return told[0] if told else ""


@pytest.mark.parametrize("seed", [fuzz.SEED + number for number in range(fuzz.ROUNDS)])
def test_mutated_databases_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    path, whole = tmp_path / "job_list.db", stores.make_database(tmp_path / "4.2.db", WHOLE)
    for data in fuzz.databases(Random(seed), whole):
        path.write_bytes(data)
        outcome(path)


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


def test_a_database_whose_fault_sqlite_cannot_name_in_utf_8_is_unreadable(tmp_path: Path) -> None:
    path = stores.make_database(tmp_path / "job_list.db", stores.TABLES_4_2)
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE jobs", b"CREATE \xb3ABLE jobs"))
    with pytest.raises(UnreadableJobList):
        read_job_list(path)
