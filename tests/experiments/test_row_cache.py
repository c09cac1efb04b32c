"""A mirror that makes only new rows anew has the same rows as one that begins with an empty database."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from experiments.autosubmit.store import Store
from experiments.mirror import observe, site_mirror
from experiments.mirror.site_mirror import SiteMirror
from experiments.mirror.sync import refresh, write
from experiments.models import Experiment, Run, Site
from jobs import mirror as jobs_mirror
from jobs.autosubmit.statuses import STATUS_BY_NUMBER
from jobs.mirror import MIRRORED_FIELDS
from jobs.models import Job, JobDependency
from tests.support import factories, fuzz, stores
from tests.support.lock_holders import running
from tests.support.small_stores import COMPLETED, READY, RUNNING, WAITING, make_store, write_jobs

pytestmark = pytest.mark.django_db
EXPID = "a000"
HISTORY = """
CREATE TABLE IF NOT EXISTS job_data (id INTEGER PRIMARY KEY, job_name TEXT, submit INTEGER, start INTEGER,
    finish INTEGER, status TEXT, ncpus INTEGER, platform TEXT, job_id INTEGER, out TEXT, err TEXT, run_id INTEGER);
CREATE TABLE IF NOT EXISTS experiment_run (run_id INTEGER, start INTEGER, finish INTEGER, total INTEGER);
"""
EDGE = "INSERT INTO experiment_structure (e_from, e_to) VALUES (?, ?)"
ATTEMPT = "INSERT INTO job_data (job_name, submit, finish, out) VALUES (?, 1000, 2000, ?)"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one experiment."""
    return make_store(tmp_path, [EXPID])


@pytest.fixture
def site(store: Store) -> Site:
    """A site that serves it."""
    return factories.create_store_site(store)


@pytest.fixture
def mirror(site: Site, store: Store) -> Iterator[SiteMirror]:
    """Its mirror, which has seen a run of the experiment begin and its list change, so that it has cached it."""
    made = SiteMirror(site.pk)
    with running(store.lock_file(EXPID)):
        for status in (READY, WAITING):
            write_jobs(store, EXPID, {f"{EXPID}_{number}": status for number in range(20)})
            made.look()
        yield made


@contextmanager
def history(store: Store) -> Iterator[sqlite3.Connection]:
    """Write into the history of the experiment."""
    with closing(sqlite3.connect(Path(str(store.history_database(EXPID))))) as database, database:
        database.executescript(HISTORY)
        yield database


def everything() -> list[Any]:
    """All that is mirrored of the experiment, without keys."""
    jobs = Job.objects.order_by("name").values_list("name", *MIRRORED_FIELDS)
    edges = JobDependency.objects.values_list("parent__name", "child__name")
    runs = Run.objects.order_by("run_id").values_list("run_id", "started_at", "finished_at", "total")
    counts = Experiment.objects.values_list("status_counts", "total_jobs", "problem", "edges_note").get()
    return [list(jobs), sorted(edges), list(runs), counts]


def read_anew(site: Site) -> list[Any]:
    """The same after a mirror that remembers nothing has read it into a database that has nothing."""
    Job.objects.all().delete()
    Run.objects.all().delete()
    refresh(Experiment.objects.get(site=site, expid=EXPID))
    return everything()


class Changes:
    """What Autosubmit and people do to the files of an experiment, at random."""

    def __init__(self, store: Store, random: Random) -> None:
        self.store, self.random = store, random
        self.jobs = {f"{EXPID}_{number}": WAITING for number in range(20)}

    def make(self) -> None:
        """Make one or two of them."""
        for change in self.random.sample((self.jobs_move, self.jobs_come, self.jobs_go, self.attempts, self.edges), 2):
            change()
        write_jobs(self.store, EXPID, self.jobs)

    def jobs_move(self) -> None:
        for name in self.random.sample([*self.jobs], min(3, len(self.jobs))):
            self.jobs[name] = self.random.choice([*STATUS_BY_NUMBER])

    def jobs_come(self) -> None:
        self.jobs[f"{EXPID}_{self.random.randrange(40)}"] = READY

    def jobs_go(self) -> None:
        if len(self.jobs) > 5:
            del self.jobs[self.random.choice([*self.jobs])]

    def attempts(self) -> None:
        now = int(time.time())
        with history(self.store) as database:
            finish = self.random.choice((0, now, now - 10_000))
            row = (self.random.choice([*self.jobs]), now - 20_000, finish, "COMPLETED", 5, "x.out")
            database.execute(
                "INSERT INTO job_data (job_name, submit, finish, status, job_id, out) VALUES (?, ?, ?, ?, ?, ?)", row
            )
            database.execute("UPDATE job_data SET finish = ?, out = 'y.out' WHERE finish = 0", [now])
            database.execute("INSERT INTO experiment_run VALUES (?, ?, 0, 5)", [self.random.randrange(9), now])

    def edges(self) -> None:
        path = Path(str(self.store.structure_database(EXPID)))
        pair = self.random.sample([*self.jobs], 2)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS experiment_structure (e_from TEXT, e_to TEXT)")
            database.execute(EDGE, pair)


