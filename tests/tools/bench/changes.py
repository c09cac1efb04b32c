"""How many requests that change something the portal takes, and how long one for many experiments takes.

Each of those adds to the trail, whose entries are chained one after the other. No worker runs: what is asked for is
taken back before one would begin.
"""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.tools.bench import page
from tests.tools.bench.filled import Filled, filled
from tests.tools.bench.judgement import Verdict, at_least, at_most, table, untargeted
from tests.tools.bench.load import TIMEOUT_SECONDS, Connection, Sample, Server
from tests.tools.bench.page import Section

CLIENTS = 16
EXPERIMENTS = 1_600
TARGETS = 200
SECONDS = 20.0
# Three times what was measured before entries were inserted together with their commit.
LEAST_PER_SECOND = {"SQLite": 60.0, "PostgreSQL": 168.0}
MOST_P95 = {"SQLite": 1300.0, "PostgreSQL": 446.0}
MOST_BULK_SECONDS = 2.0
TEXT = """{context}

{figures}

Each client has an account and a connection. For {seconds:g} s it reads an experiment, asks for an action on it,
reads the action and cancels it: half of the requests change something and add to the trail. **At once**: one `POST
/v4/actions`, the median of five. Clients, two web processes of twelve threads and the database share the cores.
"""


def run(folder: Path, program: Path, *, seconds: float = SECONDS, experiments: int = EXPERIMENTS) -> Section:
    """Measure both on each database; `program` is the real Autosubmit."""
    context = page.context()
    verdicts = list[Verdict]()
    with filled(folder, program, "tests.tools.bench.fill_changes", experiments, CLIENTS) as portals:
        for one in portals:
            sample = mixed(one, seconds)
            many = [bulk(one, min(TARGETS, experiments)) for _ in range(5)]
            verdicts += _verdicts(one.database, sample, sorted(many)[2])
            print(*verdicts[-6:], sep="\n", flush=True)
    text = TEXT.format(context=context, figures=table(f"{CLIENTS} clients", verdicts), seconds=seconds)
    return Section("Changes", text)


def mixed(one: Filled, seconds: float) -> Sample:
    """Let the clients read, ask, look and cancel for some seconds."""
    gate = threading.Barrier(CLIENTS, timeout=TIMEOUT_SECONDS)
    share = len(one.facts["expids"]) // CLIENTS

    def work(number: int) -> Sample:
        server = Server(one.database, one.portal.url, one.facts["tokens"][number])
        expids = one.facts["expids"][number * share : (number + 1) * share]
        return _client(server, expids, gate, seconds)

    together = Sample()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for sample in pool.map(work, range(CLIENTS)):
            together.add(sample)
    together.seconds /= CLIENTS
    return together


def _client(server: Server, expids: list[str], gate: threading.Barrier, seconds: float) -> Sample:
    sample, connection = Sample(), Connection(server)

    def ask(path: str, method: str = "GET", body: str = "") -> Any:
        began = time.perf_counter()
        status, answer = connection.ask(connection.request(path, method, body))
        sample.milliseconds.append((time.perf_counter() - began) * 1000)
        sample.statuses[status] += 1
        assert status in (200, 202), (method, path, status, answer[:500])
        return json.loads(answer)

    gate.wait()
    began, turn = time.perf_counter(), 0
    while not turn or time.perf_counter() < began + seconds:
        path = f"/v4/experiments/{expids[turn % len(expids)]}"
        ask(path)
        made = ask(f"{path}?action=generate", "POST", "{}")["id"]
        ask(f"/v4/actions/{made}")
        ask(f"/v4/actions/{made}/cancel", "POST", "{}")
        turn += 1
    sample.seconds = time.perf_counter() - began
    connection.close()
    return sample


def bulk(one: Filled, targets: int) -> tuple[float, float]:
    """Return the seconds that a request for many experiments takes, and those until all is taken back."""
    http = Connection(Server(one.database, one.portal.url, one.facts["tokens"][0]))
    wanted = [{"expid": expid} for expid in one.facts["expids"][:targets]]
    began = time.perf_counter()
    status, answer = http.ask(http.request("/v4/actions", "POST", json.dumps({"kind": "generate", "targets": wanted})))
    taken = time.perf_counter() - began
    results = json.loads(answer)["results"]
    assert status == 202, answer[:500]
    assert all(result["status"] == 202 for result in results), results[0]
    for result in results:
        status, answer = http.ask(http.request(f"/v4/actions/{result['action']['id']}/cancel", "POST", "{}"))
        assert status == 200, answer[:500]
    http.close()
    return taken, time.perf_counter() - began


def _verdicts(database: str, sample: Sample, many: tuple[float, float]) -> list[Verdict]:
    return [
        at_least("requests a second", database, LEAST_PER_SECOND[database], sample.per_second),
        untargeted("p50, ms", database, sample.p50),
        at_most("p95, ms", database, MOST_P95[database], sample.p95),
        untargeted("slowest, ms", database, max(sample.milliseconds)),
        at_most(f"{TARGETS} at once, s", database, MOST_BULK_SECONDS, many[0]),
        untargeted("… and cancelled, s", database, many[1]),
    ]
