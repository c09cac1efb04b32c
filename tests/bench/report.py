"""The report of `make bench`."""

import os
import platform
import subprocess
from pathlib import Path

import django
import django_q
import redis

from tests.bench.measure import IDLE_SECONDS, Result
from tests.postgres import binaries

TEXT = """# Performance

What `make bench` measured; it writes this page. Read the figures as orders of magnitude: they are of one machine.

## From request to command

| broker | looks every | p50 ms | p95 ms | max ms | idle CPU % | stops in s | load |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

- **Broker**: where messages to workers wait. The database by default, here SQLite or PostgreSQL; Redis with
  `PORTAL_BROKER_URL`, beside a PostgreSQL.
- **Looks every**: `PORTAL_POLL_SECONDS`, how often an idle worker looks into the database. {poll} s is the default:
  half of it is what an action waits for that on average. A worker waits at Redis without looking.
- **p50, p95, max**: from `requested_at` of an action, which is before its transaction commits, to the first line of
  its command: commit, message, claim, a fresh look at the store, the run directory, the start. {actions} actions in
  each row, `POST ?action=generate` over HTTP, one after the other at random moments on an idle worker.
- **Idle CPU**: of one core, over {idle:.0f} s in which nothing happens: the worker's processes, + those of the
  PostgreSQL server.
- **Stops in**: from SIGTERM to the end of `manage.py qcluster` while it looks at a command that takes two minutes. The
  command goes on, and the next worker looks.
- **Load**: the load average of the machine when the row was begun, other work and our own preparations included.

Web, worker and mirror are real processes with real connections; PostgreSQL and Redis are on the same machine, without
`fsync`. The store was made by the real Autosubmit, but the `autosubmit` that the actions start is a stand-in that notes
the time: the real one needs about 3 s to import itself before it does anything, with or without a portal.

## The machine

{machine}
"""


def report(results: list[Result], actions: int) -> str:
    """Return the page."""
    rows = "\n".join(result.line for result in results)
    return TEXT.format(
        rows=rows, actions=actions, idle=IDLE_SECONDS, poll=f"{results[0].case.poll:g}", machine=_machine()
    )


def _machine() -> str:
    facts = {
        "Cores": f"{os.cpu_count()}, {_processor()}, shared with other work",
        "System": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "Django, django-q2": f"{django.get_version()}, {'.'.join(map(str, django_q.VERSION))}",
        "SQLite": _sqlite(),
        "PostgreSQL": _said(str(binaries() / "postgres"), "--version").split()[2],
        "Redis": f"{_said('redis-server', '--version').split()[2].removeprefix('v=')}, client {redis.__version__}",
    }
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {fact} |" for name, fact in facts.items())])


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )


def _sqlite() -> str:
    import sqlite3

    return sqlite3.sqlite_version


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
