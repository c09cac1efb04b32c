"""Commands of the real Autosubmit by both procedures, on two copies of one store, and what differs afterwards."""

import fcntl
import io
import pickle
import re
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agent.pretend import Pretended, pretended
from tests.support.services import ForkedAutosubmit
from tests.support.waiting import wait_for
from tests.support.workflows import failing, small

Found = dict[str, tuple[str, bytes]]

# What two runs of one command never share, and what stands for it.
VARYING = [
    (re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?([+-]\d\d:\d\d)?"), b"<time>"),
    (re.compile(rb"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d"), b"<time>"),
    (re.compile(rb"\d{8}[_-]\d{4,6}([-_]\d{6})?|\b20\d{12}\b"), b"<stamp>"),
    (re.compile(rb"\b1[789]\d{8}(\.\d+)?\b"), b"<seconds>"),
    (re.compile(rb"0x[0-9a-f]{6,}"), b"<address>"),
    (re.compile(rb"(?i)\bpid[: ]+\d+"), b"<pid>"),
    (re.compile(rb"\d+\.\d+( ?s(econds)?\b)"), rb"<duration>\1"),
]


def leave_out_varying(data: bytes) -> bytes:
    """Return data without times and numbers of processes."""
    for pattern, stand_in in VARYING:
        data = pattern.sub(stand_in, data)
    return data


class _Plain(pickle.Unpickler):
    """Reads a pickle of Autosubmit without Autosubmit: objects become their names and what they are made of."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("builtins", "datetime", "pathlib", "collections"):
            return super().find_class(module, name)

        class Object(dict[Any, Any]):
            def __new__(cls, *made_of: Any) -> "Object":
                made = super().__new__(cls)
                made["made of"] = made_of
                return made

            def __init__(self, *_: Any) -> None:
                self["is"] = f"{module}.{name}"

            def __setstate__(self, state: Any) -> None:
                self["state"] = state

        return Object


def _read_pickle(file: Path) -> bytes:
    return leave_out_varying(repr(_Plain(io.BytesIO(file.read_bytes())).load()).encode())


def _read_database(file: Path) -> bytes:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        schema = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        tables = [name for kind, name, _ in schema if kind == "table"]
        rows = [(name, sorted(map(repr, database.execute(f'SELECT * FROM "{name}"')))) for name in tables]
    return leave_out_varying(repr((schema, rows)).encode())


def _read_archive(file: Path) -> bytes:
    with tarfile.open(file) as archive:
        members = archive.getmembers()
        names = sorted((leave_out_varying(m.name.encode()), m.mode, m.isfile() and m.size > 0) for m in members)
    return repr(names).encode()


READ = {".pkl": _read_pickle, ".db": _read_database, ".gz": _read_archive, ".tar": _read_archive}


def read_store(folder: Path) -> Found:
    """Return the mode and the content of each file of a store."""
    found: Found = {}
    for file in sorted(folder.rglob("*")):
        name = leave_out_varying(str(file.relative_to(folder)).encode()).decode()
        while name in found:
            name += "+"
        mode = oct(file.lstat().st_mode)
        if file.is_symlink():
            found[name] = mode, leave_out_varying(bytes(file.readlink()))
        elif file.is_dir():
            found[name] = mode, b""
        else:
            read = READ.get(file.suffix, lambda path: leave_out_varying(path.read_bytes()))
            found[name] = mode, read(file) if file.stat().st_size else b""
    return found


@dataclass
class TwoStores:
    """A home of Autosubmit in two copies, which take turns at its place: their paths stay the same."""

    home: Path
    program: Pretended

    def __post_init__(self) -> None:
        self._places = {is_warm: self.home.with_name(f"home-{is_warm}") for is_warm in (False, True)}
        for place in self._places.values():
            shutil.copytree(self.home, place, symlinks=True)
        shutil.rmtree(self.home)

    @contextmanager
    def hold_locks(self, expid: str) -> Iterator[None]:
        """Hold the lock of an experiment, as its run does."""
        with ExitStack() as stack:
            for place in self._places.values():
                lock = place / "autosubmit" / expid / "tmp" / "autosubmit.lock"
                fcntl.flock(stack.enter_context(lock.open("a")), fcntl.LOCK_EX)
            yield

    def do(self, *words: str, is_warm: bool) -> tuple[int | None, bytes]:
        """Run a command on the copy of its procedure."""
        self._places[is_warm].rename(self.home)
        try:
            status, printed = self.program.do(*words, is_warm=is_warm)
        finally:
            self.home.rename(self._places[is_warm])
        return status, printed

    def compare(self, *words: str) -> tuple[int | None, list[str]]:
        """Run a command by both procedures; return its exit status and what differs, which should be nothing."""
        words = tuple(word.format(folder=self.home.parent) for word in words)
        (status, alone), (warm_status, handed) = (self.do(*words, is_warm=is_warm) for is_warm in (False, True))
        differences = [] if status == warm_status else [f"exit status {status}, warm {warm_status}"]
        outputs = [{"output": ("", leave_out_varying(printed))} for printed in (alone, handed)]
        stores = [read_store(self._places[is_warm]) for is_warm in (False, True)]
        return status, [*differences, *_find_differences(*outputs), *_find_differences(*stores)]


def _find_differences(alone: Found, handed: Found) -> Iterator[str]:
    """Say of each file what is there where it begins to differ."""
    for name in sorted(alone.keys() | handed.keys()):
        one, other = (repr(found.get(name)) for found in (alone, handed))
        if one != other:
            same = next((at for at, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1), 0)
            at = max(0, same - 200)
            yield f"{name}\n{one[at : at + 400]}\nwarm:\n{other[at : at + 400]}"


@contextmanager
def two_stores(program: Path, folder: Path) -> Iterator[TwoStores]:
    """Lend a home with the experiments b001 (small) and b002 (failing) in two copies, and a program that is warm."""
    home = ForkedAutosubmit(program, folder / "home")
    home.prepare()
    with closing(sqlite3.connect(home.home / "autosubmit" / "autosubmit.db")) as database, database:
        database.execute("INSERT INTO experiment (name, description, autosubmit_version) VALUES ('b000', '', '4')")
    for workflow in (small(), failing()):
        workflow.make(home)
    make_repository(folder / "repository")
    with pretended(folder, program, **home.environment) as commands:
        commands.start("--version")
        wait_for(lambda: commands.is_warm)
        yield TwoStores(home.home, commands)


def make_repository(folder: Path) -> None:
    """Make a git repository with a configuration."""
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "jobs.yml").write_text("JOBS:\n  ONE:\n    SCRIPT: 'true'\n    RUNNING: once\n")
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)


_LIST = "--list=b001_SETUP"
# In this order: each finds what those before it have left.
CASES: dict[str, tuple[str, ...]] = {
    "create": ("expid", "--description=made -x", "--HPC=local", "--dummy"),
    "create a copy": ("expid", "--description=copied", "--copy=b001"),
    "create a test case": ("expid", "--description=t", "--testcase"),
    "create an operational one": ("expid", "--description=o", "--operational"),
    "create an evaluation": ("expid", "--description=v", "--evaluation"),
    "create a minimal one": ("expid", "--description=m", "--HPC=local", "--minimal_configuration"),
    "create from git": (
        *("expid", "--description=g", "--minimal_configuration", "--git_repo={folder}/repository"),
        *("--git_branch=main", "--git_as_conf=conf"),
    ),
    "generate": ("create", "--noplot", "b001"),
    "generate by force with wrappers": ("create", "--noplot", "--force", "--check_wrapper", "b001"),
    "set status": ("setstatus", "--save", "--noplot", "b001", "--status_final=COMPLETED", _LIST),
    "set status without saving": ("setstatus", "--noplot", "b001", "--status_final=SUSPENDED", _LIST),
    "set status by status": ("setstatus", "-s", "--noplot", "b001", "--status_final=SUSPENDED", "-fs", "WAITING"),
    "set status by section": ("setstatus", "-s", "--noplot", "b001", "--status_final=WAITING", "-ft", "SIM"),
    "recover without saving": ("recovery", "--all", "--noplot", "b001"),
    "recover": ("recovery", "--all", "--save", "--noplot", "b001"),
    "recover by force": ("recovery", "--all", "--save", "--noplot", "--force", "b001"),
    "stop": ("stop", "--yes", "b001"),
    "update description": ("updatedescrip", "b001", "--", "-new text"),
    "describe": ("describe", "b001"),
    "inspect": ("inspect", "-f", "b001"),
    "refresh": ("refresh", "b001"),
    "update version": ("updateversion", "b001"),
    "monitor": ("monitor", "--hide", "-o", "txt", "b001"),
    "statistics": ("stats", "--hide", "b001"),
    "report": ("report", "-all", "b001"),
    "show a log": ("cat-log", "b001"),
    "clean": ("clean", "-p", "b001"),
    "archive": ("archive", "b002"),
    "unarchive": ("unarchive", "b002"),
    "delete": ("delete", "-f", "b002"),
    "create a copy of none": ("expid", "--description=c", "--copy=zzzz"),
    "generate none": ("create", "--noplot", "zzzz"),
    "set status of none": ("setstatus", "-s", "--noplot", "zzzz", "--status_final=READY", "--list=x"),
    "set status of no job": ("setstatus", "-s", "--noplot", "b001", "--status_final=READY", "--list=unknown"),
    "set no status": ("setstatus", "-s", "--noplot", "b001", "--status_final=NONSENSE", _LIST),
    "recover none": ("recovery", "--all", "--save", "--noplot", "zzzz"),
    "stop none": ("stop", "--yes", "zzzz"),
    "update description of none": ("updatedescrip", "zzzz", "--", "x"),
    "archive none": ("archive", "zzzz"),
    "delete none": ("delete", "-f", "zzzz"),
    "an option that is none": ("create", "--wrong", "b001"),
    "a command that is none": ("nonsense",),
    "help": ("--help",),
    "version": ("--version",),
    "nothing": (),
}
