"""How soon short actions of the real Autosubmit have their effect, from the HTTP call, by both procedures."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from operator import gt
from pathlib import Path
from typing import Any

from tests.support.services import UNBOUNDED, Answer, ForkedAutosubmit, Portal
from tests.support.waiting import PATIENCE, wait_for
from tests.support.workflows import KINDS
from tests.tools.bench.judgement import Verdict, at_least, at_most, untargeted

ROUNDS = 8
MOST_SECONDS, LEAST_TIMES = 0.6, 5.0
LOOK_SECONDS = 0.01
COLUMN = "result"
CHOOSE_PACKAGE = """
from experiments.models import Site
Site.objects.update(package_kinds=["set_status", "create"])
"""


def measure(folder: Path, program: Path, rounds: int = ROUNDS) -> list[Verdict]:
    """Make a portal, and do each action by each procedure; `program` is the real Autosubmit."""
    home = ForkedAutosubmit(program, folder / "home")
    home.prepare()
    expid = KINDS["small"]().make(home)
    portal = Portal(home=folder / "portal", autosubmit=home, variables=dict(UNBOUNDED))
    portal.home.mkdir()
    portal.set_up()
    try:
        portal.start()
        wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}/jobs?view=quick").body.get("jobs"))
        return _compare(portal, expid, rounds)
    finally:
        portal.tear_down()


def _compare(portal: Portal, expid: str, rounds: int) -> list[Verdict]:
    statuses = cycle(("SUSPENDED", "READY"))
    deeds: dict[str, Callable[[], float]] = {
        "set status of one job": lambda: _set_status(portal, expid, next(statuses)),
        "create experiment": lambda: _create(portal),
    }
    commands = {what: statistics.median(do() for _ in range(rounds)) for what, do in deeds.items()}
    portal.manage("shell", "--no-imports", "-c", CHOOSE_PACKAGE)
    verdicts = []
    for what, do in deeds.items():
        wait_for(do, is_enough=partial(gt, commands[what] / 2))  # until Autosubmit has been imported
        verdicts += _judge(what, commands[what], statistics.median(do() for _ in range(rounds)))
    return verdicts


def _judge(what: str, command: float, package: float) -> list[Verdict]:
    return [
        untargeted(f"{what}, HTTP call to effect, command, p50 s", COLUMN, command),
        at_most(f"{what}, HTTP call to effect, package, p50 s", COLUMN, MOST_SECONDS, package),
        at_least(f"{what}, command ÷ package", COLUMN, LEAST_TIMES, command / package),
    ]


def _set_status(portal: Portal, expid: str, status: str) -> float:
    """Give a job another status; return the seconds until the API answers with it."""
    job, began = f"{expid}_SETUP", time.monotonic()
    path = f"/v4/experiments/{expid}/jobs/{job}"
    action = _take(portal.http.patch(f"{path}?status={status}"))
    _await(lambda: portal.http.get(path).body["status"] == status)
    seconds = time.monotonic() - began
    wait_for(lambda: portal.http.get(action["url"]).body["ended_at"])
    return seconds


def _create(portal: Portal) -> float:
    """Create an experiment; return the seconds until the API tells which."""
    began = time.monotonic()
    action = _take(portal.http.post("/v4/experiments", {"description": "Made", "hpc": "LOCAL", "dummy": True}))
    _await(lambda: portal.http.get(action["url"]).body["ended_at"])
    seconds = time.monotonic() - began
    assert portal.http.get(action["url"]).body["state"] == "succeeded"
    return seconds


def _await(look: Callable[[], object]) -> None:
    """Look again and again, more often than who only waits."""
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline
        time.sleep(LOOK_SECONDS)


def _take(answer: Answer) -> Any:
    assert answer.status == 202, answer.body
    return answer.body
