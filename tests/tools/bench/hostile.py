"""How much later a change is seen beside experiments of somebody who means harm, whose files change all the time."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from experiments.autosubmit.store import Store, locate
from tests.support.fuzz import make_endless_pickle
from tests.support.lock_holders import running
from tests.support.small_stores import COMPLETED, READY, add_experiment, write_pickle
from tests.tools.bench.fleet import Member
from tests.tools.bench.judgement import Verdict, at_most, untargeted
from tests.tools.bench.load import Connection, percentile

SECONDS = 15.0
MOST_DELAY_SECONDS = 0.5
PAUSE_SECONDS = 0.4
LOOK_SECONDS = 0.02
# So often somebody touches the hostile files, so that they are read again.
TOUCH_SECONDS = 2.0
NAMES = {COMPLETED: b'"COMPLETED"', READY: b'"READY"'}
COLUMN = "result"
ENDLESS_VIEW = """
CREATE VIEW job_data AS WITH RECURSIVE endless(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM endless)
SELECT x AS id, 'job' AS job_name, x AS counter, 'COMPLETED' AS status, 1 AS last, x AS run_id FROM endless;
"""


def make_pipe(store: Store, expid: str) -> Path:
    """Have a named pipe that nobody writes in the place of a job list."""
    file = _job_list(store, expid)
    file.unlink()
    os.mkfifo(file)
    return file


def make_slow_pickle(store: Store, expid: str) -> Path:
    """Have a few bytes as a job list that take for ever."""
    file = _job_list(store, expid)
    file.write_bytes(make_endless_pickle())
    return file


def truncate_shm(store: Store, expid: str) -> Path:
    """Have a history whose index in shared memory is shorter than SQLite maps it."""
    file = _history(store, expid)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE job_data (id)")
        database.commit()
        kept = {end: Path(f"{file}{end}").read_bytes() for end in ("-wal", "-shm")}
    for end, data in kept.items():
        Path(f"{file}{end}").write_bytes(data[:100] if end == "-shm" else data)
    return Path(f"{file}-wal")


def make_endless_view(store: Store, expid: str) -> Path:
    """Have a history whose rows never end."""
    file = _history(store, expid)
    with closing(sqlite3.connect(file)) as database:
        database.executescript(ENDLESS_VIEW)
    return file


KINDS: dict[str, Callable[[Store, str], Path]] = {
    "named pipe": make_pipe,
    "truncated -shm": truncate_shm,
    "slow pickle": make_slow_pickle,
    "endless view": make_endless_view,
}


def measure(member: Member, other: str, seconds: float = SECONDS) -> list[Verdict]:
    """Change the experiment `other` for some seconds, alone and beside hostile ones, while the mirror runs."""
    store, count = locate(member.store.home), os.cpu_count() or 1
    with running(store.lock_file(other)):
        alone = _change(member, other, [], seconds)
        verdicts = [untargeted("change to API beside nothing hostile, p95 s", COLUMN, percentile(alone, 95))]
        for name in KINDS:
            for number in (1, count):
                with _hostile(store, name, number) as files:
                    beside = _change(member, other, files, seconds)
                delay = percentile(beside, 95) - percentile(alone, 95)
                what = f"{number} × {name}: others are later by, s (p95)"
                verdicts.append(at_most(what, COLUMN, MOST_DELAY_SECONDS, max(0.0, delay)))
    return verdicts


def _job_list(store: Store, expid: str) -> Path:
    return Path(store.list_lone_files(expid)[0])


def _history(store: Store, expid: str) -> Path:
    return Path(str(store.history_database(expid)))


@contextmanager
def _hostile(store: Store, name: str, number: int) -> Iterator[list[Path]]:
    """Have so many experiments of a kind; what they are hostile with is removed in the end."""
    initial = f"{[*KINDS].index(name)}{number}"
    expids = [f"h{initial}{each}" for each in range(number)]
    for expid in expids:
        add_experiment(store, expid)
    files = [KINDS[name](store, expid) for expid in expids]
    try:
        yield files
    finally:
        for file in files:
            file.unlink()


def _change(member: Member, expid: str, touched: list[Path], seconds: float) -> list[float]:
    """Return the seconds that each change of an experiment took until the API had it."""
    store, connection = locate(member.store.home), Connection(member.server)
    request = connection.request(f"/v4/experiments/{expid}/jobs/{expid}_0")
    status, taken, touch_at = COMPLETED, list[float](), 0.0
    until = time.monotonic() + seconds
    while not taken or time.monotonic() < until:
        if time.monotonic() > touch_at:
            touch_at = time.monotonic() + TOUCH_SECONDS
            for file in touched:
                os.utime(file)
        write_pickle(store, expid, status)
        began = time.monotonic()
        while NAMES[status] not in connection.ask(request)[1]:
            time.sleep(LOOK_SECONDS)
        taken.append(time.monotonic() - began)
        status = READY if status == COMPLETED else COMPLETED
        time.sleep(PAUSE_SECONDS)
    connection.close()
    return taken
