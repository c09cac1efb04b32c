"""Finding the store of an Autosubmit installation and reading which experiments it holds.

The facts come from Autosubmit's rc file and from `autosubmit.db`, or from PostgreSQL where the rc file names it.
Nothing here writes to the store, and a database is read on one short read-only connection, so that Autosubmit never
waits for it.
"""

import configparser
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from autosubmit_portal.sentences import say
from jobs.autosubmit import postgres
from jobs.autosubmit.database import (
    Source,
    UnreadableDatabase,
    list_tables,
    list_tables_of,
    open_database,
    read_rows,
    select_rows,
)
from jobs.autosubmit.postgres import Changes, Schema
from jobs.autosubmit.values import UTC, to_moment, to_number

T = TypeVar("T")

_Stamp = tuple[int, int, int]
Fingerprint = tuple[_Stamp, ...]
"""Modification time in ns, size in bytes and inode of each file looked at; zeros for an absent one.

With PostgreSQL a last entry has zero for the time, and the marks of the change instead of size and inode.
"""

JobListFiles = tuple[tuple[str, _Stamp], ...]
"""The names of the files of a job list that are there, and their states."""

_LOCK_WAIT_SECONDS = 2.0
# Names become folder names, so nothing else is let through; old experiments may have capitals. Autosubmit's have four
# characters, and longer ones than this are no folder.
_EXPID = re.compile(r"[A-Za-z0-9]{4,50}")
_ABSENT = (0, 0, 0)
NO_OWNER = -1
"""Who owns an experiment in whose place is a link or a file: nobody."""
NOTHING_KNOWN: Mapping[str, int] = {}
_SETTLED_NS = 2_000_000_000
_LARGEST_NS = 2**63 - 1
# In a fingerprint without PostgreSQL: two lone files, and four databases with their write-ahead logs.
_STAMPS = 10
_OLDEST_ARCHIVE = 2010
# As in Autosubmit, where its rc file names none.
DEFAULT_COMMAND_LOGS = Path("/esarchive/autosubmit/Aslogs")
_EXPERIMENT = ("id", "name", "description", "autosubmit_version")
_DETAILS = ("exp_id", "user", "created", "model", "branch", "hpc")
_NAMED = "WHERE name = ?"
_OF_NAMED = "WHERE exp_id IN (SELECT id FROM experiment WHERE name = ?)"
_STATUS_TABLE = "experiment_status"
_ZULU = re.compile(r"Z$")
_WITH_ZONE = re.compile(r"([+-]\d\d:?\d\d|Z)$")


class BrokenStore(Exception):
    """The store cannot be found or read; the text tells an operator what is wrong and what to do."""


