"""How many actions a minute one, two and four hosts of a portal do, at two sites.

All are namespaces on this machine, with one PostgreSQL and one Redis. The `autosubmit` of the sites is a stand-in that
does nothing: the real one needs seconds of a processor for each command, which would hide what the portal needs.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from autosubmit_portal.management.demo import Autosubmit
from tests.support import postgres, redis_server
from tests.support.namespace_host import namespace_host
from tests.support.portal_hosts import PortalHost, Shared, portal_host, site_door
from tests.support.services import UNBOUNDED, kill_processes_of
from tests.support.stand_in import StandIn
from tests.support.waiting import wait_for
from tests.tools.bench.actions import find_server
from tests.tools.bench.page import Section, context
from tests.tools.bench.usage import TICKS, read_seconds

SITES = ("local", "north")
COUNTS = (1, 2, 4)
EXPERIMENTS = 30
ROUNDS = 3
NOTHING = """#!/bin/sh
[ "$1" = --version ] && echo 4.1.17.1
exit 0
"""
SECOND_SITE = """
import os
from experiments.models import Site
Site.objects.update(most_commands=16)
site = Site.objects.get()
site.pk, site.slug, site.is_default, site.home = None, "north", False, os.environ["NORTH"]
site.save()
"""
TEXT = """{context} {cores} cores do all of this together: who asks, portal, gateways, agents, commands, servers.

| portal hosts | actions a minute | slowest round | processors busy | PostgreSQL | Load |
| --- | --- | --- | --- | --- | --- |
{rows}

Each host has PIDs, a network and a name of its own, with web, worker, mirror and gateway; the two sites are hosts too.
{actions} actions (`generate`) on as many experiments are asked for in one request, {rounds} times; a round lasts until
the last has ended. `autosubmit` is a stand-in that does nothing. **Processors busy** is of all that the machine has,
other work included, **PostgreSQL** its part of one core. {verdict}
"""
BOUND = "The processors are the limit here and not the database: with so few cores more hosts add no processor."
FREE = "The processors are not the limit here."


@dataclass(frozen=True, slots=True)
class Round:
    """How many actions were done in how many seconds, and the seconds of processors that were used meanwhile."""

    actions: int
    seconds: float
    busy: float
    of_server: float

    @property
    def per_minute(self) -> float:
        return 60 * self.actions / self.seconds


def run(folder: Path, _program: Path, counts: Sequence[int] = COUNTS, experiments: int = EXPERIMENTS) -> Section:
    """Measure with each number of hosts."""
    began, rows, shares = context(), [], list[float]()
    for count in counts:
        load = os.getloadavg()[0]
        with _portal(folder / f"hosts-{count}", count, experiments) as hosts:
            rounds = [_do_round(hosts[0], experiments) for _ in range(ROUNDS)]
        rows.append(_make_row(count, rounds, load))
        shares += [done.busy / done.seconds / _count_cores() for done in rounds]
        print(rows[-1], flush=True)
    verdict = BOUND if max(shares) > 0.9 else FREE
    actions = len(SITES) * experiments
    text = TEXT.format(
        context=began, cores=_count_cores(), rows="\n".join(rows), actions=actions, rounds=ROUNDS, verdict=verdict
    )
    return Section("Several hosts", text)


def _make_row(count: int, rounds: Sequence[Round], load: float) -> str:
    seconds = sum(done.seconds for done in rounds)
    per_minute = 60 * sum(done.actions for done in rounds) / seconds
    busy = 100 * sum(done.busy for done in rounds) / seconds / _count_cores()
    server = 100 * sum(done.of_server for done in rounds) / seconds
    slowest = min(done.per_minute for done in rounds)
    return f"| {count} | {per_minute:.0f} | {slowest:.0f} | {busy:.0f} % | {server:.0f} % | {load:.1f} |"


@contextmanager
def _portal(folder: Path, count: int, experiments: int) -> Iterator[list[PortalHost]]:
    """Give the hosts of a portal that knows two sites."""
    folder.mkdir()
    with ExitStack() as stack:
        sites = _make_sites(folder, experiments, stack)
        doors = {
            name: stack.enter_context(
                site_door(stack.enter_context(namespace_host(name)), site, folder / f"door-{name}")
            )
            for name, site in sites.items()
        }
        database = stack.enter_context(postgres.server()).create_database()
        shared = Shared(database, stack.enter_context(redis_server.server()).url, doors)
        hosts = [
            stack.enter_context(portal_host(name, folder / name, sites["local"], shared, **UNBOUNDED))
            for name in (f"portal{number}" for number in range(1, count + 1))
        ]
        hosts[0].set_up()
        hosts[0].manage("shell", "--no-imports", "-c", SECOND_SITE, NORTH=str(sites["north"].home))
        for host in hosts[1:]:
            host.join(hosts[0])
        for host in hosts:
            host.start()
        wait_for(lambda: _count_mirrored(hosts[0]) == len(SITES) * experiments)
        yield hosts


def _make_sites(folder: Path, experiments: int, stack: ExitStack) -> dict[str, Autosubmit]:
    """Make a store for each site, with experiments, and an Autosubmit that does nothing."""
    program = folder / "autosubmit"
    program.write_text(NOTHING)
    program.chmod(0o755)
    made = {}
    for name in SITES:
        (folder / name).mkdir()
        stand_in = StandIn.install(folder / name)
        for _ in range(experiments):
            stand_in.make_experiment()
        stack.callback(kill_processes_of, stand_in.home)
        made[name] = Autosubmit(program, stand_in.home)
    return made


def _list_experiments(host: PortalHost) -> list[Any]:
    found: list[Any] = host.http.get("/v4/experiments?page_size=500&fields=expid,site,total").body["experiments"]
    return found


def _count_mirrored(host: PortalHost) -> int:
    return sum(bool(row["total"]) for row in _list_experiments(host))


def _do_round(host: PortalHost, experiments: int) -> Round:
    """Ask for one action on each experiment, and wait until the last has ended."""
    server, targets = (
        find_server(host),
        [{"expid": row["expid"], "site": row["site"]} for row in _list_experiments(host)],
    )
    busy, of_server, began = _read_busy(), read_seconds(server), time.time()
    answer = host.http.post("/v4/actions", {"kind": "generate", "targets": targets, "reason": "bench"})
    assert answer.status == 202, answer.body
    ids = {result["action"]["id"] for result in answer.body["results"]}
    assert len(ids) == len(SITES) * experiments, json.dumps(answer.body)[:2000]
    ended = wait_for(lambda: _list_ends(host, ids), is_enough=lambda ends: len(ends) == len(ids))
    return Round(len(ids), max(ended) - began, _read_busy() - busy, read_seconds(server) - of_server)


def _list_ends(host: PortalHost, ids: set[int]) -> list[float]:
    rows = host.http.get(f"/v4/actions?page_size={len(ids)}").body["results"]
    ends = [datetime.fromisoformat(row["ended_at"]).timestamp() for row in rows if row["id"] in ids and row["ended_at"]]
    assert all(row["state"] not in ("failed", "lost") for row in rows)
    return ends


def _read_busy() -> float:
    """Return the seconds that all processors of this machine have worked."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9])
    return (user + nice + system + irq + softirq) / TICKS


def _count_cores() -> int:
    return os.cpu_count() or 1
