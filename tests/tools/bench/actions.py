"""How long an action waits for its command to start, with each broker.

Real processes, a real store and real requests over HTTP. Only the site's `autosubmit` is a stand-in that notes when
it was started: the real one needs 3 s to import itself, with or without a portal.
"""

import os
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from autosubmit_portal.management.demo import Autosubmit
from tests.support import postgres, redis_server
from tests.support.services import UNBOUNDED, ForkedAutosubmit, Portal, collected_static_files
from tests.support.waiting import wait_for
from tests.support.workflows import KINDS
from tests.tools.bench.page import Section

IDLE_SECONDS = 20.0
WARM_UP = 5
TICKS = os.sysconf("SC_CLK_TCK")
STAND_IN = """#!/bin/sh
[ "$1" = --version ] && { echo 4.1.17.1; exit; }
date +%s.%N >"$HOME/${PWD##*/}.new" && mv "$HOME/${PWD##*/}.new" "$HOME/${PWD##*/}"
[ ! -e "$HOME/slow" ] || sleep 120
"""
TEXT = """| broker | looks every | p50 ms | p95 ms | max ms | idle CPU % | stops in s | load |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

- **Broker**: where messages to workers wait: the database, or Redis beside PostgreSQL (`PORTAL_BROKER_URL`).
- **Looks every**: `PORTAL_POLL_SECONDS`, {poll:g} s by default; an action waits half of it on average.
- **p50, p95, max**: from `requested_at` to the first line of the command, of {actions} actions one after the other
  at random moments on an idle worker.
- **Idle CPU**: of one core, over {idle:.0f} s: the processes of the worker, + those of PostgreSQL.
- **Stops in**: from SIGTERM to the end of `manage.py qcluster` while a command goes on.
- **Load**: the load average when the row was begun.

Processes and connections are real; PostgreSQL and Redis are on the same machine, without `fsync`. `autosubmit` is a
stand-in that notes the time: the real one needs about 3 s to import itself.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Where messages wait and where the rows are; `poll` is how often an idle worker looks, in seconds."""

    broker: str
    database: str
    poll: float = 0.05

    @property
    def title(self) -> str:
        """What the report calls it."""
        return f"Redis, {self.database}" if self.broker == "Redis" else self.database


