"""How soon the portal shows what changes, while many large job lists change again and again.

Each list has its lock held, as a run holds it, and each change is of one job and of a row of the history, as when a job
ends. What the database says is asked thirty times a second.
"""

import fcntl
import json
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from experiments.autosubmit.store import Store, locate
from tests.bench.fleet import Member
from tests.bench.load import percentile
from tests.bench.memory import held
from tests.bench.mirror import STATUSES

EVERY_SECONDS = 15.0
SMALL_EVERY_SECONDS = 3.0
LOOK_SECONDS = 1 / 30
# Run by the Python of Autosubmit: copies of job lists in which one job has each of two statuses.
COPY = """
import json, pickle, sys
for source, job, targets in json.load(sys.stdin):
    with open(source, "rb") as file:
        jobs = pickle.load(file)
    for target, status in targets.items():
        jobs[job]["_status"] = jobs[job]["new_status"] = status
        with open(target, "wb") as file:
            pickle.dump(jobs, file, protocol=-1)
"""
ATTEMPT = "UPDATE job_data SET modified = ? WHERE id = (SELECT max(id) FROM job_data)"


@dataclass(frozen=True, slots=True)
class Changing:
    """Seconds from a change on disk until the database has it, of large and of small lists, and MB of the mirror."""

    lists: int
    jobs: int
    large: list[float]
    small: list[float]
    megabytes: float

    def p50(self) -> float:
        """Return the median of the large ones."""
        return percentile(self.large, 50)

    def p95(self, seconds: list[float]) -> float:
        """Return what 19 of 20 needed at most."""
        return percentile(seconds, 95)


@dataclass(slots=True)
class List:
    """A job list that changes: one job of it, by its key in the database, and when it is next to change."""

    job_list: Path
    history: Path
    job: str
    pk: int
    every: float
    due: float
    is_large: bool
    status: str = "WAITING"
    changed_at: float | None = None
    seconds: list[float] = field(default_factory=list)

    @property
    def variants(self) -> dict[str, Path]:
        """The copies in which the job has each status."""
        return {status: self.job_list.with_name(f"bench-{status}.pkl") for status in STATUSES}

    def change(self) -> None:
        """Put the other variant in the place of the list, at once as Autosubmit does."""
        self.status = "READY" if self.status == "WAITING" else "WAITING"
        copy = Path(shutil.copyfile(self.variants[self.status], self.job_list.with_name("bench-next.pkl")))
        with closing(sqlite3.connect(self.history)) as database, database:
            database.execute(ATTEMPT, [str(time.time())])
        copy.replace(self.job_list)
        self.changed_at = time.monotonic()
        self.due += self.every

    def see(self, status: str) -> None:
        """Note that the database has this status."""
        if self.changed_at is not None and status == self.status:
            self.seconds.append(time.monotonic() - self.changed_at)
            self.changed_at = None


def changing(member: Member, python: Path, expids: list[str], small: str, rounds: int) -> Changing:
    """Change these large lists and a small one for so many rounds; the first two of each are not counted."""
    store = locate(member.store.home)
    with ExitStack() as stack, _database(member) as ask:
        lists = [_list(store, expid, ask, is_large=expid != small) for expid in [*expids, small]]
        for each in lists:
            stack.enter_context(_kept(each))
            stack.enter_context(_locked(store, each))
        _copy(python, lists)
        member.portal.start("mirror")
        stack.callback(member.portal.stop, "mirror")
        _go_round(lists, ask, rounds)
        megabytes = sum(held(member.portal.processes["mirror"].pid, "VmHWM"))
    large = [second for each in lists if each.is_large for second in each.seconds[2:]]
    return Changing(len(expids), member.store.jobs, large, lists[-1].seconds[2:], megabytes)


def _go_round(lists: list[List], ask: "Ask", rounds: int) -> None:
    began = time.monotonic()
    for each in lists:
        each.due = began + random.uniform(0, each.every)
    keys = {each.pk: each for each in lists}
    query = f"SELECT id, status FROM jobs_job WHERE id IN ({', '.join(map(str, keys))})"
    while time.monotonic() < began + rounds * EVERY_SECONDS or any(each.changed_at for each in lists):
        for each in lists:
            if each.due <= time.monotonic() < began + rounds * EVERY_SECONDS and each.changed_at is None:
                each.change()
        for pk, status in ask(query):
            keys[pk].see(status)
        time.sleep(LOOK_SECONDS)


Ask = Callable[[str], list[tuple[int, str]]]


def _list(store: Store, expid: str, ask: Ask, *, is_large: bool) -> List:
    query = (
        "SELECT j.id, j.name FROM jobs_job j JOIN experiments_experiment e ON e.id = j.experiment_id "
        f"WHERE e.expid = '{expid}' AND j.status = 'WAITING' ORDER BY j.id DESC LIMIT 1"
    )
    pk, job = ask(query)[0]
    every = EVERY_SECONDS if is_large else SMALL_EVERY_SECONDS
    history = store.history / f"job_data_{expid}.db"
    return List(Path(str(store.job_list(expid))), history, job, pk, every, 0.0, is_large)


@contextmanager
def _database(member: Member) -> Iterator[Ask]:
    """Give what asks the database of a portal."""
    url = member.portal.database_url
    if url:
        with psycopg.connect(url, autocommit=True) as connection:
            yield lambda query: list(connection.execute(query.encode()))
        return
    file = member.portal.home / "portal.sqlite3"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as database:
        yield lambda query: database.execute(query).fetchall()


@contextmanager
def _kept(each: List) -> Iterator[None]:
    """Put the job list and the history back in the end."""
    kept = [
        (shutil.copy2(file, file.with_name(f"bench-kept-{file.name}")), file)
        for file in (each.job_list, each.history)
    ]
    try:
        yield
    finally:
        for copy, file in kept:
            Path(copy).replace(file)
        for variant in each.variants.values():
            variant.unlink(missing_ok=True)


@contextmanager
def _locked(store: Store, each: List) -> Iterator[None]:
    """Hold the lock of an experiment as its run does."""
    file = store.lock_file(each.job_list.parent.parent.name)
    file.touch()
    with file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _copy(python: Path, lists: list[List]) -> None:
    orders = [
        (
            str(each.job_list),
            each.job,
            {str(path): STATUSES[status] for status, path in each.variants.items()},
        )
        for each in lists
    ]
    subprocess.run([str(python), "-c", COPY], input=json.dumps(orders), text=True, check=True)
