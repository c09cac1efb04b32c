"""What an agent tells of an experiment, as the portal understands it: all of it once, then what has changed."""

import os
import pickle
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from autosubmit_portal.agent.readers import experiment as experiment_module
from autosubmit_portal.agent.readers import jobs as jobs_module
from autosubmit_portal.agent.readers import memory as memory_module
from autosubmit_portal.agent.readers import reader
from autosubmit_portal.agent.readers.memory import Memory
from autosubmit_portal.agent.readers.place import Means
from experiments.autosubmit import forms
from experiments.autosubmit.forms import ExperimentReading, FreshReading
from experiments.autosubmit.store import Store, locate, read_experiments, take_fingerprint
from jobs.autosubmit.edges import Edge
from jobs.autosubmit.history import JobTimes, read_runs
from jobs.autosubmit.job_list import read_dependencies
from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.wrappers import add_wrappers, read_wrappers
from tests.experiments.autosubmit.conftest import shared_store
from tests.support import fuzz, stores
from tests.support.job_lists import decode_here, read_job_list, read_newest_attempts
from tests.support.lock_holders import lock_held, running
from tests.support.small_stores import COMPLETED, FAILED, READY, WAITING, make_store, write_jobs
from tests.support.waiting import wait_for

EXPID = "a000"
HISTORY = """
CREATE TABLE IF NOT EXISTS job_data (id INTEGER PRIMARY KEY, job_name TEXT, submit REAL, start INTEGER,
    finish INTEGER, status TEXT, ncpus INTEGER, platform TEXT, job_id INTEGER, out TEXT, err TEXT, run_id INTEGER);
CREATE TABLE IF NOT EXISTS experiment_run (run_id INTEGER, start INTEGER, finish INTEGER, total INTEGER, metadata TEXT);
"""
ATTEMPT = "INSERT INTO job_data (job_name, submit, start, platform, job_id, out) VALUES (?, 1000.7, 1001, 'NA', 5, ?)"
RUN = "INSERT INTO experiment_run VALUES (?, 1000, 2000, 4, ?)"
EDGE = "INSERT INTO experiment_structure (e_from, e_to) VALUES (?, ?)"
WRAPPED = "INSERT INTO wrappers_jobs VALUES (1, ?, ?, '')"
CONFIGURATION = '{"JOBS": {"SIM": {"PLATFORM": "MN5", "WALLCLOCK": "01:00"}}}'


