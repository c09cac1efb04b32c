"""A stand-in for the `autosubmit` program: a script of its own, which imports nothing of the portal.

The real one needs 3 s to import itself, which makes hundreds of faults take hours. This one behaves like it in what
matters here. `run` holds a lock on `<expid>/tmp/autosubmit.lock` while it lives, ends by SIGINT with 88 and outlives
whoever started it. `create` and `setstatus` refuse an active run. `stop` finds the run by its command line and waits
until it has gone. `expid` takes no lock: two at once make the same experiment, as with the real one. All say what the
real one says, as far as the portal reads it.

Each start and each end becomes one line of `$HOME/ledger`, a file that is only appended to and that the portal does
not know: `started|ended <action>/<step> <command> <expid> <pid> <monotonic time> <exit status>`.

Chance decides how long a command takes and how a run ends. With a file `$HOME/calm` it does not: a command takes no
time, but for as long as there is a file `$HOME/hold-<command>`, and ends well, unless there is `$HOME/fail-<command>`.
A run that is held takes changes of jobs from `status/updated_list_<expid>.txt`.
"""

import fcntl
import os
import pickle
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

HOME = Path(os.environ["HOME"])
ROOT = HOME / "autosubmit"
RC = "".join(
    f"[{section}]\npath = {ROOT / folder}\n"
    for section, folder in {
        "database": "",
        "local": "",
        "structures": "metadata/structures",
        "historicdb": "metadata/data",
    }.items()
)
TABLES = """
CREATE TABLE experiment(id INTEGER PRIMARY KEY, name TEXT, description TEXT, autosubmit_version TEXT);
CREATE TABLE details(exp_id INTEGER, user TEXT, created TEXT, model TEXT, branch TEXT, hpc TEXT);
"""
STATUSES = {"UNKNOWN": -2, "SUSPENDED": -3, "WAITING": 0, "READY": 1, "COMPLETED": 5, "HELD": 6}
IN_USE = "[CRITICAL] Another Autosubmit instance using the experiment\n. Stop that Autosubmit instance [eCode=7000]"
STOPPED, FAILED = 88, 1


def main() -> int:
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    command = words[0] if words else "version"
    if command in ("version", "configure", "install"):
        return SETTING_UP[command]()
    place = Path.cwd()
    name = place.name if place.name.count("-") == 4 else "terminal"  # the key of a command
    dice = random.Random(f"{seed()} {name}")
    expid = words[1] if len(words) > 1 else "-"
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until a run knows how it ends by it
    note("started", name, command, expid, 0)
    say(f"output of {name} begins")
    status = COMMANDS[command](expid, dice)
    if (HOME / f"fail-{command}").exists():
        status = FAILED
    say(f"output of {name} ends")
    note("ended", name, command, expid, status)
    return status


def say(text: str) -> None:
    """Print a line at once; a disk that is full does not end us, and is no reason to end otherwise than we would."""
    with suppress(OSError):
        os.write(1, f"{text}\n".encode())


def seed() -> str:
    file = HOME / "seed"
    return file.read_text() if file.exists() else ""


def is_calm() -> bool:
    return (HOME / "calm").exists()


