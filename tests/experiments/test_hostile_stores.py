"""The mirror on stores with hostile, broken and locked files: it lives, runs nothing, and the others stay fresh."""

import os
import pickle
import shutil
import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import pytest

from experiments.autosubmit.store import Store
from experiments.mirror import site_mirror
from experiments.mirror.consistency import find_disagreement
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, Site
from tests.experiments.autosubmit.conftest import shared_store
from tests.support import factories, fuzz, stores
from tests.support.in_process_host import AtOnce
from tests.support.small_stores import CONFIGURATION, make_store, write_jobs
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db

GOOD = ["g000", "g001", "g002"]
FINISHED = {expid: {"COMPLETED": 1} for expid in GOOD}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with three good experiments of three forms."""
    made = make_store(tmp_path, [])
    fuzz.add_experiments(made.database, [*GOOD])
    for expid in GOOD:
        write_good(made, expid, status=1)
    return made


@pytest.fixture
def site(store: Store) -> Site:
    """A site that serves the store. The mirror asks its program for nothing but a version, which Python has too."""
    return factories.create_store_site(store)


def job_list_files(store: Store, expid: str) -> tuple[Path, Path, Path]:
    """Where the job list is: as a pickle, as a pickle in SQLite, and as rows."""
    folder = store.experiment_folder(expid)
    return (folder / f"pkl/job_list_{expid}.pkl", folder / f"pkl/job_list_{expid}.db", folder / "db/job_list.db")


def write_good(store: Store, expid: str, status: int) -> None:
    """Write a job list of one job, in the form that the number of the expid stands for."""
    name = f"{expid}_SIM"
    data = pickle.dumps({name: {"_name": name, "_status": status, "_section": "SIM"}})
    file, pickled, database = job_list_files(store, expid)
    if expid == "g000":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    elif expid == "g001":
        pickled.unlink(missing_ok=True)
        stores.make_pickle_database(pickled, expid, data)
    else:
        database.unlink(missing_ok=True)
        named = {1: "READY", 5: "COMPLETED"}[status]
        row = ("INSERT INTO jobs (name, status, max_checkpoint_step) VALUES (?, ?, 0)", (name, named))
        stores.make_database(database, stores.TABLES_4_2, [row])


def counts() -> dict[str, dict[str, int]]:
    return {experiment.expid: experiment.status_counts for experiment in Experiment.objects.filter(expid__in=GOOD)}


def counts_after_a_pass(mirror: SiteMirror) -> dict[str, dict[str, int]]:
    mirror.look()
    return counts()


def add(store: Store, expid: str, make: Callable[[Path], object], place: int) -> None:
    """Add an experiment with one file: 0 its pickle, 1 its pickle in SQLite, 2 its rows, 3 its edges, 4 its history."""
    places = (
        *job_list_files(store, expid),
        store.root / f"s/structure_{expid}.db",
        store.root / f"d/job_data_{expid}.db",
    )
    (store.root / expid).mkdir()
    places[place].parent.mkdir(parents=True, exist_ok=True)
    make(places[place])
    fuzz.add_experiments(store.database, [expid])


def writer(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def add_mutations(store: Store, seed: int, trace: Path) -> int:
    """Add experiments with mutated, strange and greedy files at every place; return how many."""
    random = Random(seed)
    whole = stores.make_database(store.root.parent / f"{seed}.db", stores.TABLES_4_2 + stores.ROWS_4_2)
    makes: list[tuple[Callable[[Path], object], int]] = [
        *((writer(data), 0) for data in fuzz.pickles(random, trace)),
        *((writer(data), place) for place in (2, 3, 4) for data in fuzz.databases(random, whole)),
    ]
    makes += [(make, random.randrange(5)) for make in fuzz.STRANGE.values()]
    makes.append((writer(random.choice([*fuzz.GREEDY.values()])), 0))
    for number, (make, place) in enumerate(makes):
        add(store, f"h{seed:03d}{number:03d}", make, place)
    return len(makes)


def look_and_finish_the_good(site: Site, store: Store) -> SiteMirror:
    """Make the passes in which problems are told, then those that read the good experiments, which have changed."""
    mirror = SiteMirror(site.pk)
    mirror.look()
    mirror.look()
    for expid in GOOD:
        write_good(store, expid, status=5)
    # One is enough, but on a busy machine: a pass reads for a while only.
    wait_for(lambda: counts_after_a_pass(mirror), is_enough=lambda told: told == FINISHED)
    return mirror


@pytest.mark.parametrize("seed", [fuzz.SEED + number for number in range(fuzz.ROUNDS)])
def test_the_good_stay_fresh_among_mutated_files_and_nothing_runs(site: Site, store: Store, seed: int) -> None:
    trace = store.root.parent / "trace"
    hostile = add_mutations(store, seed, trace)
    look_and_finish_the_good(site, store)
    assert not trace.exists()
    assert Experiment.objects.count() == hostile + len(GOOD)
    assert 0 < Experiment.objects.exclude(problem="").count() <= hostile


def test_code_in_a_pickle_is_a_problem_and_does_not_run(site: Site, store: Store) -> None:
    trace = store.root.parent / "trace"
    add(store, "h000", lambda path: path.write_bytes(b"\x80\x02" + fuzz.payload(trace) + b"}."), 0)
    look_and_finish_the_good(site, store)
    assert "the pickle names posix.system" in Experiment.objects.get(expid="h000").problem
    assert not trace.exists()


class NeverThere(AtOnce):
    """Never ends to read the experiments whose names begin with h."""

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        _, request = fn.args  # type: ignore[attr-defined]  # it is a partial
        return Future() if request["expid"].startswith("h") else super().submit(fn, *arguments, **named)


def test_readings_that_do_not_end_keep_nobody_waiting(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(site_mirror.READINGS + 1):
        add(store, f"h00{number}", writer(b""), 0)
    monkeypatch.setattr(site_mirror, "make_reader", NeverThere)
    monkeypatch.setattr(site_mirror, "SLOW_SECONDS", 0.0)
    look_and_finish_the_good(site, store)
    assert counts() == FINISHED


def test_large_ones_that_are_being_read_keep_no_small_one_waiting(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(site_mirror.READINGS):
        add(store, f"h00{number}", writer(bytes(site_mirror.SMALL_BYTES + 1)), 0)
    monkeypatch.setattr(site_mirror, "make_reader", NeverThere)
    monkeypatch.setattr(site_mirror, "SLOW_SECONDS", inf)
    look_and_finish_the_good(site, store)
    assert counts() == FINISHED


@pytest.mark.parametrize("place", [2, 3, 4], ids=["jobs", "edges", "history"])
def test_a_locked_database_is_told_and_does_not_stop_the_others(site: Site, store: Store, place: int) -> None:
    scripts = {2: stores.TABLES_4_2, 3: stores.STRUCTURE, 4: "CREATE TABLE job_data (id, job_name);"}
    add(store, "h000", lambda path: stores.make_database(path, scripts[place]), place)
    path = (*job_list_files(store, "h000"), store.root / "s/structure_h000.db", store.root / "d/job_data_h000.db")[
        place
    ]
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        look_and_finish_the_good(site, store)
    assert "locked" in Experiment.objects.get(expid="h000").problem
    assert counts() == FINISHED


@pytest.mark.parametrize("name", [*fuzz.STRANGE])
def test_a_strange_status_table_does_not_stop_the_mirror(site: Site, store: Store, name: str) -> None:
    fuzz.STRANGE[name](store.status_database)
    look_and_finish_the_good(site, store)


def test_a_locked_status_table_does_not_stop_the_mirror(site: Site, store: Store) -> None:
    stores.make_database(store.status_database, "CREATE TABLE experiment_status (name, status, modified);")
    with closing(sqlite3.connect(store.status_database, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        look_and_finish_the_good(site, store)


def test_hostile_values_in_the_status_table_are_kept_as_texts(site: Site, store: Store) -> None:
    rows = [
        ("INSERT INTO experiment_status VALUES (?, ?, ?)", row)
        for row in (("g000", "a\0" * 100, "0001-01-01T00:00:00+2300"), ("g001", b"\xff", 7), ("../x", "RUNNING", None))
    ]
    stores.make_database(store.status_database, "CREATE TABLE experiment_status (name, status, modified);", rows)
    look_and_finish_the_good(site, store)
    assert len(Experiment.objects.get(expid="g000").recorded_status) == 20
    assert counts() == FINISHED


def test_logs_of_commands_that_cannot_be_listed_do_not_stop_the_mirror(site: Site, store: Store) -> None:
    for expid in GOOD:
        folder = store.experiment_folder(expid) / "tmp"
        folder.mkdir()
        (folder / "ASLOGS").symlink_to(folder / "ASLOGS")
    look_and_finish_the_good(site, store)


def test_hostile_names_of_experiments_are_left_out(site: Site, store: Store) -> None:
    fuzz.add_experiments(store.database, fuzz.NAMES)
    look_and_finish_the_good(site, store)
    assert set(Experiment.objects.values_list("expid", flat=True)) == {*GOOD, "A000"}


@pytest.mark.parametrize("number", ["9" * 5000, "²", "x", 2**62, None, b"1"], ids=range(6))
def test_a_number_of_an_experiment_that_is_none_does_not_stop_the_mirror(
    site: Site, store: Store, number: object
) -> None:
    script = """DROP TABLE experiment; CREATE TABLE experiment (id, name, description, autosubmit_version)"""
    with closing(sqlite3.connect(store.database)) as connection:
        connection.executescript(script)
        connection.executemany(
            "INSERT INTO experiment VALUES (?, ?, 'x', '4.1.17')", [(number, expid) for expid in GOOD]
        )
        connection.commit()
    look_and_finish_the_good(site, store)


def test_a_job_list_of_an_impossible_time_is_mirrored(site: Site, store: Store) -> None:
    os.utime(job_list_files(store, "g000")[0], (2**38, 2**38))
    SiteMirror(site.pk).look()
    assert counts()["g000"]


def test_hostile_names_of_jobs_are_kept_as_texts(site: Site, store: Store) -> None:
    names = ["../../x", "<script>alert(1)</script>", "a\0b", "\udc80", "line\nline", "'; DROP TABLE jobs_job; --"]
    jobs = {name: {"_name": name, "_status": 5} for name in names}
    add(store, "h000", lambda path: path.write_bytes(pickle.dumps(jobs)), 0)
    look_and_finish_the_good(site, store)
    experiment = Experiment.objects.get(expid="h000")
    assert (experiment.problem, experiment.jobs.count()) == ("", len(names))


def test_a_job_with_a_name_too_long_to_keep_is_a_problem(site: Site, store: Store) -> None:
    add(store, "h000", writer(pickle.dumps({"x": {"_name": "x" * 251, "_status": 5}})), 0)
    look_and_finish_the_good(site, store)
    assert "more than 250 characters" in Experiment.objects.get(expid="h000").problem
    assert counts() == FINISHED


def test_a_missing_database_of_experiments_makes_the_site_unhealthy_and_keeps_what_was_read(
    site: Site, store: Store
) -> None:
    mirror = look_and_finish_the_good(site, store)
    store.database.rename(store.root / "away.db")
    mirror.look()
    site.refresh_from_db()
    assert "There is no Autosubmit database" in site.problem
    assert counts() == FINISHED


# --- Experiments that are not there


def test_an_archived_experiment_keeps_its_jobs_and_says_where_it_is(site: Site, store: Store) -> None:
    mirror = look_and_finish_the_good(site, store)
    archive = store.root / "2026" / "g000.tar.gz"
    archive.parent.mkdir()
    shutil.make_archive(str(archive).removesuffix(".tar.gz"), "gztar", store.experiment_folder("g000"))
    shutil.rmtree(store.experiment_folder("g000"))
    mirror.look()
    experiment = Experiment.objects.get(expid="g000")
    assert (experiment.problem, experiment.jobs.count()) == ("", 1)
    assert f"archived in {archive}" in experiment.evidence


def test_an_experiment_that_came_back_from_its_archive_is_read_again(site: Site, store: Store) -> None:
    mirror = look_and_finish_the_good(site, store)
    away = store.experiment_folder("g000").rename(store.root.parent / "away")
    mirror.look()
    away.rename(store.experiment_folder("g000"))
    write_good(store, "g000", status=1)
    mirror.look()
    assert counts()["g000"] == {"READY": 1}


def test_an_experiment_without_folder_keeps_its_jobs_and_says_so(site: Site, store: Store) -> None:
    mirror = look_and_finish_the_good(site, store)
    shutil.rmtree(store.experiment_folder("g000"))
    mirror.look()
    experiment = Experiment.objects.get(expid="g000")
    assert "is missing" in experiment.evidence
    assert experiment.jobs.count() == 1


def test_an_experiment_without_a_job_list_has_no_jobs_and_no_problem(site: Site, store: Store) -> None:
    add(store, "h000", lambda path: None, 0)
    look_and_finish_the_good(site, store)
    experiment = Experiment.objects.get(expid="h000")
    assert (experiment.problem, experiment.total_jobs) == ("", 0)


def test_edges_of_jobs_that_are_not_in_the_list_are_told(site: Site, store: Store) -> None:
    script = stores.STRUCTURE + "INSERT INTO experiment_structure VALUES ('old_INI', 'old_SIM');"
    stores.make_database(store.root / "s/structure_g000.db", script)
    look_and_finish_the_good(site, store)
    experiment = Experiment.objects.get(expid="g000")
    assert "1 dependency names jobs that are not in the job list" in find_disagreement(experiment, None, None, "").text
    assert "old_INI, old_SIM" in experiment.edges_note


def test_several_jobs_without_edges_in_the_store_are_not_known_to_be_free(site: Site, store: Store) -> None:
    write_jobs(store, "g000", {"g000_INI": 0, "g000_SIM": 0})
    SiteMirror(site.pk).look()
    experiment = Experiment.objects.get(expid="g000")
    assert not experiment.are_edges_known
    assert "is not known" in experiment.edges_note
    assert experiment.disagreement == ""


def test_an_empty_pickle_is_told_and_the_jobs_stay(site: Site, store: Store) -> None:
    mirror = look_and_finish_the_good(site, store)
    os.truncate(job_list_files(store, "g000")[0], 0)
    mirror.look()
    mirror.look()
    experiment = Experiment.objects.get(expid="g000")
    assert "truncated: it is empty" in experiment.problem
    assert experiment.jobs.count() == 1


def test_experiments_whose_names_differ_in_case_are_two(site: Site, store: Store) -> None:
    add(store, "A000", lambda path: path.write_bytes(pickle.dumps({"x": {"_name": "A000_x", "_status": 5}})), 0)
    add(store, "a000", lambda path: path.write_bytes(pickle.dumps({"x": {"_name": "a000_x", "_status": -1}})), 0)
    look_and_finish_the_good(site, store)
    assert Experiment.objects.get(expid="A000").status_counts == {"COMPLETED": 1}
    assert Experiment.objects.get(expid="a000").status_counts == {"FAILED": 1}


# --- The stores beside the repository, which cannot be written


@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        ("real-store", {"a003": 8, "a1ve": 8, "a1vx": 8, "a3tb": 55}),
        ("store-4.2", {"a000": 0, "a001": 4, "a002": 4, "a003": 4, "a004": 2}),
    ],
)
def test_real_stores_are_mirrored_whole(tmp_path: Path, name: str, jobs: dict[str, int]) -> None:
    root = shared_store(name).root
    rc = CONFIGURATION.replace("{0}/s", "{0}/metadata/structures").replace("{0}/d", "{0}/metadata/data").format(root)
    (tmp_path / ".autosubmitrc").write_text(rc)
    site = factories.create_site(autosubmit=sys.executable, home=str(tmp_path))
    SiteMirror(site.pk).look()
    mirrored = Experiment.objects.filter(site=site)
    assert {experiment.expid: experiment.total_jobs for experiment in mirrored} == jobs
    assert {experiment.problem for experiment in mirrored} == {""}


def test_what_is_written_of_jobs_changes_the_mark_that_answers_are_known_by(site: Site, store: Store) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    before = dict(Experiment.objects.values_list("expid", "refreshed_at"))
    write_good(store, "g000", status=5)
    mirror.look()
    after = dict(Experiment.objects.values_list("expid", "refreshed_at"))
    assert {expid for expid in GOOD if after[expid] != before[expid]} == {"g000"}
