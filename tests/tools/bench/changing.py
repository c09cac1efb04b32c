"""How soon the portal shows what changes, while many large job lists change again and again.

Each list has its lock held, as a run holds it, and each change is of one job and of a row of the history, as when a job
ends. What the database says is asked thirty times a second; where it has the change, the API is asked until it has it.
"""

import json
import os
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

from experiments.autosubmit import store as autosubmit_store
from experiments.autosubmit.store import locate
from tests.support.lock_holders import running
from tests.support.small_stores import make_store
from tests.tools.bench.fleet import FirstPass, Member, fleet
from tests.tools.bench.judgement import Verdict, at_most, table, untargeted
from tests.tools.bench.load import Connection, Server, percentile
from tests.tools.bench.memory import held
from tests.tools.bench.mirror import STATUSES
from tests.tools.bench.page import Section, context
from tests.tools.bench.stores import Plan, Store
from tests.tools.bench.usage import Usage

PLAN = Plan(2_000, (10_000,) * 25)
ROUNDS = 10
# The first changes of each list: nobody has read it before.
WARM_UP = 2
P50_SECONDS, P95_SECONDS, SMALL_P95_SECONDS = 1.5, 4.0, 0.7
EVERY_SECONDS = 15.0
SMALL_EVERY_SECONDS = 3.0
LOOK_SECONDS = 1 / 30
LONGEST_JOBS = 500_000
LONGEST_MEGABYTES = 4_000
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
TEXT = """{context}

{figures}

Of a store of {experiments:,} experiments {lists} with {jobs:,} jobs each run and change every {every:g} s, one of
ten jobs every {small:g} s: one job gets another status, and the history is written. {counts} changes were seen. The
clock stops when the API answers with the status. **The longest list** is that of a store with one experiment, read by
`manage.py mirror --once` into an empty database. **Memory** is the most of the mirror, the gateway, its agent and the
readers. **Cores** are processor time meanwhile: of gateway, agent and readers, of the mirror, and of who makes the
changes and asks for them.
"""
# Likewise: a job list with the first job of another, so many times.
MULTIPLY = """
import pickle, sys
source, target, number = sys.argv[1:]
with open(source, "rb") as file:
    first = next(iter(pickle.load(file).values()))
names = [f"a000_20000101_fc0_{each}_SIM" for each in range(int(number))]
with open(target, "wb") as file:
    pickle.dump({name: first | {"_name": name} for name in names}, file, protocol=-1)
"""
ATTEMPT = "UPDATE job_data SET modified = ? WHERE id = (SELECT max(id) FROM job_data)"


@dataclass(frozen=True, slots=True)
class Changing:
    """Seconds from a change on disk until the API has it, of large and of small lists; MB and cores of who sees it.

    `cores` are those of agent and gateway, of the mirror, and of the load itself.
    """

    lists: int
    large: list[float]
    small: list[float]
    megabytes: float
    cores: dict[str, float]


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
    def expid(self) -> str:
        """The experiment that it is of."""
        return self.job_list.parent.parent.name

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

    def see(self, status: str, server: Server) -> None:
        """Note how long it took, if the database has this status: until the API has it too."""
        if self.changed_at is None or status != self.status:
            return
        with closing(Connection(server)) as connection:  # one that waits for long is closed by the server
            request = connection.request(f"/v4/experiments/{self.expid}/jobs/{self.job}")
            while json.loads(connection.ask(request)[1])["status"] != status:
                time.sleep(LOOK_SECONDS)
        self.seconds.append(time.monotonic() - self.changed_at)
        self.changed_at = None


def run(folder: Path, home: Path, python: Path, *, rounds: int = ROUNDS) -> Section:
    """Measure on each database with the store in `home`, which PLAN has made; `python` is that of Autosubmit."""
    begun = context()
    made = json.loads((home.parent / "store.json").read_text())["experiments"]
    large = [each["expid"] for each in made if each["jobs"] == PLAN.big[0]]
    small = next(each["expid"] for each in made if each["profile"] == "running" and each["jobs"] < 100)
    with fleet(_emptied(folder / "changing"), [Store(home, large[0], PLAN.big[0])]) as members:
        measured = {member.database: changing(member, python, [*large, small], rounds=rounds) for member in members}
    source = locate(home).job_list(small)
    with fleet(_emptied(folder / "longest"), [_longest(folder, Path(str(source)), python)]) as members:
        longest = {member.database: member.first_pass for member in members}
    return section(measured, longest, begun)


