"""Stores of small experiments in the form of Autosubmit 4.1, made without Autosubmit."""

import os
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

from experiments.autosubmit.store import Store, locate
from tests.support import fuzz, stores

TABLES = """
CREATE TABLE experiment (id INTEGER PRIMARY KEY, name, description TEXT, autosubmit_version TEXT);
CREATE TABLE details (exp_id INTEGER, user TEXT, created TEXT, model TEXT, branch TEXT, hpc TEXT);
"""
CONFIGURATION = (
    "[database]\npath={0}\n[local]\npath={0}\n[structures]\npath={0}/s\n[historicdb]\npath={0}/d\n"
    "[globallogs]\npath={0}/logs\n"
)
FAILED, WAITING, READY, SUBMITTED, RUNNING, COMPLETED = -1, 0, 1, 2, 4, 5


def make_store(home: Path, expids: Iterable[str]) -> Store:
    """Make a store with experiments that have one READY job each, and the rc file in `home` that leads to it."""
    root = home / "autosubmit"
    (home / ".autosubmitrc").write_text(CONFIGURATION.format(root))
    stores.make_database(root / "autosubmit.db", TABLES)
    for folder in ("s", "d"):
        (root / folder).mkdir()
    store = locate(home)
    for expid in expids:
        add_experiment(store, expid)
    return store


def add_experiment(store: Store, expid: str) -> None:
    """Add an experiment that has one READY job."""
    (store.root / expid / "tmp").mkdir(parents=True)
    write_pickle(store, expid, READY)
    fuzz.add_experiments(store.database, [expid])


def write_pickle(store: Store, expid: str, status: int, *more: int) -> None:
    """Write a job list with a job of each status (Autosubmit's number), `<expid>_0` and so on."""
    names = {f"{expid}_{number}": each for number, each in enumerate((status, *more))}
    write_jobs(store, expid, names)


def write_jobs(store: Store, expid: str, jobs: Mapping[str, int]) -> None:
    """Write a job list with jobs of these names and statuses, as Autosubmit does: over the file that is there."""
    file = Path(store.list_lone_files(expid)[0])
    file.parent.mkdir(exist_ok=True)
    data = {name: {"_name": name, "_status": status, "_section": "SIM"} for name, status in jobs.items()}
    file.write_bytes(pickle.dumps(data))
    os.utime(file)