@dataclass
class Mirror:
    """Asks for experiments of a store and keeps what it has understood, as a mirror does."""

    home: Path
    memory: Memory
    revision: str = ""
    edges_mark: str = ""
    plans_source: str = ""
    jobs: dict[str, tuple[JobRecord, JobTimes | None]] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def read(self, expid: str = EXPID) -> ExperimentReading:
        """Ask for what it does not have, and apply it."""
        known = {"revision": self.revision, "edges": self.edges_mark, "plans_source": self.plans_source}
        reading = forms.understand_experiment(*self.ask("experiment", expid, **known))
        assert reading.base in ("", self.revision)
        self.jobs = {} if reading.base == "" else self.jobs
        for name in reading.removed:
            del self.jobs[name]
        self.jobs |= {job.name: (job, reading.attempts.get(job.name)) for job in reading.jobs}
        self.edges = self.edges if reading.edges is None else reading.edges
        self.revision, self.edges_mark = reading.revision, reading.edges_mark
        self.plans_source = reading.plans.source if reading.plans else self.plans_source
        return reading

    def read_fresh(self, expid: str = EXPID) -> FreshReading:
        """Ask for the state now."""
        return forms.understand_fresh(self.ask("fresh", expid)[1])

    def ask(self, what: str, expid: str = EXPID, **arguments: Any) -> tuple[Any, bytes]:
        """Return the value and the bytes of an answer."""
        request = {"expid": expid, "what": what, "home": str(self.home), "configuration": "", **arguments}
        message, data = reader.answer(request, Means(self.memory, decode_here))
        assert "failure" not in message, message["failure"]
        return message["value"], data

    def forget(self) -> None:
        """Begin with nothing."""
        self.revision = self.edges_mark = self.plans_source = ""
        self.jobs, self.edges = {}, []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with an experiment of four jobs, two runs and a wrapper."""
    made = make_store(tmp_path, [EXPID])
    write_four(made)
    with history(made) as database:
        database.executemany(ATTEMPT, [(f"{EXPID}_0", "0.out"), (f"{EXPID}_1", "1.out"), (f"{EXPID}_0", "0b.out")])
        database.executemany(RUN, [(1, None), (2, CONFIGURATION)])
    structure = Path(str(made.structure_database(EXPID)))
    stores.make_database(structure, stores.STRUCTURE, [(EDGE, (f"{EXPID}_0", f"{EXPID}_1"))])
    wrapped = [(WRAPPED, ("a000_pack", f"{EXPID}_2"))]
    stores.make_database(Path(str(made.wrapper_database(EXPID))), stores.WRAPPERS, wrapped)
    return made


@pytest.fixture
def mirror(tmp_path: Path, store: Store) -> Mirror:
    return Mirror(tmp_path, Memory(tmp_path / "told"))


def write_four(store: Store, *statuses: int) -> None:
    """Write the job list; a status that is not given is WAITING."""
    write_jobs(
        store, EXPID, {f"{EXPID}_{number}": status for number, status in enumerate((*statuses, *[WAITING] * 4)[:4])}
    )


@contextmanager
def history(store: Store) -> Iterator[sqlite3.Connection]:
    """Write into the history of the experiment."""
    with closing(sqlite3.connect(str(store.history_database(EXPID)))) as database, database:
        database.executescript(HISTORY)
        yield database


def assert_all_is_told(mirror: Mirror, reading: ExperimentReading, store: Store, expid: str) -> None:
    """Compare with what the store says when it is read here."""
    job_list = read_job_list(store.job_list(expid))
    jobs = add_wrappers(job_list.jobs, read_wrappers(store.wrapper_database(expid)))
    times = read_newest_attempts(store.history_database(expid))
    edges = job_list.edges or read_dependencies(store.structure_database(expid))
    assert mirror.jobs == {job.name: (job, times.get(job.name)) for job in jobs}
    assert mirror.edges == (edges or [])
    assert reading.has_edges == (edges is not None)
    assert reading.runs == read_runs(store.history_database(expid))
    assert reading.files == take_fingerprint(store, expid)
    assert reading.records == read_experiments(store, only=expid)


# --- All of it


@pytest.mark.parametrize("recorded", [*stores.PICKLES, *stores.YAML_PICKLES], ids=lambda path: path.stem)
def test_a_job_list_of_each_version_is_told_whole(mirror: Mirror, store: Store, recorded: Path) -> None:
    Path(str(store.job_list(EXPID))).write_bytes(recorded.read_bytes())
    assert_all_is_told(mirror, mirror.read(), store, EXPID)
    assert mirror.jobs


@pytest.mark.parametrize("make", ["rows", "a pickle in a row"])
def test_a_job_list_in_a_database_is_told_whole(mirror: Mirror, store: Store, make: str) -> None:
    files = [*store.list_lone_files(EXPID), *store.list_databases(EXPID)]
    if make == "rows":
        stores.make_database(Path(files[2]), stores.TABLES_4_2 + stores.ROWS_4_2 + stores.WRAPPERS)
    else:
        stores.make_pickle_database(Path(files[1]), EXPID, stores.PICKLES[-1].read_bytes())
    Path(files[0]).unlink()
    assert_all_is_told(mirror, mirror.read(), store, EXPID)
    assert len(mirror.jobs) == 4


@pytest.mark.parametrize(
    ("name", "expids"),
    [("real-store", ["a003", "a1ve", "a1vx", "a3tb"]), ("store-4.2", ["a000", "a001", "a002", "a003", "a004"])],
)
def test_experiments_of_real_stores_are_told_whole(tmp_path: Path, name: str, expids: list[str]) -> None:
    stores.configure(tmp_path, shared_store(name).root)
    for expid in expids:
        mirror = Mirror(tmp_path, Memory(tmp_path / "told"))
        reading = mirror.read(expid)
        if reading.jobs:
            assert_all_is_told(mirror, reading, locate(tmp_path), expid)


def test_the_newest_attempt_of_a_job_is_told(mirror: Mirror) -> None:
    mirror.read()
    (_, times) = mirror.jobs[f"{EXPID}_0"]
    assert times
    assert (times.out_log, times.platform, times.submitted_at) == (
        "0b.out",
        "",
        datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC),
    )


STRANGE: list[object] = [
    *("é", "a\0b", "\ud800", "NaN", "\U0001f600", '"', "\\u0000", "\n", "x" * 30_000, "", b"\xff", None),
    *(float("inf"), float("nan"), 2**63, 2**62, -1.5),
]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda strange: ascii(strange)[:10])
def test_strange_values_are_told_as_they_are_read_here(mirror: Mirror, store: Store, strange: object) -> None:
    data = {
        f"{EXPID}_0": {"_name": f"{EXPID}_0", "_status": 5, "_section": strange, "_chunk": strange, "date": strange}
    }
    Path(str(store.job_list(EXPID))).write_bytes(pickle.dumps(data))
    if not isinstance(strange, int) or strange < 2**63:
        kept = strange if strange != "\ud800" else "?"
        with history(store) as database:
            row = "INSERT INTO job_data (job_name, out, status, submit, run_id) VALUES (?, ?, ?, ?, ?)"
            database.execute(row, (f"{EXPID}_0", kept, kept, kept, kept))
    assert_all_is_told(mirror, mirror.read(), store, EXPID)
    assert mirror.jobs[f"{EXPID}_0"]


def test_a_job_list_that_is_not_there_yet_is_empty(mirror: Mirror, store: Store) -> None:
    Path(str(store.job_list(EXPID))).unlink()
    reading = mirror.read()
    assert (reading.absence, reading.jobs, reading.changed_at) == ("", [], None)


def test_an_experiment_without_a_folder_is_told_with_the_reason(mirror: Mirror) -> None:
    reading = mirror.read("a999")
    assert "is missing" in reading.absence
    assert (reading.jobs, reading.runs, reading.edges, reading.revision) == ([], [], None, "")


def test_a_folder_that_goes_while_it_is_read_is_no_empty_list(
    mirror: Mirror, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def archive(_source: object) -> list[Any]:
        store.experiment_folder(EXPID).rename(store.root / "elsewhere")
        return []

    monkeypatch.setattr(experiment_module, "read_runs", archive)
    reading = mirror.read()
    assert "is missing" in reading.absence
    assert (reading.jobs, reading.revision) == ([], "")


def test_an_experiment_without_dependencies_is_told_so(mirror: Mirror, store: Store) -> None:
    Path(str(store.structure_database(EXPID))).unlink()
    reading = mirror.read()
    assert (reading.edges, reading.has_edges) == ([], False)
    assert mirror.read().has_edges is False


def test_a_run_that_lives_is_told_and_no_commands_with_it(mirror: Mirror, store: Store) -> None:
    write_log(store, "setstatus")
    assert mirror.read().commands == ["setstatus"]
    with running(store.lock_file(EXPID)) as pid:
        reading = mirror.read()
    assert (reading.alive.is_running, reading.alive.pid, reading.commands) == (True, pid, [])


def test_commands_of_before_the_list_has_changed_are_not_told(mirror: Mirror, store: Store) -> None:
    log = write_log(store, "create")
    os.utime(log, (1_000_000, 1_000_000))
    assert mirror.read().commands == []


@pytest.mark.parametrize(("age", "told"), [(10, ["run"]), (600, [])])
def test_where_nobody_knows_when_the_list_has_changed_the_latest_commands_are_told(
    mirror: Mirror, store: Store, monkeypatch: pytest.MonkeyPatch, age: int, told: list[str]
) -> None:
    """As in PostgreSQL. A run at a host that nobody sees is among them, and is no change from outside."""
    monkeypatch.setattr(Store, "get_job_list_time", lambda *_: None)
    then = time.time() - age
    os.utime(write_log(store, "run"), (then, then))
    assert mirror.read().commands == told


def test_a_log_with_an_endless_name_is_left_out(mirror: Mirror, store: Store) -> None:
    write_log(store, "x" * 200)
    assert mirror.read().commands == []


def write_log(store: Store, command: str) -> Path:
    folder = store.experiment_folder(EXPID) / "tmp/ASLOGS"
    folder.mkdir(exist_ok=True)
    log = folder / f"20260101_000000_{command}.log"
    log.touch()
    return log


def test_what_is_long_is_compressed(mirror: Mirror, store: Store) -> None:
    write_jobs(store, EXPID, {f"{EXPID}_{number}": READY for number in range(12_000)})
    value, data = mirror.ask("experiment", revision="", edges="", plans_source="")
    assert value == {"is_compressed": True}
    assert len(data) < 200_000
    assert len(forms.understand_experiment(value, data).jobs) == 12_000


def test_a_list_may_have_more_names_than_fit_into_a_line(
    mirror: Mirror, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "MOST_LINE_BYTES", 5_000)
    write_jobs(store, EXPID, {f"{EXPID}_{number}": READY for number in range(1_000)})
    assert len(mirror.read().jobs) == 1_000


def test_more_runs_than_fit_into_a_line_are_refused(
    mirror: Mirror, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "MOST_LINE_BYTES", 1_000)
    with history(store) as database:
        database.executemany(RUN, [(number, None) for number in range(3, 100)])
    with pytest.raises(AssertionError, match="more runs than fit"):
        mirror.read()


# --- What has changed


def test_nothing_is_told_again(mirror: Mirror, store: Store) -> None:
    before = mirror.read()
    after = mirror.read()
    assert (after.base, after.jobs, after.removed) == (before.revision, [], [])
    assert (after.edges, after.plans) == (None, None)
    assert after.revision == before.revision


def test_changed_and_new_jobs_are_told_and_those_that_went_are_named(mirror: Mirror, store: Store) -> None:
    mirror.read()
    names = {f"{EXPID}_{number}": WAITING for number in (1, 2)}
    write_jobs(store, EXPID, names | {f"{EXPID}_3": FAILED, f"{EXPID}_9": READY})
    reading = mirror.read()
    assert {job.name: job.status for job in reading.jobs} == {f"{EXPID}_3": "FAILED", f"{EXPID}_9": "READY"}
    assert reading.removed == [f"{EXPID}_0"]
    assert_all_is_told(mirror, reading, store, EXPID)


def test_a_job_with_another_attempt_or_wrapper_has_changed(mirror: Mirror, store: Store) -> None:
    mirror.read()
    with history(store) as database:
        database.execute(ATTEMPT, (f"{EXPID}_1", "again.out"))
    with closing(sqlite3.connect(str(store.wrapper_database(EXPID)))) as wrappers, wrappers:
        wrappers.execute(WRAPPED, ("a000_pack", f"{EXPID}_3"))
    reading = mirror.read()
    assert [job.name for job in reading.jobs] == [f"{EXPID}_1", f"{EXPID}_3"]
    assert_all_is_told(mirror, reading, store, EXPID)


def test_with_another_revision_all_is_told(mirror: Mirror) -> None:
    mirror.read()
    mirror.revision = "0" * 32
    mirror.jobs = {}
    value, data = mirror.ask("experiment", revision="0" * 32, edges=mirror.edges_mark, plans_source="")
    reading = forms.understand_experiment(value, data)
    assert (reading.base, len(reading.jobs)) == ("", 4)


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"revision": 1, "files": [1]}', None])
def test_what_was_told_before_may_be_lost(mirror: Mirror, tmp_path: Path, damage: bytes | None) -> None:
    mirror.read()
    (kept,) = (tmp_path / "told").iterdir()
    kept.write_bytes(damage) if damage is not None else kept.unlink()
    reading = mirror.read()
    assert (reading.base, len(reading.jobs)) == ("", 4)


def test_all_is_told_when_more_went_than_one_names(
    mirror: Mirror, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "MOST_REMOVED", 1)
    mirror.read()
    write_jobs(store, EXPID, {f"{EXPID}_0": READY})
    reading = mirror.read()
    assert (reading.base, len(reading.jobs), reading.removed) == ("", 1, [])


def test_another_version_of_the_agent_tells_all(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mirror.read().revision
    monkeypatch.setattr(jobs_module, "_FORM", b"another")
    assert mirror.read().revision != before


def test_two_portals_have_memories_of_their_own(mirror: Mirror, store: Store, tmp_path: Path) -> None:
    other = Mirror(tmp_path, Memory(tmp_path / "told/other"))
    for each in (mirror, other):
        each.read()
    write_four(store, READY)
    mirror.read()
    assert other.read().base != ""


def test_those_that_were_told_of_long_ago_are_forgotten(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.read()
    old = tmp_path / "told/a555.json"
    old.write_text("x" * 1_000)
    os.utime(old, (1_000_000, 1_000_000))
    monkeypatch.setattr(memory_module, "MOST_BYTES", 1_000)
    monkeypatch.setattr(memory_module, "_WRITES_BETWEEN_LOOKS", 1)
    mirror.forget()
    mirror.memory._folder.joinpath(f"{EXPID}.json").unlink()
    mirror.read()
    assert [file.name for file in (tmp_path / "told").iterdir()] == [f"{EXPID}.json"]


def test_a_full_disk_keeps_nothing_from_being_told(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "told").write_text("no folder")
    assert len(mirror.read().jobs) == 4
    assert mirror.read().base == ""


def test_plans_are_told_once(mirror: Mirror, store: Store) -> None:
    plans = mirror.read().plans
    assert plans
    assert plans.plans["SIM"]["platform"] == "MN5"
    with history(store) as database:
        database.execute(RUN, (3, "{}"))
    plans = mirror.read().plans
    assert plans
    assert (plans.plans, plans.source) == ({}, "3: run 3, file 0")


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_whatever_happens_the_portal_has_what_the_store_says(mirror: Mirror, store: Store, seed: int) -> None:
    random = Random(seed)
    for _ in range(30):
        change = random.choice(CHANGES)
        change(store, random)
        if random.random() < 0.1:
            mirror.memory._folder.joinpath(f"{EXPID}.json").unlink(missing_ok=True)
        assert_all_is_told(mirror, mirror.read(), store, EXPID)


def _change_jobs(store: Store, random: Random) -> None:
    numbers = random.sample(range(12), random.randrange(12))
    write_jobs(store, EXPID, {f"{EXPID}_{number}": random.choice((READY, WAITING, COMPLETED)) for number in numbers})


def _change_history(store: Store, random: Random) -> None:
    with history(store) as database:
        database.execute(ATTEMPT, (f"{EXPID}_{random.randrange(12)}", f"{random.random()}.out"))


def _change_edges(store: Store, random: Random) -> None:
    with closing(sqlite3.connect(str(store.structure_database(EXPID)))) as database, database:
        database.execute("INSERT OR IGNORE INTO experiment_structure VALUES (?, ?)", random.choices("abcdef", k=2))
        database.execute("DELETE FROM experiment_structure WHERE e_from = ?", random.choices("abcdef", k=1))


def _change_form(store: Store, random: Random) -> None:
    Path(store.list_lone_files(EXPID)[0]).write_bytes(random.choice(stores.PICKLES).read_bytes())


def _change_nothing(_store: Store, _random: Random) -> None:
    pass


CHANGES = [_change_jobs, _change_history, _change_edges, _change_form, _change_nothing]


# --- Edges


def test_edges_are_not_read_again_while_their_database_is_the_same(
    mirror: Mirror, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.read()
    monkeypatch.setattr(jobs_module, "read_dependencies", None)
    write_four(store, READY)
    assert mirror.read().edges is None


def test_edges_are_told_when_they_change(mirror: Mirror, store: Store) -> None:
    mirror.read()
    with closing(sqlite3.connect(str(store.structure_database(EXPID)))) as database, database:
        database.execute(EDGE, (f"{EXPID}_1", f"{EXPID}_2"))
    assert len(mirror.read().edges or ()) == 2


def test_edges_are_told_when_a_job_comes(mirror: Mirror, store: Store) -> None:
    """They may be between jobs that the portal did not have."""
    mirror.read()
    write_jobs(store, EXPID, {f"{EXPID}_{number}": READY for number in range(5)})
    assert mirror.read().edges == [(f"{EXPID}_0", f"{EXPID}_1")]


def test_edges_that_are_not_known_are_told_alone(mirror: Mirror) -> None:
    mirror.read()
    mirror.edges_mark = ""
    reading = mirror.read()
    assert (reading.jobs, reading.edges) == ([], [(f"{EXPID}_0", f"{EXPID}_1")])


def test_edges_of_a_list_are_not_taken_for_those_of_a_database(mirror: Mirror, store: Store) -> None:
    graph, plain = (next(path for path in stores.PICKLES if path.stem == version) for version in ("4.1.10", "4.1.17.1"))
    for recorded in (graph, plain, graph):
        Path(str(store.job_list(EXPID))).write_bytes(recorded.read_bytes())
        assert_all_is_told(mirror, mirror.read(), store, EXPID)


# --- The state now


def test_the_state_is_told_without_opening_a_file_of_the_experiment(mirror: Mirror, store: Store) -> None:
    for name in (*store.list_lone_files(EXPID), *store.list_databases(EXPID)):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).unlink(missing_ok=True)
        os.mkfifo(name)
    fresh = mirror.read_fresh()
    assert (fresh.absence, fresh.owner, fresh.are_locks_known) == (
        "",
        (os.getuid(), fresh.owner and fresh.owner[1]),
        True,
    )
    assert [record.expid for record in fresh.records] == [EXPID]
    assert fresh.files == take_fingerprint(store, EXPID)


def test_a_lock_that_is_held_is_told(mirror: Mirror, store: Store) -> None:
    with running(store.lock_file(EXPID)) as pid:
        alive = wait_for(lambda: mirror.read_fresh().alive, is_enough=lambda told: told.is_asleep)
    assert (alive.is_running, alive.pid) == (True, pid)
    with lock_held(store.lock_file(EXPID), program="rsync"):
        assert "holds the lock, but is no run" in mirror.read_fresh().alive.evidence
    assert mirror.read_fresh().alive.evidence == "nobody holds the lock"


def test_all_experiments_of_one_name_are_told(mirror: Mirror, store: Store) -> None:
    fuzz.add_experiments(store.database, [EXPID] * 30)
    records = mirror.read_fresh().records
    assert [record.autosubmit_id for record in records] == [*range(12, 32)]
    assert len(mirror.read().records) == 20


def test_secrets_of_a_description_are_not_told(mirror: Mirror, store: Store) -> None:
    with closing(sqlite3.connect(store.database)) as database, database:
        database.execute("UPDATE experiment SET description = 'https://ana:hidden1234@host.org'")
    assert mirror.read_fresh().records[0].description == "https://ana:********@host.org"


def test_an_experiment_that_is_gone_has_no_record(mirror: Mirror) -> None:
    fresh = mirror.read_fresh("a999")
    assert (fresh.records, fresh.owner) == ([], None)
    assert "is missing" in fresh.absence


def test_a_stop_is_found_in_the_logs_of_all_experiments(mirror: Mirror, store: Store) -> None:
    assert forms.understand_stops(mirror.ask("stops")[0]) is None
    store.command_logs.mkdir()
    log = store.command_logs / f"20260101_000000_stop_{EXPID}.log"
    log.write_text("stopped\n")
    os.utime(log, (1_000_000, 1_000_000))
    assert forms.understand_stops(mirror.ask("stops")[0]) == datetime(1970, 1, 12, 13, 46, 40, tzinfo=UTC)