def _emptied(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _longest(folder: Path, source: Path, python: Path) -> Store:
    """Make a store whose only experiment has as many jobs as are mirrored."""
    home = _emptied(folder / "longest-home")
    made = make_store(home, ["a000"])
    words = (str(source), made.list_lone_files("a000")[0], str(LONGEST_JOBS))
    subprocess.run([str(python), "-c", MULTIPLY, *words], check=True)
    return Store(home, "a000", LONGEST_JOBS)


def changing(member: Member, python: Path, expids: list[str], *, rounds: int) -> Changing:
    """Change these lists, of which the last is the small one; the first changes of each are not counted."""
    store = locate(member.store.home)
    with ExitStack() as stack, _database(member) as ask:
        lists = [_list(store, expid, ask, is_large=expid != expids[-1]) for expid in expids]
        for each in lists:
            stack.enter_context(_kept(each))
            stack.enter_context(running(store.lock_file(each.expid)))
        _copy(python, lists)
        member.portal.start("mirror")
        stack.callback(member.portal.stop, "mirror")
        mirror, (gateway,) = member.portal.processes["mirror"].pid, member.portal.find_gateways()
        parts = {"agent and gateway": gateway, "mirror": mirror, "the load": os.getpid()}
        with Usage(parts) as usage:
            _go_round(lists, ask, rounds, member)
        megabytes = sum(held(mirror, "VmHWM") + held(gateway, "VmHWM"))
    large = [second for each in lists if each.is_large for second in each.seconds[WARM_UP:]]
    return Changing(len(expids) - 1, large, lists[-1].seconds[WARM_UP:], megabytes, usage.cores)


def section(measured: dict[str, Changing], longest: dict[str, FirstPass], begun: str) -> Section:
    """Write what was measured by database; `begun` says when and beside what."""
    verdicts = [verdict for name, it in measured.items() for verdict in judge(name, it)]
    verdicts += [verdict for name, it in longest.items() for verdict in _verdicts_of_longest(name, it)]
    counts = (f"{len(it.large)} large and {len(it.small)} small ({name})" for name, it in measured.items())
    text = TEXT.format(
        context=begun,
        figures=table("from a change to the answer", verdicts),
        counts=", ".join(counts),
        experiments=PLAN.experiments,
        lists=len(PLAN.big),
        jobs=PLAN.big[0],
        every=EVERY_SECONDS,
        small=SMALL_EVERY_SECONDS,
    )
    return Section("The mirror while many lists change", text)


def judge(database: str, it: Changing) -> list[Verdict]:
    """Compare what was measured with the targets."""
    return [
        at_most("large list, p50 s", database, P50_SECONDS, percentile(it.large, 50)),
        at_most("large list, p95 s", database, P95_SECONDS, percentile(it.large, 95)),
        untargeted("large list, slowest s", database, max(it.large)),
        untargeted("small list, p50 s", database, percentile(it.small, 50)),
        at_most("small list, p95 s", database, SMALL_P95_SECONDS, percentile(it.small, 95)),
        untargeted("memory, MB", database, it.megabytes),
        *(untargeted(f"cores, {name}", database, cores) for name, cores in it.cores.items()),
    ]


def _verdicts_of_longest(database: str, it: FirstPass) -> list[Verdict]:
    what = f"the longest list, {it.jobs:,} jobs"
    return [
        untargeted(f"{what}, first pass s", database, it.seconds),
        at_most(f"{what}, memory MB", database, LONGEST_MEGABYTES, it.megabytes),
    ]


def _go_round(lists: list[List], ask: "Ask", rounds: int, member: Member) -> None:
    """Change the lists when they are due, each at least once, until all changes are seen."""
    began = time.monotonic()
    for each in lists:
        each.due = began + random.uniform(0, each.every)
    keys = {each.pk: each for each in lists}
    query = f"SELECT id, status FROM jobs_job WHERE id IN ({', '.join(map(str, keys))})"
    until = began + rounds * EVERY_SECONDS
    while time.monotonic() < until or any(each.changed_at or not each.seconds for each in lists):
        for each in lists:
            is_due = each.changed_at is None and each.due <= time.monotonic()
            if is_due and (time.monotonic() < until or not each.seconds):
                each.change()
        for pk, status in ask(query):
            keys[pk].see(status, member.server)
        time.sleep(LOOK_SECONDS)


Ask = Callable[[str], list[tuple[int, str]]]


def _list(store: autosubmit_store.Store, expid: str, ask: Ask, *, is_large: bool) -> List:
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
        (shutil.copy2(file, file.with_name(f"bench-kept-{file.name}")), file) for file in (each.job_list, each.history)
    ]
    try:
        yield
    finally:
        for copy, file in kept:
            Path(copy).replace(file)
        for variant in each.variants.values():
            variant.unlink(missing_ok=True)


def _copy(python: Path, lists: list[List]) -> None:
    orders = [
        (str(each.job_list), each.job, {str(path): STATUSES[status] for status, path in each.variants.items()})
        for each in lists
    ]
    subprocess.run([str(python), "-c", COPY], input=json.dumps(orders), text=True, check=True)