def work(seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
    if not is_calm():
        time.sleep(seconds)
    while (HOME / f"hold-{sys.argv[1]}").exists():
        time.sleep(0.01)
        meanwhile()


def take_changes(expid: str) -> None:
    """As the loop of a run does: the file is renamed, then the job list is saved."""
    file = ROOT / expid / "status" / f"updated_list_{expid}.txt"
    if file.exists():
        changes = dict(line.split() for line in file.read_text().splitlines())
        file.rename(file.with_suffix(".read"))
        time.sleep(0.05)  # the clock of a file system is a coarse one
        write_jobs(expid, read_jobs(expid) | changes)


def note(event: str, name: str, command: str, expid: str, status: int) -> None:
    line = f"{event} {name} {command} {expid} {os.getpid()} {time.monotonic():.4f} {status}\n"
    with (HOME / "ledger").open("ab", buffering=0) as ledger:
        ledger.write(line.encode())


def version() -> int:
    say("4.1.17.1")
    return 0


def configure() -> int:
    (HOME / ".autosubmitrc").write_text(RC)
    return 0


def install() -> int:
    (ROOT / "metadata" / "structures").mkdir(parents=True)
    (ROOT / "metadata" / "data").mkdir()
    with database() as connection:
        connection.executescript(TABLES)
    return 0


def database() -> sqlite3.Connection:
    return sqlite3.connect(ROOT / "autosubmit.db", timeout=30)


def create_experiment(_expid: str, dice: random.Random) -> int:
    with database() as connection:
        number = connection.execute("SELECT coalesce(max(id), 0) FROM experiment").fetchone()[0] + 1
    work(dice.uniform(0.1, 0.4))
    expid = f"a{number:03}"
    (ROOT / expid / "tmp").mkdir(parents=True, exist_ok=True)
    (ROOT / expid / "pkl").mkdir(exist_ok=True)
    (ROOT / expid / "status").mkdir(exist_ok=True)
    with database() as connection:
        row = connection.execute(
            "INSERT INTO experiment(name, description, autosubmit_version) VALUES (?, ?, ?)",
            (expid, option("description"), "4.1.17.1"),
        )
        connection.execute("INSERT INTO details(exp_id, hpc) VALUES (?, 'LOCAL')", (row.lastrowid,))
    say(f"Experiment {expid} created")
    return 0


def describe(expid: str, dice: random.Random) -> int:
    work(dice.uniform(0.05, 0.4))
    with database() as connection:
        connection.execute("UPDATE experiment SET description = ? WHERE name = ?", (sys.argv[-1], expid))
    return 0


def generate(expid: str, dice: random.Random) -> int:
    lock = locked(expid)
    if lock is None:
        return in_use()
    work(dice.uniform(0.05, 1.0))
    write_jobs(expid, dict.fromkeys((f"{expid}_SETUP", f"{expid}_SIM", f"{expid}_POST"), "READY"))
    return 0


def set_status(expid: str, dice: random.Random) -> int:
    lock = locked(expid)
    if lock is None:
        return in_use()
    work(dice.uniform(0.05, 0.6))
    for name in option("list").split():
        say(f"CHANGED: job: {name} status to: {option('status_final')}")
    write_jobs(expid, read_jobs(expid) | dict.fromkeys(option("list").split(), option("status_final")))
    return 0


def recover(expid: str, dice: random.Random) -> int:
    work(dice.uniform(0.05, 0.6))
    return 0


def run(expid: str, dice: random.Random) -> int:
    lock = locked(expid)
    if lock is None:
        return in_use()
    signal.signal(signal.SIGINT, interrupt)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        work(dice.choice((0.2, 1.0, 3.0, 8.0)), lambda: take_changes(expid))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except InterruptedError:
        say("Interrupt signal received")
        return STOPPED
    write_jobs(expid, dict.fromkeys(read_jobs(expid), "COMPLETED"))
    return 0 if is_calm() else dice.choice((0, 0, 0, FAILED))


def interrupt(*_: object) -> None:
    """Take the first; `stop` sends more until we have gone, which must not change how we end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise InterruptedError


def stop(expid: str, dice: random.Random) -> int:
    runs = runs_of(expid)
    if not runs:
        say(f"Experiment {expid} was not running")
    while runs:
        for pid in runs:
            signal_to(pid)
        time.sleep(0.2)
        runs = runs_of(expid)
    return 0


def runs_of(expid: str) -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if is_run(folder, expid)]


def is_run(folder: Path, expid: str) -> bool:
    """Of this home, which the real one does not ask: several stores are under test on one host."""
    try:
        words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        variables = (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[-3:-1] == ["run", expid] and f"HOME={HOME}".encode() in variables


def signal_to(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)


def locked(expid: str) -> int | None:
    file = os.open(ROOT / expid / "tmp" / "autosubmit.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return file


def in_use() -> int:
    say(IN_USE)
    return 1


def option(name: str) -> str:
    prefix = f"--{name}="
    return next((word[len(prefix) :] for word in sys.argv if word.startswith(prefix)), "")


def job_list(expid: str) -> Path:
    return ROOT / expid / "pkl" / f"job_list_{expid}.pkl"


def read_jobs(expid: str) -> dict[str, str]:
    names = {number: name for name, number in STATUSES.items()}
    jobs = pickle.loads(job_list(expid).read_bytes())
    return {name: names[job["_status"]] for name, job in jobs.items()}


def write_jobs(expid: str, statuses: dict[str, str]) -> None:
    """As the real one: in the form of 4.1.17, and not by rename, so that a reader may see half of it."""
    jobs = {
        name: {"_name": name, "_status": STATUSES[status], "_section": name.rpartition("_")[2], "id": 0}
        for name, status in statuses.items()
    }
    job_list(expid).write_bytes(pickle.dumps(jobs, protocol=4))


SETTING_UP = {"version": version, "configure": configure, "install": install}
COMMANDS = {
    "expid": create_experiment,
    "updatedescrip": describe,
    "create": generate,
    "setstatus": set_status,
    "recovery": recover,
    "run": run,
    "stop": stop,
}

if __name__ == "__main__":
    os._exit(main())