@dataclass(frozen=True)
class Store:
    """Where one Autosubmit installation keeps what it writes.

    `root` holds the experiments' folders, `database` is `autosubmit.db`, `structures` and `history` are the folders
    of the `structure_<expid>.db` and `job_data_<expid>.db` files. With a `postgres_url` the databases are there
    instead. In `command_logs` are the logs of commands that are not kept with an experiment. An expid given to a method
    is taken as it is: only names that `read_experiments` returned are safe.
    """

    root: Path
    database: Path
    structures: Path
    history: Path
    postgres_url: str = ""
    command_logs: Path = DEFAULT_COMMAND_LOGS

    def experiment_folder(self, expid: str) -> Path:
        """Return the folder of an experiment, whether it exists or not."""
        return self.root / expid

    def read_folder_owner(self, expid: str) -> int | None:
        """Return the uid of the folder of an experiment, whose it is to Autosubmit; None where nothing is.

        A link is not followed: where it leads is chosen by who made it. It has NO_OWNER, and so has a file.
        """
        try:
            status = os.lstat(f"{self._root}/{expid}")
        except OSError:
            return None
        return status.st_uid if stat.S_ISDIR(status.st_mode) else NO_OWNER

    def job_list(self, expid: str) -> Path | Schema:
        """Return where the job list is, chosen by what is found, or where it will be.

        The rows of 4.2 in PostgreSQL come first. Of several files, which a change of version or of `STORAGE.TYPE`
        leaves behind, the one written last counts. Where there is none it may be the pickle of 4.1 in PostgreSQL.
        """
        changes = self.changes.get(expid, postgres.NO_CHANGES)
        newest = Path(max(self._job_list_names(expid), key=_stat))
        if changes.has_jobs or (changes.has_pickle and not newest.exists()):
            return Schema(self.postgres_url, expid)
        return newest

    def get_job_list_time(self, expid: str) -> datetime | None:
        """Return when the job list last changed; None where that is not known, as in PostgreSQL."""
        source = self.job_list(expid)
        time_ns = 0 if isinstance(source, Schema) else _stat(str(source))[0]
        return to_moment(time_ns / 1e9) if time_ns > 0 else None

    def structure_database(self, expid: str) -> Path | Schema:
        """Return where the edges between jobs are; Autosubmit 4.2 keeps them beside the jobs."""
        return self._find_beside_jobs(expid, f"{self._structures}/structure_{expid}.db")

    def history_database(self, expid: str) -> Path | Schema:
        """Return where the runs and every attempt of every job are."""
        return Schema(self.postgres_url, expid) if self.postgres_url else self.history / f"job_data_{expid}.db"

    def wrapper_database(self, expid: str) -> Path | Schema:
        """Return where it stands which jobs are wrapped together; Autosubmit 4.2 keeps it beside the jobs."""
        return self._find_beside_jobs(expid, self._packages(expid))

    def _find_beside_jobs(self, expid: str, older: str) -> Path | Schema:
        """Return where PostgreSQL or Autosubmit 4.2 keep all that is about jobs, and else the file up to 4.1."""
        if self.postgres_url:
            return Schema(self.postgres_url, expid)
        job_list = self.job_list(expid)
        return job_list if str(job_list) == self._job_list_names(expid)[-1] else Path(older)

    def metrics_database(self, expid: str) -> Path | Schema:
        """Return where the metrics are that users have their jobs report."""
        if self.postgres_url:
            return Schema(self.postgres_url, expid)
        return self.root / expid / "tmp" / f"metrics_{expid}.db"

    def lock_file(self, expid: str) -> Path:
        """Return the file that a run keeps locked while it lives; the file itself stays for ever."""
        return Path(self.lock_name(expid))

    def lock_name(self, expid: str) -> str:
        """Return the same as a text, of which a pass needs one for each experiment."""
        return f"{self._root}/{expid}/tmp/autosubmit.lock"  # noqa: S108 - in the store, not in /tmp

    @property
    def status_database(self) -> Path:
        """Return where newer versions keep the status table."""
        return self.database.with_name("as_times.db")

    def explain_absence(self, expid: str) -> str:
        """Return a sentence that says why an experiment has no folder; blank if it has one."""
        if (self.root / expid).exists():
            return ""
        archive = self._find_archive(expid)
        if archive:
            return say(
                "it is archived in {archive}: `autosubmit unarchive {expid}` brings it back",
                archive=archive,
                expid=expid,
            )
        return say(
            "its folder {folder} is missing: it was deleted, or moved, by other means than Autosubmit",
            folder=self.root / expid,
        )

    @cached_property
    def _structures(self) -> str:
        return str(self.structures)

    @cached_property
    def _history(self) -> str:
        return str(self.history)

    @cached_property
    def _root(self) -> str:
        return str(self.root)

    @cached_property
    def changes(self) -> dict[str, Changes]:
        """What PostgreSQL has of each experiment, and marks that change with it; asked for once. Raises BrokenStore."""
        if not self.postgres_url:
            return {}
        with _explain_errors(say("The PostgreSQL database of {root}", root=self.root)):
            return postgres.read_changes(self.postgres_url)

    def list_lone_files(self, expid: str) -> tuple[str, ...]:
        """Return the files that may hold the jobs and have no write-ahead log.

        These and `list_databases` are looked at again and again for each experiment, so no Path is made of them.
        """
        return self._job_list_names(expid)[:2]

    def list_databases(self, expid: str) -> tuple[str, ...]:
        """Return the databases that may hold jobs, edges, history or wrappers of an experiment, the job list first."""
        return (
            self._job_list_names(expid)[2],
            f"{self._structures}/structure_{expid}.db",
            f"{self._history}/job_data_{expid}.db",
            self._packages(expid),
        )

    def _job_list_names(self, expid: str) -> tuple[str, str, str]:
        """Return the files of 3.x to 4.1, of 4.1 with `STORAGE.TYPE: db`, and of 4.2."""
        folder = f"{self._root}/{expid}"
        pickle = f"{folder}/pkl/job_list_{expid}"
        return f"{pickle}.pkl", f"{pickle}.db", f"{folder}/db/job_list.db"

    def _packages(self, expid: str) -> str:
        """Return the file of the wrappers up to 4.1."""
        return f"{self._root}/{expid}/pkl/job_packages_{expid}.db"

    def _find_archive(self, expid: str) -> Path | None:
        """Return what `autosubmit archive` has made of an experiment, in the folder of the year of its last job."""
        years = range(datetime.now(UTC).year + 1, _OLDEST_ARCHIVE, -1)
        names = (f"{expid}.tar.gz", f"{expid}.tar", f"{expid}.zip")
        archives = (self.root / str(year) / name for year in years for name in names)
        return next((archive for archive in archives if archive.exists()), None)


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """An experiment as `autosubmit.db` knows it; texts are empty and `created_at` is None where it does not.

    `recorded_owner` is a text that whoever may write the database chooses: no right follows from it.
    """

    autosubmit_id: int
    expid: str
    description: str
    recorded_owner: str
    hpc: str
    version: str
    model: str
    branch: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the status table says of an experiment: RUNNING after every start, and for ever in most versions.

    `at` is None where the time is of an old version, which left out its zone.
    """

    status: str
    at: datetime | None


def locate(home: Path, configuration: Path | None = None) -> Store:
    """Return the store that an rc file describes: `configuration`, or `.autosubmitrc` in `home`.

    Raises BrokenStore when the file is missing, unreadable or incomplete, or when there is no database where it says.
    """
    rc = _get_rc_file(home, configuration)
    described = _read(rc, _read_store)
    if not described.postgres_url and not described.database.is_file():
        raise BrokenStore(
            say(
                "There is no Autosubmit database {database}. Run `autosubmit install`, or correct {rc}.",
                database=described.database,
                rc=rc,
            )
        )
    return replace(described)  # a store remembers what it has asked its database


def read_rc(home: Path, configuration: Path | None = None) -> configparser.ConfigParser:
    """Return the rc file that `locate` uses; raise BrokenStore when it is missing or cannot be read."""
    return _read(_get_rc_file(home, configuration), _parse_rc)


def _read(rc: Path, read: Callable[..., T]) -> T:
    """Return what `read`, which keeps its answers, makes of an rc file and its state; BrokenStore if it cannot."""
    try:
        state = rc.stat()
        if not stat.S_ISREG(state.st_mode):  # a named pipe would hold up whoever opens it
            raise OSError(say("it is no file"))
        return read(rc, state.st_mtime_ns, state.st_size, state.st_ino)
    except FileNotFoundError:
        remedy = say("Run `autosubmit configure`, or correct the home folder of the site.")
        raise BrokenStore(say("There is no Autosubmit configuration {rc}. {remedy}", rc=rc, remedy=remedy)) from None
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise BrokenStore(
            say("The Autosubmit configuration {rc} cannot be read: {error}. Correct it.", rc=rc, error=error)
        ) from error


@lru_cache(maxsize=64)
def _parse_rc(rc: Path, *_state: int) -> configparser.ConfigParser:
    """Return an rc file as long as its state is the same: requests that read a store would parse it each time."""
    settings = configparser.ConfigParser()
    settings.optionxform = str  # type: ignore[assignment]  # as in Autosubmit, to which capitals make another name
    settings.read_string(rc.read_text(encoding="utf-8"))
    return settings


@lru_cache(maxsize=64)
def _read_store(rc: Path, *state: int) -> Store:
    settings = _parse_rc(rc, *state)
    name = settings.get("database", "filename", fallback="autosubmit.db")
    return Store(
        root=_read_folder(settings, "local", rc),
        database=_read_folder(settings, "database", rc) / name,
        structures=_read_folder(settings, "structures", rc),
        history=_read_folder(settings, "historicdb", rc),
        postgres_url=_read_postgres_url(settings, rc),
        command_logs=Path(settings.get("globallogs", "path", raw=True, fallback=str(DEFAULT_COMMAND_LOGS))),
    )


def read_experiments(
    store: Store, known: Mapping[str, int] = NOTHING_KNOWN, *, only: str = ""
) -> list[ExperimentRecord]:
    """Return the experiments that the store's database lists, ordered by their number there; or the `only` one.

    Of experiments registered twice the one counts whose number is `known`, or else the newer. Names that cannot be an
    expid are left out. Raises BrokenStore when the database is missing, locked for long, or broken.
    """
    return choose_counting(read_all_experiments(store, only=only), known)


def read_all_experiments(store: Store, *, only: str = "") -> list[ExperimentRecord]:
    """Return the same with all of those that are registered twice. Raises as `read_experiments` does."""
    experiments, details = _read_tables(store, only)
    details_of = {row.get("exp_id"): row for row in details}
    named = (row for row in experiments if _is_expid(row.get("name")))
    records = (_make_record(row, details_of.get(row.get("id"), {})) for row in named)
    return sorted(records, key=attrgetter("autosubmit_id"))


def choose_counting(records: Iterable[ExperimentRecord], known: Mapping[str, int]) -> list[ExperimentRecord]:
    """Return one record of each name: that with the `known` number, or else the last; they are ordered by number."""
    counting: dict[str, ExperimentRecord] = {}
    for record in records:
        chosen = counting.get(record.expid)
        if chosen is None or chosen.autosubmit_id != known.get(record.expid):
            counting[record.expid] = record
    return sorted(counting.values(), key=attrgetter("autosubmit_id"))


def take_fingerprint(store: Store, expid: str) -> Fingerprint:
    """Return what tells whether an experiment must be read again: its job list, edges, history and wrappers."""
    stamps = [_stat(name) for name in store.list_lone_files(expid)]
    for name in store.list_databases(expid):
        stamps += _stat_database(name)
    return (*stamps, _get_marks(store, expid)) if store.postgres_url else tuple(stamps)


def are_edges_same(before: Fingerprint, now: Fingerprint) -> bool:
    """Answer whether the edges are those that were read before: they stand in a database that has not changed since.

    Those of a job list with edges of its own, of 4.2 and of PostgreSQL are never known to be the same.
    """
    structure = slice(4, 6)
    is_apart = len(now) == _STAMPS and now[4] != _ABSENT and now[2] == _ABSENT
    return is_apart and before[structure] == now[structure] and before[2] == _ABSENT


def pick_job_list(store: Store, expid: str, files: Fingerprint) -> JobListFiles:
    """Return the files of the job list that are there, of the state of all files."""
    pickle, pickle_database, database = store._job_list_names(expid)
    named = zip((pickle, pickle_database, *_list_files(database)), files, strict=False)
    return tuple((name, stamp) for name, stamp in named if stamp[0])


def is_job_list_touched(store: Store, expid: str, files: Fingerprint, job_list: JobListFiles) -> bool:
    """Answer whether the job list has changed since, mostly with a single `stat`; `files` are all, also in PostgreSQL.

    It is asked of thousands of experiments each second.
    """
    if store.postgres_url and files[-1] != _get_marks(store, expid):
        return True
    return any(_stat(name) != stamp for name, stamp in job_list)


def take_database_fingerprint(store: Store) -> Fingerprint:
    """Return what tells whether the list of experiments must be read again."""
    if store.postgres_url:
        return ((0, *store.changes.get(postgres.OF_ALL, postgres.NO_CHANGES).marks),)
    return _stat_database(str(store.database))


def take_settled_fingerprint(source: Source) -> Fingerprint | None:
    """Return what tells whether a database must be read again, or None where that cannot be told.

    A file that was written a moment ago may be written again without another time; PostgreSQL has no time.
    """
    if isinstance(source, Schema):
        return None
    stamps = _stat_database(str(source))
    newest = max(time_ns for time_ns, _, _ in stamps)
    return stamps if newest < time.time_ns() - _SETTLED_NS else None


def take_status_fingerprint(store: Store) -> Fingerprint:
    """Return what tells whether the status table must be read again."""
    return (*take_database_fingerprint(store), *_stat_database(str(store.status_database)))


def read_statuses(store: Store) -> dict[str, Recorded]:
    """Return what the status table says of each experiment; nothing where there is no table.

    It stands in `as_times.db`, in `autosubmit.db`, or in PostgreSQL. Raises UnreadableDatabase or OSError.
    """
    sources: list[Source] = [store.status_database, store.database]
    if store.postgres_url:
        sources = [Schema(store.postgres_url, "")]
    for source in sources:
        try:
            if _STATUS_TABLE in list_tables(source):
                found = read_rows(source, _STATUS_TABLE, ("name", "status", "modified"))
                return {row["name"]: _read_recorded(row) for row in found if _is_expid(row.get("name"))}
        except FileNotFoundError:
            continue
    return {}


def _read_recorded(row: dict[str, Any]) -> Recorded:
    status, modified = _to_text(row.get("status")).upper()[:20], _to_text(row.get("modified"))
    return Recorded(status, _parse_instant(modified) if _WITH_ZONE.search(modified) else None)


def _get_rc_file(home: Path, configuration: Path | None) -> Path:
    return configuration or home / ".autosubmitrc"


def _read_folder(settings: configparser.ConfigParser, section: str, rc: Path) -> Path:
    try:
        folder = Path(settings.get(section, "path"))
    except configparser.Error as error:
        raise BrokenStore(
            say(
                "{rc} has no usable `path` in its section [{section}]: {error}. Add it.",
                rc=rc,
                section=section,
                error=error,
            )
        ) from error
    if not folder.is_absolute():
        raise BrokenStore(
            say(
                "{rc}: the `path` of section [{section}] must begin with `/`, not {folder}.",
                rc=rc,
                section=section,
                folder=repr(str(folder)),
            )
        )
    return folder


def _read_postgres_url(settings: configparser.ConfigParser, rc: Path) -> str:
    """Return the address of PostgreSQL if the store is there, else a blank text."""
    backend = settings.get("database", "backend", fallback="sqlite").strip().lower()
    if backend not in ("sqlite", "postgres"):
        raise BrokenStore(
            say("{rc} names a database backend {backend}, which the portal cannot read.", rc=rc, backend=repr(backend))
        )
    if backend == "sqlite":
        return ""
    url = settings.get("database", "connection_url", raw=True, fallback="").strip()
    if not url.startswith("postgres"):
        raise BrokenStore(say("{rc} has no usable `connection_url` in its section [database]. Add it.", rc=rc))
    return url


def _read_tables(store: Store, only: str = "") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of `experiment` and `details`, of all experiments or of those of one name."""
    if store.postgres_url:
        with _explain_errors(say("The PostgreSQL database of {root}", root=store.root)):
            experiments, details = postgres.read_experiments(store.postgres_url)
            return [row for row in experiments if only in ("", row["name"])], details
    named, of_named, values = (_NAMED, _OF_NAMED, [only]) if only else ("", "", [])
    with (
        _explain_errors(say("The Autosubmit database {database}", database=store.database)),
        open_database(store.database, wait_seconds=_LOCK_WAIT_SECONDS) as connection,
    ):
        experiments = list(select_rows(connection, "experiment", _EXPERIMENT, f"{named} ORDER BY rowid", values))
        if "details" not in list_tables_of(connection):  # old versions never made it
            return experiments, []
        rows = select_rows(connection, "details", _DETAILS, f"{of_named} ORDER BY rowid", values)
        return experiments, list(rows)


