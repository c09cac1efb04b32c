"""One ordeal: a fleet, clients that ask, faults, and afterwards the verdict."""

import json
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import PATIENCE, wait_for
from tests.tools.chaos import evidence, rows
from tests.tools.chaos.client import Client
from tests.tools.chaos.faults import Faults
from tests.tools.chaos.fleet import Fleet, Setup, fleet

CLIENTS = 3
PAUSE_SECONDS = (0.2, 1.2)
RING_SECONDS = 4.0


@dataclass(slots=True)
class Verdict:
    """What was done and what was found; `wrong` has what must not be, by figure."""

    title: str
    faults: Counter[str]
    figures: dict[str, int]
    settled_seconds: float
    wrong: dict[str, list[str]]
    kept: str = ""

    @property
    def is_clean(self) -> bool:
        return not any(self.wrong.values())


def ordeal(setup: Setup, *, seed: int, faults: int, experiments: int, in_haste: bool) -> Verdict:
    """Do so many faults to a fleet of its own, let it recover, and judge it."""
    with (
        tempfile.TemporaryDirectory(prefix="portal-chaos-", ignore_cleanup_errors=True) as folder,
        fleet(setup, Path(folder) / "home", in_haste=in_haste) as made,
    ):
        (made.store / "seed").write_text(str(seed))
        clients = _clients(made, seed, experiments)
        done = _injure(made, clients, random.Random(f"{seed} {setup.title} faults"), faults, in_haste)
        settled = _settle(made, in_haste)
        return _judge(setup, made, clients, done, settled)


def _clients(made: Fleet, seed: int, experiments: int) -> list[Client]:
    expids = [_experiment(made) for _ in range(experiments)]
    if made.site:
        made.site.own()
    wait_for(lambda: _mirrored(made) >= experiments)
    return [
        Client(made.portal.http, expids, random.Random(f"{seed} client {number}"), f"client-{number}")
        for number in range(CLIENTS)
    ]


def _experiment(made: Fleet) -> str:
    """Make an experiment as from a terminal."""
    text = made.portal.autosubmit.call("expid", "--description=chaos")
    expid = text.split("Experiment ")[1].split()[0]
    made.portal.autosubmit.call("create", "--noplot", expid)
    return expid


def _mirrored(made: Fleet) -> int:
    count = "SELECT count(*) AS number FROM experiments_experiment WHERE total_jobs > 0"
    return int(rows.query(made, count)[0]["number"])


def _injure(made: Fleet, clients: list[Client], dice: random.Random, faults: int, in_haste: bool) -> Faults:
    done = Faults(made, clients, dice, in_haste)
    for client in clients:
        client.start()
    while done.counts.total() < faults:
        done.do_one()
        time.sleep(dice.uniform(*PAUSE_SECONDS))
    for client in clients:
        client.stopping.set()
    done.undo()
    for client in clients:
        client.join()
    return done


def _settle(made: Fleet, in_haste: bool) -> float:
    """Wait until all actions have ended and their outputs are stored, or none has for as long as one may need.

    Return how long that was.
    """
    began = changed = rung = time.monotonic()
    before = ([0], [0])
    while (left := (evidence.active(made), evidence.unkept(made))) != ([], []):
        if left != before:
            changed, before = time.monotonic(), left
        if time.monotonic() - changed > PATIENCE:
            break
        if in_haste and time.monotonic() - rung > RING_SECONDS:
            made.deliver([("supervise", "portal")])
            rung = time.monotonic()
        time.sleep(0.5)
    return time.monotonic() - began


def _judge(setup: Setup, made: Fleet, clients: list[Client], done: Faults, settled: float) -> Verdict:
    found = evidence.gather(made, done.full_disk, done.rebooted, done.forgotten)
    asked = [request for client in clients for request in client.asked]
    figures = {
        "faults": done.counts.total(),
        "requests": len(asked),
        "requests without an answer": sum(client.errors for client in clients),
        "actions": len(found.actions),
        "commands started": len(found.started),
        "audit lines": len(found.entries),
    }
    states = Counter(action["state"] for action in found.actions.values())
    wrong = {
        "commands started twice": list(evidence.commands_started_twice(found)),
        "commands at once on one experiment": list(evidence.commands_at_once(found)),
        "expids given twice": list(evidence.experiments_doubled(made)),
        "runs lost": list(evidence.runs_lost(found)),
        "actions failed by silence": list(evidence.failed_by_silence(found)),
        "experiments called gone": list(evidence.called_gone(found)),
        "actions stuck": list(evidence.actions_stuck(found)),
        "audit lines missing or extra": list(evidence.audit_lines_wrong(found)),
        "chain of the trail broken": list(evidence.chain_broken(made)),
        "refusals not recorded": list(evidence.refusals_unrecorded(found, asked)),
        "answers that are not true": list(evidence.answers_wrong(found, asked)),
    }
    verdict = Verdict(setup.title, done.counts, figures | dict(states), settled, wrong)
    if not verdict.is_clean:
        verdict.kept = _keep(made, found)
    return verdict


def _keep(made: Fleet, found: evidence.Evidence) -> str:
    """Keep what tells why something is wrong, and return where: rows, logs, run directories."""
    folder = Path(tempfile.mkdtemp(prefix="portal-chaos-kept-"))
    rows = {"actions": list(found.actions.values()), "entries": found.entries}
    (folder / "rows.json").write_text(json.dumps(rows, indent=1))
    for file in (*made.portal.home.glob("*.log"), made.store / "ledger"):
        shutil.copy(file, folder)
    if made.site:
        shutil.copytree(
            made.site.folder, folder / "site", ignore=shutil.ignore_patterns("reading", "acting", "spool", "*.pyz")
        )
    shutil.copytree(made.spool, folder / "spool")
    return str(folder)
