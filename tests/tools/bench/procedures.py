"""How long short commands of the real Autosubmit take at an agent by both procedures; what a warm process holds."""

import re
import statistics
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.agent.agents import Channel, agent
from tests.support.services import ForkedAutosubmit
from tests.support.waiting import wait_for
from tests.support.workflows import KINDS
from tests.tools.bench.memory import family
from tests.tools.bench.page import Section, context

ROUNDS = 10
MOST_SECONDS, LEAST_TIMES = 0.6, 5
TEXT = """{context}

| | command s | package s | target |
| --- | --- | --- | --- |
{rows}

- **Command, package**: from the request to an agent to its answer that the command has ended, p50–p95 of {rounds} of
  each by turns, on an experiment of {jobs} jobs.
- **Target**: p50 of a package at most {most:g} s, and {least:g} times sooner than that of a command.
- A warm process holds {pss:.0f} MB (PSS). It is warm {warm:.1f} s after the first command.
"""
Words = Iterator[list[str]]


def run(folder: Path, program: Path, rounds: int = ROUNDS) -> Section:
    """Measure commands that are short, and are done often."""
    measured = context()
    home = ForkedAutosubmit(program, folder / "home")
    home.prepare()
    expid = KINDS["small"]().make(home)
    commands: dict[str, Words] = {
        "set status of one job": cycle(
            ["setstatus", "--save", "--noplot", expid, f"--status_final={status}", f"--list={expid}_SETUP"]
            for status in ("SUSPENDED", "READY")
        ),
        "create experiment": cycle([["expid", "--description=made", "--HPC=local", "--dummy"]]),
        "generate": cycle([["create", "--noplot", expid]]),
    }
    site: dict[str, Any] = {
        "program": str(program),
        "kinds": {kind: ["setstatus", "expid", "create", "--version"] for kind in ("command", "package")},
        "procedures": {"package": "package"},
        "profiles": {"usual": home.environment},
    }
    with agent(folder, **site) as channel:
        warm = _warm_up(channel)
        rows = [_measure(channel, name, words, rounds) for name, words in commands.items()]
        pss = _read_pss(channel)
    text = TEXT.format(
        context=measured,
        rows="\n".join(rows),
        rounds=rounds,
        jobs=4,
        most=MOST_SECONDS,
        least=LEAST_TIMES,
        pss=pss,
        warm=warm,
    )
    return Section("Procedures", text)


def _warm_up(channel: Channel) -> float:
    """Have a process warmed; return the seconds that it took."""
    began = time.perf_counter()
    _do(channel, "package", ["--version"])
    wait_for(lambda: _do(channel, "package", ["--version"]) < 0.5)
    return time.perf_counter() - began


def _measure(channel: Channel, name: str, words: Words, rounds: int) -> str:
    """Return the row of a command."""
    taken: dict[str, list[float]] = {"command": [], "package": []}
    for _ in range(rounds):
        for kind, seconds in taken.items():
            seconds.append(_do(channel, kind, next(words)))
    alone, handed = (statistics.median(seconds) for seconds in taken.values())
    cells = [
        f"{statistics.median(seconds):.2f}–{statistics.quantiles(seconds, n=20)[-1]:.2f}" for seconds in taken.values()
    ]
    times = alone / handed
    verdict = "reached" if handed <= MOST_SECONDS and times >= LEAST_TIMES else "**missed**"
    row = f"| {name} | {cells[0]} | {cells[1]}, {times:.1f}× | {verdict} |"
    print(row, flush=True)
    return row


def _do(channel: Channel, kind: str, words: list[str]) -> float:
    """Return the seconds until a command has ended."""
    key, began = str(uuid4()), time.perf_counter()
    channel.start(*words, kind=kind, key=key)
    look, printed = channel.follow(key)
    assert look["exit_status"] == 0, printed.decode("utf-8", "replace")
    return time.perf_counter() - began


def _read_pss(channel: Channel) -> float:
    """Return the MB of the warm process, in which pages that it shares count in parts."""
    names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in family(channel.process.pid)}
    warm = next(pid for pid, name in names.items() if name == "warm")  # before its children
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{warm}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024 / 1_000_000
