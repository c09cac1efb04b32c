import os
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from experiments.autosubmit.store import (
    BrokenStore,
    Store,
    are_edges_same,
    locate,
    read_experiments,
    take_database_fingerprint,
    take_fingerprint,
)
from jobs.autosubmit import database
from tests.conftest import MakeExperiment
from tests.experiments.autosubmit.conftest import Call, shared_store
from tests.support.job_lists import read_job_list

CONFIGURATION = """
[database]
path = {root}
filename = autosubmit.db
[local]
path = {root}
[structures]
path = {root}/metadata/structures
[historicdb]
path = {root}/metadata/data
"""
TABLES = """
CREATE TABLE experiment (id INTEGER PRIMARY KEY, name TEXT, description TEXT, autosubmit_version TEXT);
CREATE TABLE details (exp_id INTEGER, user TEXT, created TEXT, model TEXT, branch TEXT, hpc TEXT);
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a store that has a strange name and no experiments."""
    root = tmp_path / "a store? 100#"
    root.mkdir()
    (tmp_path / ".autosubmitrc").write_text(CONFIGURATION.format(root=root))
    execute(root / "autosubmit.db", TABLES)
    return tmp_path


@pytest.fixture
def made(home: Path) -> Store:
    return locate(home)


def execute(database: Path, script: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(script)


def add(store: Store, *names: str) -> None:
    values = ", ".join(f"('{name}', 'text of {name}', '4.1.17')" for name in names)
    execute(store.database, f"INSERT INTO experiment (name, description, autosubmit_version) VALUES {values};")


def test_a_store_is_found_by_the_configuration_in_the_home(home: Path) -> None:
    found = locate(home)
    assert found.database == found.root / "autosubmit.db"
    assert found.history_database("a000") == found.root / "metadata" / "data" / "job_data_a000.db"


def test_a_given_configuration_replaces_that_of_the_home(home: Path, tmp_path: Path) -> None:
    given = (home / ".autosubmitrc").rename(home / "other.rc")
    assert locate(tmp_path / "nowhere", given).root.name == "a store? 100#"


def test_a_missing_configuration_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BrokenStore, match=r"no Autosubmit configuration .*autosubmitrc\. Run `autosubmit conf"):
        locate(tmp_path)


def test_a_missing_database_is_told_with_the_remedy(home: Path) -> None:
    locate(home).database.unlink()
    with pytest.raises(BrokenStore, match=r"no Autosubmit database .* Run `autosubmit install`"):
        locate(home)


@pytest.mark.parametrize("section", ["database", "local", "structures", "historicdb"])
def test_a_configuration_without_a_section_names_it(home: Path, section: str) -> None:
    rc = home / ".autosubmitrc"
    rc.write_text(rc.read_text().replace(f"[{section}]", "[other]"))
    with pytest.raises(BrokenStore, match=rf"\[{section}\]"):
        locate(home)


@pytest.mark.parametrize("text", ["no section", "[local\npath=/", "[local]\npath = %(nothing)s", "\x00"])
def test_a_configuration_that_is_none_is_broken(home: Path, text: str) -> None:
    (home / ".autosubmitrc").write_text(text)
    with pytest.raises(BrokenStore):
        locate(home)


@pytest.mark.parametrize(("backend", "told"), [("oracle", "'oracle'"), ("postgres", "`connection_url`")])
def test_a_backend_that_cannot_be_read_is_told(home: Path, backend: str, told: str) -> None:
    rc = home / ".autosubmitrc"
    rc.write_text(rc.read_text().replace("[database]", f"[database]\nbackend = {backend}"))
    with pytest.raises(BrokenStore, match=told):
        locate(home)


def test_of_experiments_registered_twice_the_newer_counts(made: Store) -> None:
    add(made, "a000", "a001", "a000")
    assert [(record.autosubmit_id, record.expid) for record in read_experiments(made)] == [(2, "a001"), (3, "a000")]


