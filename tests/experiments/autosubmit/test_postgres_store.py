"""A store whose databases are in PostgreSQL: as a real 4.1.17.1 wrote it, and with the tables of 4.2."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from experiments.autosubmit import forms
from experiments.autosubmit.store import (
    BrokenStore,
    Store,
    locate,
    read_experiments,
    take_database_fingerprint,
    take_fingerprint,
)
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment
from jobs.autosubmit import postgres as reading
from jobs.autosubmit.history import UnreadableHistory, read_job_attempts, read_runs
from jobs.autosubmit.job_list import UnreadableJobList, read_dependencies
from jobs.autosubmit.postgres import Schema
from jobs.autosubmit.user_metrics import MetricRecord, read_metric_runs, read_metrics
from jobs.autosubmit.wrappers import read_wrappers
from tests.agent.agents import agent, find_pythons
from tests.agent.test_watch import watch
from tests.support import factories, stores
from tests.support.job_lists import read_job_list, read_newest_attempts
from tests.support.postgres import Postgres
from tests.support.waiting import wait_for

CONFIGURATION = """
[database]
path = {root}
filename = autosubmit.db
backend = postgres
connection_url = {url}
[local]
path = {root}
[structures]
path = {root}/metadata/structures
[historicdb]
path = {root}/metadata/data
"""

ALL = {"revision": "", "plans_source": "", "edges": ""}


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    """The address of a database that holds the recorded store."""
    made = postgres.create_database().replace("postgres://", "postgresql://", 1)
    execute(made, stores.POSTGRES.read_text())
    yield made
    postgres.drop_database(made)


@pytest.fixture
def home(tmp_path: Path, url: str) -> Path:
    """A home whose rc file names the database in the form of SQLAlchemy."""
    named = url.replace("postgresql://", "postgresql+psycopg2://", 1)
    (tmp_path / ".autosubmitrc").write_text(CONFIGURATION.format(root=tmp_path / "autosubmit", url=named))
    return tmp_path


@pytest.fixture
def store(home: Path) -> Store:
    return locate(home)


def execute(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())


def add_4_2(url: str, expid: str) -> None:
    """Add an experiment of 4.2: the tables of its SQLite file, in a schema of its own."""
    script = stores.TABLES_4_2 + stores.ROWS_4_2.replace("a000_", f"{expid}_")
    execute(url, f'CREATE SCHEMA "{expid}"; SET search_path TO "{expid}"; {script}')


def test_the_recorded_experiment_is_read_with_details(store: Store) -> None:
    (record,) = [record for record in read_experiments(store) if record.expid == "a001"]
    assert (record.description, record.hpc, record.version) == ("fixture small", "LOCAL", "4.1.17.1")
    assert (record.recorded_owner, record.created_at is not None) == ("operator", True)


def test_the_recorded_pickle_is_read_whole(store: Store) -> None:
    source = store.job_list("a001")
    assert isinstance(source, Schema)
    jobs = read_job_list(source).jobs
    assert sorted(job.name for job in jobs) == sorted(f"a001_{name}" for name in stores.NAMES)
    assert {job.status for job in jobs} == {"COMPLETED"}


def test_the_recorded_edges_and_history_are_read_whole(store: Store) -> None:
    edges = read_dependencies(store.structure_database("a001")) or []
    assert sorted(edges) == [(f"a001_{parent}", f"a001_{child}") for parent, child in stores.EDGES]
    (run,) = read_runs(store.history_database("a001"))
    assert (run.run_id, run.completed, run.total) == (1, 4, 4)
    times = read_newest_attempts(store.history_database("a001"))
    assert sorted(times) == sorted(f"a001_{name}" for name in stores.NAMES)
    assert {job.status for job in times.values()} == {"COMPLETED"}
    found = read_job_attempts(store.history_database("a001"), f"a001_{stores.NAMES[0]}")
    assert [attempt.status for attempt in found] == ["COMPLETED"]


def test_wrappers_and_metrics_are_read_once_there_are_any(url: str, store: Store) -> None:
    wrappers, metrics = store.wrapper_database("a001"), store.metrics_database("a001")
    assert (read_wrappers(wrappers), read_metric_runs(metrics), read_metrics(metrics, 1)) == ({}, [], [])
    rows = """
        INSERT INTO wrappers_jobs VALUES (7, 'w1', 'a001_SETUP', 'now'), (8, 'w2', 'a001_SETUP', 'now');
        INSERT INTO user_metrics VALUES (1, 1, 'a001_SETUP', 'sypd', '12.5', 'now'), (2, 2, 'x', 'y', 'z', 'now');
    """
    execute(url, f"SET search_path TO a001; {stores.WRAPPERS} {stores.USER_METRICS} {rows}")
    assert read_wrappers(wrappers) == {"a001_SETUP": "w2"}
    assert read_metric_runs(metrics) == [2, 1]
    assert read_metrics(metrics, 1) == [MetricRecord("a001_SETUP", "sypd", "12.5", "now")]


def test_an_agent_whose_python_has_psycopg_reads_it(url: str, home: Path, store: Store, tmp_path: Path) -> None:
    store.experiment_folder("a001").mkdir(parents=True)
    with agent(tmp_path, home=str(home)) as channel:
        reading = forms.understand_experiment(*channel.read("experiment", "a001", **ALL))
        fresh = forms.understand_fresh(channel.read("fresh", "a001")[1])
    assert sorted(job.name for job in reading.jobs) == sorted(f"a001_{name}" for name in stores.NAMES)
    assert {times.status for times in reading.attempts.values()} == {"COMPLETED"}
    assert sorted(reading.edges or ()) == [(f"a001_{parent}", f"a001_{child}") for parent, child in stores.EDGES]
    assert [run.total for run in reading.runs] == [4]
    assert fresh.files == reading.files == take_fingerprint(store, "a001")
    assert [record.expid for record in fresh.records] == ["a001"]


def test_an_agent_whose_python_has_none_says_so(home: Path, tmp_path: Path) -> None:
    others = [python for python in find_pythons() if python != sys.executable]
    if not others:
        pytest.skip("there is no other Python")
    with agent(tmp_path, others[0], home=str(home)) as channel:
        for what, arguments in (("experiment", ALL), ("fresh", {})):
            failure, _ = channel.read(what, "a001", **arguments)
            assert failure.code == "broken"
            assert "this Python cannot read PostgreSQL: No module named 'psycopg'" in failure.reason


@pytest.mark.parametrize("expid", ["b000", "B000"])
def test_the_tables_of_4_2_are_read_also_with_capitals(url: str, home: Path, expid: str) -> None:
    add_4_2(url, expid)
    store = wait_for(
        lambda: locate(home), is_enough=lambda found: expid in found.changes and found.changes[expid].has_jobs
    )
    jobs = read_job_list(store.job_list(expid)).jobs
    assert [(job.name, job.status) for job in jobs][2] == (f"{expid}_20000101_fc0_1_SIM", "FAILED")
    assert len(jobs) == 4
    assert len(read_dependencies(store.structure_database(expid)) or []) == 3
    assert read_runs(store.history_database(expid)) == []


def test_an_experiment_without_a_job_list_has_none(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        read_job_list(Schema(store.postgres_url, "zzzz"))
    assert read_dependencies(store.structure_database("zzzz")) is None
    assert isinstance(store.job_list("zzzz"), Path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE a001.job_data SET status = 'FAILED'",
        "DELETE FROM a001.experiment_structure",
        "UPDATE job_pkl SET modified = 'now' WHERE expid = 'a001'",
    ],
)
def test_the_fingerprint_follows_a_change(url: str, home: Path, change: str) -> None:
    before = take_fingerprint(locate(home), "a001")
    execute(url, change)
    wait_for(lambda: take_fingerprint(locate(home), "a001") != before)


def test_the_fingerprint_of_all_follows_a_new_experiment(url: str, home: Path) -> None:
    before = take_database_fingerprint(locate(home))
    execute(url, "INSERT INTO experiment VALUES (99, 'b000', '', '4.1.17')")
    wait_for(lambda: take_database_fingerprint(locate(home)) != before)


def test_nothing_is_written(url: str, home: Path) -> None:
    store = locate(home)
    read_experiments(store)
    read_job_list(store.job_list("a001"))
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'a001')").fetchone()
    assert tables == (6,)


def test_a_locked_table_is_unreadable_and_waits_little(url: str, store: Store) -> None:
    with psycopg.connect(url) as writer:
        writer.execute("LOCK TABLE a001.job_data, a001.experiment_structure, job_pkl")
        with pytest.raises(UnreadableHistory, match="lock timeout"):
            read_newest_attempts(store.history_database("a001"))
        with pytest.raises(UnreadableJobList, match="lock timeout"):
            read_dependencies(store.structure_database("a001"))
        with pytest.raises(UnreadableJobList, match="lock timeout"):
            read_job_list(Schema(store.postgres_url, "a001"))


def test_a_server_that_is_away_is_a_broken_store_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://operator:secret@/autosubmit?host={tmp_path}"
    store = Store(tmp_path, tmp_path / "autosubmit.db", tmp_path, tmp_path, url)
    with pytest.raises(BrokenStore, match="cannot be read") as raised:
        read_experiments(store)
    assert "secret" not in str(raised.value)


def test_the_rows_of_4_2_are_the_same_in_both_databases(url: str, home: Path, tmp_path: Path) -> None:
    add_4_2(url, "a000")
    with closing(sqlite3.connect(tmp_path / "job_list.db")) as connection, connection:
        connection.executescript(stores.TABLES_4_2 + stores.ROWS_4_2)
    assert read_job_list(Schema(locate(home).postgres_url, "a000")) == read_job_list(tmp_path / "job_list.db")


@pytest.mark.django_db
def test_the_mirror_follows_a_store_in_postgresql(url: str, home: Path, autosubmit: Path) -> None:
    (home / "autosubmit" / "a001").mkdir(parents=True)
    site = factories.create_site(autosubmit=str(autosubmit), home=str(home))
    mirror = SiteMirror(site.pk)
    mirror.look()
    experiment = Experiment.objects.get(expid="a001")
    assert (experiment.status_counts, experiment.problem) == ({"COMPLETED": 4}, "")
    execute(url, "UPDATE job_pkl SET pkl = 'broken' WHERE expid = 'a001'")

    def problem() -> str:
        mirror.look()
        experiment.refresh_from_db()
        return experiment.problem

    wait_for(problem)
    assert experiment.jobs.count() == 4
    execute(url, "DELETE FROM experiment WHERE name = 'a001'")
    wait_for(lambda: mirror.look() or Experiment.objects.get(expid="a001").gone_at)


def test_an_agent_watches_a_store_in_postgresql_on_one_connection(url: str, home: Path) -> None:
    with agent(home, home=str(home)) as channel:
        assert watch(channel).entries.keys() == {"a000", "a001"}
        server = find_backend(url)
        execute(url, "INSERT INTO experiment (id, name, description) VALUES (1000, 'a002', '')")
        # The statistics of the server, which tell of a change, are a second late.
        wait_for(lambda: watch(channel).entries.keys() == {"a000", "a001", "a002"})
        assert find_backend(url) == server


# --- Connections that are kept


def backends(url: str) -> set[int]:
    """The processes of the server that serve other connections than this one; not its own vacuum."""
    others = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    with psycopg.connect(url) as connection:
        return {pid for (pid,) in connection.execute(f"SELECT pid FROM pg_stat_activity WHERE {others}".encode())}


def find_backend(url: str) -> int:
    """The only such process, when those whose connections were closed have ended."""
    (pid,) = wait_for(lambda: backends(url), is_enough=lambda found: len(found) == 1)
    return pid


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have this test keep its connections, and end them."""
    monkeypatch.setattr(reading, "_kept", reading._KeptConnections())
    reading.keep_connections()
    yield
    for connection in reading._kept.connections.values():
        connection.close()


def test_a_connection_is_closed_after_each_use(url: str, store: Store) -> None:
    reading.read_changes(store.postgres_url)
    wait_for(lambda: backends(url) == set())


def test_a_kept_connection_is_used_again_for_other_schemas(url: str, store: Store, kept: None) -> None:
    reading.read_changes(store.postgres_url)
    first = find_backend(url)
    add_4_2(url, "a000")
    assert len(read_dependencies(Schema(store.postgres_url, "a000")) or []) == 3
    reading.read_experiments(store.postgres_url)
    assert find_backend(url) == first


def test_a_kept_connection_that_the_server_has_ended_is_replaced(url: str, store: Store, kept: None) -> None:
    reading.read_changes(store.postgres_url)
    execute(url, f"SELECT pg_terminate_backend({find_backend(url)})")
    wait_for(lambda: backends(url) == set())
    assert reading.read_changes(store.postgres_url)