CASES = (
    Case("database", "SQLite"),
    Case("database", "PostgreSQL"),
    Case("Redis", "PostgreSQL"),
    Case("database", "PostgreSQL", poll=0.1),
    Case("database", "PostgreSQL", poll=0.2),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured: waits in ms, CPU in % of one core, the drain in seconds; `load` is that of the machine."""

    case: Case
    load: float
    waits: list[float]
    worker_cpu: float
    server_cpu: float
    drain: float

    @property
    def p50(self) -> float:
        """The wait of half of the actions."""
        return statistics.median(self.waits)

    @property
    def p95(self) -> float:
        """The wait of 19 of 20 actions."""
        return statistics.quantiles(self.waits, n=20)[-1]

    @property
    def line(self) -> str:
        """The result as a row of a table."""
        poll = "waits" if self.case.broker == "Redis" else f"{self.case.poll:g} s"
        figures = f"{self.p50:.0f} | {self.p95:.0f} | {max(self.waits):.0f}"
        cpu = f"{self.worker_cpu:.1f} + {self.server_cpu:.1f}" if self.server_cpu >= 0 else f"{self.worker_cpu:.1f}"
        return f"| {self.case.title} | {poll} | {figures} | {cpu} | {self.drain:.1f} | {self.load:.1f} |"


def run(folder: Path, program: Path, actions: int = 60, cases: tuple[Case, ...] = CASES) -> Section:
    """Measure every case on one store; `program` is the real Autosubmit, to make the store with."""
    autosubmit = ForkedAutosubmit(program, folder / "autosubmit-home")
    autosubmit.prepare()
    expid = KINDS["small"]().make(autosubmit)
    stand_in = folder / "autosubmit"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    rows = []
    for number, case in enumerate(cases):
        with _portal(case, folder / f"portal-{number}", Autosubmit(stand_in, autosubmit.home)) as portal:
            rows.append(measure(case, portal, expid, actions).line)
            print(rows[-1], flush=True)
    text = TEXT.format(rows="\n".join(rows), actions=actions, idle=IDLE_SECONDS, poll=CASES[0].poll)
    return Section("From request to command", text)


@contextmanager
def _portal(case: Case, home: Path, autosubmit: Autosubmit) -> Iterator[Portal]:
    """Give a running portal of the case, with a worker of two processes."""
    with ExitStack() as stack:
        variables = UNBOUNDED | {"PORTAL_POLL_SECONDS": str(case.poll)}
        made = Portal(home=home, autosubmit=autosubmit, variables=variables)
        if case.database == "PostgreSQL":
            made.database_url = stack.enter_context(postgres.server()).create_database()
        if case.broker == "Redis":
            made.variables["PORTAL_BROKER_URL"] = stack.enter_context(redis_server.server()).url
        stack.callback(made.tear_down)
        home.mkdir()
        (home / "static").symlink_to(collected_static_files())
        made.set_up()
        made.start()
        yield made


def measure(case: Case, portal: Portal, expid: str, actions: int) -> Result:
    """Time actions one after the other on an idle worker, then what it costs idle, then how long it takes to stop."""
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}/jobs?view=quick").body.get("jobs"))
    load = os.getloadavg()[0]
    waits = [_wait(portal, expid) for _ in range(WARM_UP + actions)][WARM_UP:]
    server = find_server(portal) if case.database == "PostgreSQL" else 0
    drain = _drain(portal, expid)
    portal.stop("web", "mirror")
    portal.start("worker")
    time.sleep(5)
    worker_cpu, server_cpu = _idle_cpu(portal.processes["worker"].pid, server)
    return Result(case, load, waits, worker_cpu, server_cpu if server else -1.0, drain)


def _wait(portal: Portal, expid: str) -> float:
    """Request an action on an idle worker at a random moment; return the ms until its command started."""
    time.sleep(random.uniform(0.1, 0.5))
    action = _request(portal, expid)
    started = wait_for(lambda: _started(portal, action))
    wait_for(lambda: portal.http.get(action["url"]).body["ended_at"])
    return (started - datetime.fromisoformat(action["requested_at"]).timestamp()) * 1000


def _request(portal: Portal, expid: str) -> Any:
    answer = portal.http.post(f"/v4/experiments/{expid}?action=generate")
    assert answer.status == 202, answer.body
    return answer.body


def _started(portal: Portal, action: Any) -> float:
    file = portal.autosubmit.home / portal.find_directory(action["id"]).name
    return float(file.read_text()) if file.exists() else 0.0


def _drain(portal: Portal, expid: str) -> float:
    """Return how long SIGTERM takes while the worker looks at a command that takes two minutes."""
    slow = portal.autosubmit.home / "slow"
    slow.touch()
    try:
        action = _request(portal, expid)
        wait_for(lambda: _started(portal, action))
        before = time.monotonic()
        portal.stop("worker")
        return time.monotonic() - before
    finally:
        slow.unlink()


def _idle_cpu(worker: int, server: int) -> tuple[float, float]:
    """Return what the processes of the worker and those of the database server use while nothing happens."""
    before = _used(_session(worker)), _used(_family(server))
    time.sleep(IDLE_SECONDS)
    after = _used(_session(worker)), _used(_family(server))
    of_worker, of_server = (now - then for then, now in zip(before, after, strict=True))
    return 100 * of_worker / TICKS / IDLE_SECONDS, 100 * of_server / TICKS / IDLE_SECONDS


def find_server(portal: Portal) -> int:
    """Return the process id of the private PostgreSQL server of a portal."""
    folder = Path(portal.database_url.partition("host=")[2])
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


def _session(leader: int) -> list[list[str]]:
    return [fields for fields in _processes() if int(fields[3]) == leader]


def _family(parent: int) -> list[list[str]]:
    return [fields for fields in _processes() if str(parent) in (fields[1], fields[-1])] if parent else []


def _used(processes: list[list[str]]) -> int:
    """Return the ticks that processes and their ended children have used."""
    return sum(int(ticks) for fields in processes for ticks in fields[11:15])


def _processes() -> list[list[str]]:
    """Return the fields of /proc/<pid>/stat after the name, of every process, with its pid at the end."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit():
                found.append([*(folder / "stat").read_text().rpartition(")")[2].split(), folder.name])
        except OSError:
            continue  # it ended meanwhile
    return found