@pytest.mark.parametrize("seed", [fuzz.SEED + number for number in range(8)])
def test_rows_after_many_changes_are_those_of_a_mirror_that_begins_anew(
    mirror: SiteMirror, store: Store, site: Site, seed: int
) -> None:
    changes = Changes(store, Random(seed))
    for number in range(12):
        changes.make()
        mirror.look()
        if number % 5 == 4:  # a worker reads it too
            refresh(Experiment.objects.get(expid=EXPID))
    found = everything()
    assert mirror.cache.get(Experiment.objects.get(expid=EXPID).pk)
    assert found == read_anew(site)


def test_a_job_list_of_4_2_is_made_anew_where_it_has_changed(store: Store, site: Site) -> None:
    mirror = SiteMirror(site.pk)
    path = Path(store._job_list_names(EXPID)[-1])
    path.parent.mkdir(parents=True)
    Path(store.list_lone_files(EXPID)[0]).unlink()
    stores.make_database(path, stores.TABLES_4_2 + stores.ROWS_4_2)
    with running(store.lock_file(EXPID)):
        for status in ("RUNNING", "FAILED", "COMPLETED"):
            with closing(sqlite3.connect(path)) as database, database:
                database.execute("UPDATE jobs SET status = ? WHERE chunk = 1", [status])
                database.execute(
                    "INSERT INTO experiment_structure (e_from, e_to) VALUES (?, ?)", ["a000_SETUP", status]
                )
            mirror.look()
        assert everything() == read_anew(site)


def test_only_jobs_that_changed_are_made_anew(
    mirror: SiteMirror, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    row_of = jobs_mirror._make_row

    def counting(record: Any, times: Any) -> Any:
        made.append(record.name)
        return row_of(record, times)

    monkeypatch.setattr("jobs.mirror._make_row", counting)
    write_jobs(store, EXPID, {f"{EXPID}_{number}": RUNNING if number == 7 else WAITING for number in range(20)})
    mirror.look()
    assert made == [f"{EXPID}_7"]
    assert Job.objects.filter(status="RUNNING").count() == 1


def test_what_another_process_wrote_is_not_taken_for_ones_own(mirror: SiteMirror, store: Store) -> None:
    Job.objects.filter(name=f"{EXPID}_3").update(status="FAILED")
    Experiment.objects.filter(expid=EXPID).update(refreshed_at="2026-01-01T00:00:00Z")
    write_jobs(store, EXPID, {f"{EXPID}_{number}": RUNNING if number == 7 else WAITING for number in range(20)})
    mirror.look()
    assert Job.objects.get(name=f"{EXPID}_3").status == "WAITING"


def test_what_was_read_before_another_process_wrote_is_not_written_over_it(
    mirror: SiteMirror, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int] = []
    read = observe.read

    def overtaken(*what: Any) -> Any:
        content = read(*what)
        if not statuses:
            statuses.append(RUNNING)
            write_jobs(store, EXPID, {f"{EXPID}_0": RUNNING})
        return content

    monkeypatch.setattr(observe, "read", overtaken)
    write_jobs(store, EXPID, {f"{EXPID}_0": READY})

    def writing(experiment: Experiment, *what: Any, **how: Any) -> Any:
        if len(statuses) == 1:
            statuses.append(READY)
            refresh(experiment)
        return write(experiment, *what, **how)

    monkeypatch.setattr(site_mirror, "write", writing)
    mirror.look()
    assert list(Job.objects.values_list("status", flat=True)) == ["RUNNING"]


def test_an_attempt_that_changed_long_after_its_end_is_seen(mirror: SiteMirror, store: Store) -> None:
    with history(store) as database:
        database.executemany(ATTEMPT, [(f"{EXPID}_0", "a.out"), (f"{EXPID}_1", "a.out")])
    for status in (READY, RUNNING):
        write_jobs(store, EXPID, {f"{EXPID}_0": COMPLETED, f"{EXPID}_1": status})
        mirror.look()
    with history(store) as database:
        database.execute("UPDATE job_data SET out = 'late.out' WHERE id = 1")
    mirror.look()
    assert Job.objects.get(name=f"{EXPID}_0").out_log == "late.out"