@contextmanager
def _explain_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (UnreadableDatabase, postgres.Error, OSError) as error:
        raise BrokenStore(
            say(
                "{what} cannot be read: {error}. Check that it exists, that this account may read it, and "
                "that its disk is not full.",
                what=what,
                error=str(error).strip(),
            )
        ) from error


def _get_number(row: dict[str, Any]) -> int:
    return to_number(row.get("id"))


def _is_expid(name: object) -> bool:
    return isinstance(name, str) and _EXPID.fullmatch(name) is not None


def _make_record(row: dict[str, Any], details: dict[str, Any]) -> ExperimentRecord:
    return ExperimentRecord(
        autosubmit_id=_get_number(row),
        expid=row["name"],
        description=_to_text(row.get("description")),
        recorded_owner=_to_text(details.get("user")),
        hpc=_to_text(details.get("hpc")),
        version=_to_text(row.get("autosubmit_version")),
        model=_to_text(details.get("model")),
        branch=_to_text(details.get("branch")),
        created_at=_parse_instant(details.get("created")),
    )


def _to_text(value: object) -> str:
    """Return a column as text, without the NUL that PostgreSQL refuses."""
    return "" if value is None else str(value).replace("\0", "�")


def _parse_instant(value: object) -> datetime | None:
    """Read an ISO time. Old versions wrote local time without its zone, which is lost: it is taken as UTC."""
    try:
        instant = datetime.fromisoformat(_ZULU.sub("+00:00", _to_text(value)))  # Python 3.10 does not read a Z
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last day of the calendar have no neighbours
        return None


def _list_files(file: str) -> tuple[str, str]:
    """Return a file and its write-ahead log, where SQLite puts changes first if a database uses one."""
    return file, f"{file}-wal"


def _stat_database(database: str) -> tuple[_Stamp, _Stamp]:
    """Return the stamps of a database and of its write-ahead log, which is nowhere without it."""
    file, log = _list_files(database)
    stamp = _stat(file)
    return stamp, _ABSENT if stamp == _ABSENT else _stat(log)


def _get_marks(store: Store, expid: str) -> _Stamp:
    return (0, *store.changes.get(expid, postgres.NO_CHANGES).marks)


def _stat(name: str) -> _Stamp:
    try:
        status = os.stat(name)
    except OSError:
        return _ABSENT
    time_ns = status.st_mtime_ns
    # Whoever owns a file may give it a time that no other program takes.
    if not -_LARGEST_NS <= time_ns <= _LARGEST_NS:
        time_ns = min(max(time_ns, -_LARGEST_NS), _LARGEST_NS)
    return time_ns, status.st_size, status.st_ino