def test_names_that_would_be_other_paths_are_left_out(made: Store) -> None:
    add(made, "../x", "a/b0", "abc", "a000\n", ".....", "a00ı", "ABCD")
    assert [record.expid for record in read_experiments(made)] == ["ABCD"]


def test_an_experiment_without_details_has_empty_texts(made: Store) -> None:
    add(made, "a000")
    (record,) = read_experiments(made)
    assert (record.recorded_owner, record.hpc, record.branch, record.created_at) == ("", "", "", None)


def test_times_are_utc_and_those_without_a_zone_are_taken_as_utc(made: Store) -> None:
    add(made, "a000", "a001")
    values = "(1, 'me', '2026-01-01T02:00:00+02:00', '', '', ''), (2, 'me', '2024-01-08 14:52:35', '', '', '')"
    execute(made.database, f"INSERT INTO details VALUES {values};")
    assert [record.created_at for record in read_experiments(made)] == [
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 8, 14, 52, 35, tzinfo=UTC),
    ]


def test_a_database_without_details_is_read(made: Store) -> None:
    execute(made.database, "DROP TABLE details; INSERT INTO experiment (name) VALUES ('a000');")
    assert [record.version for record in read_experiments(made)] == [""]


def test_a_file_that_is_no_database_is_a_broken_store(made: Store) -> None:
    made.database.write_bytes(b"not a database " * 100)
    with pytest.raises(BrokenStore, match=r"cannot be read: .*\. Check"):
        read_experiments(made)


def test_a_database_whose_fault_sqlite_cannot_name_in_utf_8_is_a_broken_store(made: Store) -> None:
    whole = made.database.read_bytes()
    made.database.write_bytes(whole.replace(b"CREATE TABLE experiment", b"CREATE \xb3ABLE experiment"))
    with pytest.raises(BrokenStore, match="cannot be read"):
        read_experiments(made)


@pytest.mark.parametrize("table", ["experiment", "details"])
def test_a_view_that_stands_for_a_table_is_not_computed(made: Store, table: str) -> None:
    add(made, "a000")
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS id, x AS exp_id FROM n"
    execute(made.database, f"DROP TABLE {table}; CREATE VIEW {table} AS {endless};")
    if table == "details":
        assert [record.hpc for record in read_experiments(made)] == [""]
    else:
        with pytest.raises(BrokenStore, match="no table experiment"):
            read_experiments(made)


def test_a_list_longer_than_autosubmit_ever_writes_is_a_broken_store(
    made: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "MAX_ROWS", 1)
    add(made, "a000", "a001")
    with pytest.raises(BrokenStore, match="more than Autosubmit ever writes"):
        read_experiments(made)


def test_a_table_of_experiments_without_names_has_none(made: Store) -> None:
    execute(made.database, "DROP TABLE experiment; CREATE TABLE experiment (id); INSERT INTO experiment VALUES (1);")
    assert read_experiments(made) == []


