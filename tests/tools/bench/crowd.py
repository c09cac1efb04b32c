"""What others notice, and what it costs, while many look on, wait, follow, send slowly and do not read."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.tools.bench import page
from tests.tools.bench.crowd_clients import AGAIN_SECONDS, TAB_SECONDS, Crowd
from tests.tools.bench.filled import Filled, filled
from tests.tools.bench.judgement import at_most, figure, table, untargeted
from tests.tools.bench.load import Connection, Sample, Server
from tests.tools.bench.memory import family
from tests.tools.bench.page import Section

TABS, WAITS, FOLLOWERS, HEADS, READERS = 200, 50, 30, 50, 20
ACCOUNTS = 16
SECONDS = 30.0
ASK_SECONDS = 0.2
MOST_P95, MOST_HEALTH, MOST_CORES = 100.0, 500.0, 0.6
TICKS = os.sysconf("SC_CLK_TCK")
SHORT_LOG, LONG_LOG = "20261125_100000_run.log", "20261125_110000_create.log"
TEXT = """{context}

{figures}

- **Crowd**, for {seconds:g} s: {tabs} open tabs of the console, of {accounts} accounts, each on an experiment,
  asking every {tab:g} s whether anything has changed (answered {ticks}); {waits} requests with `Prefer: wait=60`,
  which heed `Retry-After`; {followers} followed logs; {heads} unfinished heads; {readers} clients that ask for a
  log of 200 MB and do not read.
- **Others**: one client asks for an experiment and `/healthz` every {ask:g} s.
- **Cores**: processor time of two web processes of twelve threads, on SQLite. The crowd took {clients} of a core.
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What others got, what the portal and the crowd took of a core, and what tabs were answered, by status."""

    experiment: Sample
    health: Sample
    cores: float
    clients: float
    ticks: dict[str, int]


def run(folder: Path, program: Path, *, seconds: float = SECONDS) -> Section:
    """Measure on SQLite; `program` is the real Autosubmit."""
    context = page.context()
    fill = "tests.tools.bench.fill_crowd"
    with filled(folder, program, fill, TABS, ACCOUNTS, TABS, databases=["SQLite"]) as (one,):
        found = _measured(one, folder / "autosubmit-home" / "autosubmit", seconds)
    verdicts = [
        untargeted("experiment, p50 ms", "SQLite", found.experiment.p50),
        at_most("experiment, p95 ms", "SQLite", MOST_P95, found.experiment.p95),
        at_most("`/healthz`, slowest ms", "SQLite", MOST_HEALTH, max(found.health.milliseconds)),
        at_most("cores", "SQLite", MOST_CORES, found.cores),
    ]
    text = TEXT.format(
        context=context,
        figures=table("beside a crowd", verdicts),
        tabs=TABS,
        accounts=ACCOUNTS,
        tab=TAB_SECONDS,
        waits=WAITS,
        followers=FOLLOWERS,
        heads=HEADS,
        readers=READERS,
        seconds=seconds,
        ticks=", ".join(f"{count:,} times {status}" for status, count in sorted(found.ticks.items())),
        ask=ASK_SECONDS,
        clients=figure(found.clients),
    )
    return Section("Load", text)


def _measured(one: Filled, store: Path, seconds: float) -> Measured:
    expids, tokens = one.facts["expids"], one.facts["tokens"]
    _write_logs(store / expids[0] / "tmp" / "ASLOGS")
    with _crowd(one) as clients:
        time.sleep(AGAIN_SECONDS)
        began, used = time.monotonic(), _processor(one)
        experiment, health = _others(one, f"/v4/experiments/{expids[-1]}", tokens[0], seconds)
        lasted = time.monotonic() - began
        cores = (_processor(one) - used) / lasted
        told = json.loads(clients.communicate("\n")[0])
    return Measured(experiment, health, cores, told["seconds"] / (lasted + AGAIN_SECONDS), told["ticks"])


@contextmanager
def _crowd(one: Filled) -> Iterator["subprocess.Popen[str]"]:
    """Let the crowd begin, in a process of its own."""
    facts, sizes = one.facts, {"waits": WAITS, "followers": FOLLOWERS, "heads": HEADS, "readers": READERS}
    crowd = Crowd(
        url=one.portal.url,
        sessions=facts["sessions"],
        tokens=facts["tokens"],
        expids=facts["expids"],
        short_log=SHORT_LOG,
        long_log=LONG_LOG,
        **sizes,
    )
    command = [sys.executable, "-m", "tests.tools.bench.crowd_clients"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdin
        assert clients.stdout
        clients.stdin.write(f"{json.dumps(asdict(crowd))}\n")
        clients.stdin.flush()
        assert clients.stdout.readline() == "begun\n"
        try:
            yield clients
        finally:
            clients.kill()


def _write_logs(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SHORT_LOG).write_text("begun\n")
    os.utime(folder / SHORT_LOG, (time.time() + 3600, time.time() + 3600))  # as if it were still written
    with (folder / LONG_LOG).open("wb") as file:
        file.truncate(200_000_000)


def _others(one: Filled, path: str, token: str, seconds: float) -> tuple[Sample, Sample]:
    connection = Connection(Server(one.database, one.portal.url, token))
    experiment, health = Sample(), Sample()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for address, sample in ((path, experiment), ("/healthz", health)):
            began = time.perf_counter()
            status, _ = connection.ask(connection.request(address))
            sample.milliseconds.append((time.perf_counter() - began) * 1000)
            sample.statuses[status] += 1
        time.sleep(ASK_SECONDS)
    connection.close()
    assert set(experiment.statuses) == {200}, experiment.failure
    return experiment, health


def _processor(one: Filled) -> float:
    """Return the seconds of processor that the web processes have used."""
    pids = family(one.portal.processes["web"].pid)
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(field[11]) + int(field[12]) for field in fields) / TICKS
