"""A store with long job lists of the form that Autosubmit 4.1.17.1 writes, made in seconds."""

import json
import subprocess
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from experiments.autosubmit.store import Store
from tests.support import fuzz, stores

# Run by the Python of Autosubmit: lists with so many jobs, each like the first one of a list, of which most wait.
MULTIPLY = """
import json, pickle, sys
source, number, targets = json.load(sys.stdin)
with open(source, "rb") as file:
    first = next(iter(pickle.load(file).values()))
for expid, target in targets.items():
    jobs = {}
    for each in range(number):
        name = f"{expid}_20000101_fc0_{each}_SIM"
        status = 0 if each % 3 == 0 else 5
        jobs[name] = first | {"_name": name, "_status": status, "new_status": status, "_section": "SIM"}
    with open(target, "wb") as file:
        pickle.dump(jobs, file, protocol=-1)
"""
HISTORY = """
CREATE TABLE experiment_run (run_id INTEGER PRIMARY KEY AUTOINCREMENT, created TEXT, modified TEXT, start INTEGER,
    finish INTEGER, chunk_unit TEXT, chunk_size INTEGER, completed INTEGER, total INTEGER, failed INTEGER,
    queuing INTEGER, running INTEGER, submitted INTEGER, suspended INTEGER, metadata TEXT);
CREATE TABLE job_data (id INTEGER PRIMARY KEY AUTOINCREMENT, counter INTEGER, job_name TEXT, created TEXT,
    modified TEXT, submit INTEGER, start INTEGER, finish INTEGER, status TEXT, rowtype INTEGER, ncpus INTEGER,
    wallclock TEXT, qos TEXT, energy INTEGER, section TEXT, member TEXT, chunk INTEGER, last INTEGER, platform TEXT,
    job_id INTEGER, run_id INTEGER, out TEXT, err TEXT, UNIQUE (counter, job_name));
"""
ROW = (
    "INSERT INTO job_data (counter, job_name, created, modified, submit, start, finish, status, rowtype, ncpus,"
    " wallclock, qos, energy, section, member, chunk, last, platform, job_id, run_id, out, err) VALUES"
    " (0, ?, '2026-11-09', '2026-11-09', 1794216789, 1794217340, 1794217425, 'COMPLETED', 2, 1, '00:05', 'debug', 0,"
    " 'SIM', 'fc0', 1, 1, 'LOCAL', 100000, 1, ?, ?)"
)


def add_long_lists(store: Store, python: Path, expids: list[str], number: int) -> None:
    """Add experiments with so many jobs each, of which two thirds have ended; `python` is that of Autosubmit."""
    targets = {expid: Path(store.list_lone_files(expid)[0]) for expid in expids}
    for target in targets.values():
        target.parent.mkdir(parents=True)
        (target.parents[1] / "tmp").mkdir()
    _multiply(python, targets, number)
    for expid in expids:
        _add_databases(store, expid, number)
    fuzz.add_experiments(store.database, [*expids])


def _multiply(python: Path, targets: Mapping[str, Path], number: int) -> None:
    source = stores.FOLDER / "4.1.17.1.pkl"
    order = json.dumps([str(source), number, {expid: str(target) for expid, target in targets.items()}])
    subprocess.run([str(python), "-c", MULTIPLY], input=order, text=True, check=True)


def _add_databases(store: Store, expid: str, number: int) -> None:
    names = [f"{expid}_20000101_fc0_{each}_SIM" for each in range(number)]
    ended = [(ROW, (name, f"{name}.out", f"{name}.err")) for each, name in enumerate(names) if each % 3]
    edges = [("INSERT INTO experiment_structure VALUES (?, ?)", pair) for pair in pairwise(names)]
    stores.make_database(Path(str(store.history_database(expid))), HISTORY, ended)
    stores.make_database(Path(str(store.structure_database(expid))), stores.STRUCTURE, edges)