def test_a_database_that_is_locked_for_long_is_a_broken_store(made: Store) -> None:
    with closing(sqlite3.connect(made.database, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BrokenStore, match="locked"):
            read_experiments(made)


def test_reading_leaves_no_file_behind(made: Store) -> None:
    before = sorted(os.listdir(made.root))
    read_experiments(made)
    assert sorted(os.listdir(made.root)) == before


def test_the_fingerprint_changes_with_each_file_of_the_experiment(made: Store) -> None:
    seen = {take_fingerprint(made, "a000")}
    databases = [Path(f"{name}{log}") for name in made.list_databases("a000") for log in ("", "-wal")]
    files = [*map(Path, made.list_lone_files("a000")), *databases]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("something")
        seen.add(take_fingerprint(made, "a000"))
    assert len(seen) == 1 + len(files)


def test_edges_are_the_same_while_their_database_does_not_change(made: Store) -> None:
    structure = Path(made.list_databases("a000")[1])
    touch(structure, second=1000)
    read = take_fingerprint(made, "a000")
    touch(Path(made.list_lone_files("a000")[0]), second=1001)
    assert are_edges_same(read, take_fingerprint(made, "a000"))
    touch(structure, second=1001)
    assert not are_edges_same(read, take_fingerprint(made, "a000"))


def test_edges_that_stand_with_the_jobs_are_never_known_to_be_the_same(made: Store) -> None:
    touch(made.experiment_folder("a000") / "db" / "job_list.db", second=1000)
    read = take_fingerprint(made, "a000")
    assert not are_edges_same(read, read)


def test_the_fingerprint_of_the_database_changes_with_a_new_experiment(made: Store) -> None:
    before = take_database_fingerprint(made)
    add(made, "a000")
    assert take_database_fingerprint(made) != before


def test_an_absent_experiment_has_a_fingerprint_of_zeros(made: Store) -> None:
    assert set(take_fingerprint(made, "zzzz")) == {(0, 0, 0)}


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("real-store", {"a003": "4.0.95", "a3tb": "3.13.0", "a1ve": "4.1.11", "a1vx": "4.1.13"}),
        ("store-4.2", dict.fromkeys(("a000", "a001", "a002", "a003", "a004"), "4.2.0")),
    ],
)
def test_stores_of_other_versions_are_read(name: str, versions: dict[str, str]) -> None:
    records = read_experiments(shared_store(name))
    assert {record.expid: record.version for record in records} == versions


def test_the_job_list_of_4_2_is_its_database() -> None:
    store = shared_store("store-4.2")
    assert store.job_list("a001") == store.structure_database("a001") == store.root / "a001/db/job_list.db"


def test_a_real_experiment_is_read_as_it_was_made(store: Store, small: str) -> None:
    record = next(record for record in read_experiments(store) if record.expid == small)
    assert (record.description, record.hpc) == ("small", "LOCAL")
    assert record.created_at is not None


# --- Which file holds the job list


def touch(path: Path, second: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    os.utime(path, (second, second))


@pytest.mark.parametrize("newest", range(3))
def test_of_several_job_lists_the_one_written_last_counts(made: Store, newest: int) -> None:
    folder = made.experiment_folder("a000")
    files = [folder / name for name in ("pkl/job_list_a000.pkl", "pkl/job_list_a000.db", "db/job_list.db")]
    for number, file in enumerate(files):
        touch(file, second=1000 + (number == newest))
    assert made.job_list("a000") == files[newest]


def test_without_any_job_list_it_will_be_a_pickle(made: Store) -> None:
    assert made.job_list("a000") == made.root / "a000" / "pkl" / "job_list_a000.pkl"
    assert made.structure_database("a000") == made.structures / "structure_a000.db"


def test_a_name_too_long_for_a_folder_is_left_out(made: Store) -> None:
    add(made, "a" * 51, "a" * 50)
    assert [len(record.expid) for record in read_experiments(made)] == [50]


# --- What real Autosubmit does with an experiment


def test_a_pickle_that_real_autosubmit_keeps_in_sqlite_is_read(
    store: Store, make_experiment: MakeExperiment, call: Call
) -> None:
    expid = make_experiment("waiting")
    configuration = store.experiment_folder(expid) / "conf" / f"autosubmit_{expid}.yml"
    configuration.write_text(configuration.read_text().replace("TYPE: pkl", "TYPE: db"))
    assert call("create", "--noplot", expid).succeeded
    assert store.job_list(expid) == store.experiment_folder(expid) / "pkl" / f"job_list_{expid}.db"
    assert len(read_job_list(store.job_list(expid)).jobs) == 4


def test_an_experiment_that_real_autosubmit_archived_is_found_and_comes_back(
    store: Store, make_experiment: MakeExperiment, call: Call
) -> None:
    expid = make_experiment("small")
    call("archive", expid)
    assert re.search(rf"archived in {store.root}/\d{{4}}/{expid}\.tar", store.explain_absence(expid))
    call("unarchive", expid)
    assert store.explain_absence(expid) == ""
    assert len(read_job_list(store.job_list(expid)).jobs) == 4
