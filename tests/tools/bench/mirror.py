"""What the mirror costs and how fresh it is."""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from experiments.autosubmit.store import Store, locate
from tests.support.lock_holders import running
from tests.support.waiting import wait_for
from tests.tools.bench.fleet import Member
from tests.tools.bench.load import Connection, Server, percentile
from tests.tools.bench.memory import held

# Autosubmit's numbers of two statuses that a job which waits takes by turns.
STATUSES = {"WAITING": 0, "READY": 1}
# Run by the Python of Autosubmit: the job list of 4.1 with another status of one job.
CHANGE = """
import pickle, sys
source, target, job, status = sys.argv[1:]
with open(source, "rb") as file:
    jobs = pickle.load(file)
jobs[job]["_status"] = jobs[job]["new_status"] = int(status)
with open(target, "wb") as file:
    pickle.dump(jobs, file, protocol=-1)
"""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Passes over a store in which nothing changed and the bare `stat` calls of its files; medians, in ms.

    `look` looks at every experiment; `usual` is a pass of a running mirror, which may look at some of them only.
    """

    files: int
    bare: float
    look: float
    usual: float

    @property
    def ratio(self) -> float:
        """How many times the bare calls a pass costs."""
        return self.look / self.bare


@dataclass(frozen=True, slots=True)
class Change:
    """Seconds from the write of a job list to the first answer that has the new status, and MB of the mirror then."""

    jobs: int
    seconds: list[float]
    megabytes: float

    @property
    def p50(self) -> float:
        """The median."""
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        """What 19 of 20 changes needed at most."""
        return percentile(self.seconds, 95)


def unchanged(member: Member, rounds: int) -> Unchanged:
    """Time passes over a store in which nothing changed; no mirror process of that portal may run meanwhile."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.tools.bench.unchanged", str(rounds)],
        cwd=settings.BASE_DIR,
        env=member.portal.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    medians = (1000 * statistics.median(told[name]) for name in ("bare", "passes", "usual"))
    return Unchanged(told["files"], *medians)


def change(member: Member, python: Path, repeats: int) -> Change:
    """Change one job of the biggest experiment while a run of it holds its lock, and wait until the API says so."""
    store, expid, portal = locate(member.store.home), member.store.big, member.portal
    job = _waiting_job(member)
    with running(store.lock_file(expid)), _variants(store, expid, job, python) as variants:
        portal.start("mirror")
        wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body["is_running"])
        seconds = []
        for number in range(repeats):
            time.sleep(random.uniform(0, 3))  # at any moment between two looks
            status = ("READY", "WAITING")[number % 2]
            began = _replace(variants[status], variants["list"])
            _wait_for_status(member.server, f"/v4/experiments/{expid}/jobs/{job}", status)
            seconds.append(time.perf_counter() - began)
        megabytes = sum(held(portal.processes["mirror"].pid, "VmHWM"))
        portal.stop("mirror")
    return Change(member.store.jobs, seconds, megabytes)


def _wait_for_status(server: Server, path: str, status: str) -> None:
    connection = Connection(server)
    request, wanted = connection.request(path), f'"status":"{status}"'.encode()
    wait_for(lambda: wanted in connection.ask(request)[1].replace(b" ", b""))
    connection.close()


def _waiting_job(member: Member) -> str:
    """Return the name of a job of the biggest experiment that waits."""
    body = member.portal.http.get(f"/v4/experiments/{member.store.big}/jobs?view=quick").body
    waiting = [job["name"] for job in body["jobs"] if job["status"] == "WAITING"]
    name: str = waiting[len(waiting) // 2]
    return name


@contextmanager
def _variants(store: Store, expid: str, job: str, python: Path) -> Iterator[dict[str, Path]]:
    """Give the job list, and copies of it in which one job has each of the statuses; put it back in the end."""
    job_list = Path(str(store.job_list(expid)))
    made = {status: job_list.with_name(f"bench-{status}.pkl") for status in STATUSES}
    kept = Path(shutil.copy2(job_list, job_list.with_name("bench-kept.pkl")))
    try:
        for status, file in made.items():
            words = (str(job_list), str(file), job, str(STATUSES[status]))
            subprocess.run([str(python), "-c", CHANGE, *words], check=True)
        yield made | {"list": job_list}
    finally:
        os.replace(kept, job_list)
        for file in made.values():
            file.unlink(missing_ok=True)


def _replace(variant: Path, job_list: Path) -> float:
    """Put a copy of the variant in the place of the job list, at once as Autosubmit does; return when."""
    copy = Path(shutil.copyfile(variant, job_list.with_name("bench-next.pkl")))
    began = time.perf_counter()
    os.replace(copy, job_list)
    return began
