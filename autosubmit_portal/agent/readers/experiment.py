"""What the portal mirrors of one experiment."""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from autosubmit_portal.agent.protocol.fields import refuse_others, take_text
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.jobs import compare, find_edges, make_revision, read_jobs
from autosubmit_portal.agent.readers.memory import Told
from autosubmit_portal.agent.readers.place import Answer, Place, make_document
from autosubmit_portal.sentences import say
from experiments.autosubmit import forms
from experiments.autosubmit.command_logs import StopLogs, find_commands_since
from experiments.autosubmit.liveness import Liveness, check_liveness, read_locks
from experiments.autosubmit.plans import read_plans
from experiments.autosubmit.store import Fingerprint, read_all_experiments, take_fingerprint
from jobs.autosubmit.database import MAX_BYTES
from jobs.autosubmit.edges import Edge
from jobs.autosubmit.history import UnreadableHistory, read_runs
from jobs.autosubmit.values import UTC

# Clocks of hosts differ a little, and a command logs a little before and after it saves.
_SLACK = timedelta(seconds=2)
# PostgreSQL does not tell when a job list has changed, but that it has is seen within so long.
_LATEST = timedelta(seconds=60)
_MOST_PLAIN_BYTES = 1024 * 1024


def read_fresh(place: Place, arguments: Message) -> Answer:
    """Look at the state of an experiment, without opening a file of its own."""
    refuse_others(arguments)
    store, expid, locks = place.store, place.expid, read_locks()
    fresh = {
        "records": _tell_records(place),
        "owner": forms.read_owner(store, expid),
        "absence": _explain_absence(place),
        "alive": forms.tell_run_state(forms.make_run_state(check_liveness(store.lock_file(expid), locks))),
        "are_locks_known": locks.is_known,
        "files": take_fingerprint(store, expid),
    }
    return {}, make_document(fresh)


def read_stops(place: Place, arguments: Message) -> Answer:
    """Look when a command has last stopped the run of an experiment."""
    refuse_others(arguments)
    stopped_at = StopLogs(place.store.command_logs).find_last(place.expid)
    return {"stopped_at": stopped_at.timestamp() if stopped_at else None}, b""


def read_experiment(place: Place, arguments: Message) -> Answer:
    """Read all that is mirrored of an experiment, and tell what the portal does not have yet."""
    refuse_others(arguments, "revision", "plans_source", "edges")
    known = {name: take_text(arguments, name) for name in ("revision", "plans_source", "edges")}
    head = _make_head(place)
    content = None if head["absence"] else _read_content(place, head["files"], known)
    head["absence"] = head["absence"] or _explain_absence(place)  # it may have gone while it was read
    head["records"] = _tell_records(place)  # the last: the name may be given to another experiment meanwhile
    if content is None or head["absence"]:
        return _pack([forms.tell_line(head)])
    return _pack(forms.make_lines(head | content.head, content.jobs, content.edges))


@dataclass(frozen=True, slots=True)
class _Content:
    """What the portal does not have of an experiment: a part of the head, lines of jobs, and edges."""

    head: Message
    jobs: Iterable[bytes]
    edges: Iterable[Edge]


def _read_content(place: Place, files: Fingerprint, known: Mapping[str, str]) -> _Content:
    place.means.allow(_count_bytes(files))
    jobs, before = read_jobs(place), place.means.memory.recall(place.expid, known["revision"])
    digests = jobs.make_digests()
    changes, edges = compare(digests, before), find_edges(place, jobs, files, before, known["edges"])
    told = Told(make_revision(digests), digests, edges.mark, edges.has_any, () if jobs.edges else files)
    if told != before:
        place.means.memory.keep(place.expid, told)
    runs = _tell_runs(place, known["plans_source"])
    head = runs | changes.describe() | edges.describe() | {"revision": told.revision}
    return _Content(head, map(jobs.tell, changes.names), edges.between or ())


def _count_bytes(files: Fingerprint) -> int:
    """Return how many bytes there may be to read. What stands in PostgreSQL has no time, and is not counted."""
    return sum(min(size, MAX_BYTES) for time_ns, size, _ in files if time_ns)


def _pack(lines: Iterable[bytes]) -> Answer:
    data = b"".join(lines)
    if len(data) <= _MOST_PLAIN_BYTES:
        return {"is_compressed": False}, data
    return {"is_compressed": True}, zlib.compress(data, 1)


def _make_head(place: Place) -> Message:
    """Return what is known without opening a file, and the rest as it is of an experiment that has no folder."""
    store, expid = place.store, place.expid
    files = take_fingerprint(store, expid)
    alive = check_liveness(store.lock_file(expid), read_locks())
    changed_at = store.get_job_list_time(expid)
    return {
        "absence": _explain_absence(place),
        "files": files,
        "alive": forms.tell_run_state(forms.make_run_state(alive)),
        "changed_at": changed_at.timestamp() if changed_at else None,
        "commands": _find_commands(place, alive, changed_at),
        "runs": [],
        "plans": None,
        "base": "",
        "revision": "",
        "jobs": 0,
        "removed": [],
        "edges": None,
        "edges_mark": "",
        "has_edges": False,
    }


def _tell_records(place: Place) -> list[Message]:
    records = read_all_experiments(place.store, only=place.expid)
    return [*map(forms.tell_record, records[-forms.MOST_RECORDS :])]


def _explain_absence(place: Place) -> str:
    return place.store.explain_absence(place.expid)[: forms.LONGEST_ABSENCE]


def _find_commands(place: Place, alive: Liveness, changed_at: datetime | None) -> list[str]:
    """Return which commands may have changed the job list; while a run lives that is clear."""
    if alive.is_running:
        return []
    since = changed_at - _SLACK if changed_at else datetime.now(UTC) - _LATEST
    found = find_commands_since(str(place.store.experiment_folder(place.expid)), since.timestamp())
    return [name for name in found if len(name) <= forms.LONGEST_COMMAND][: forms.MOST_COMMANDS]


def _tell_runs(place: Place, plans_source: str) -> Message:
    runs = read_runs(place.store.history_database(place.expid))
    if len(runs) > forms.MOST_RUNS:
        raise UnreadableHistory(
            say("The history of {expid} has more than {most} runs.", expid=place.expid, most=f"{forms.MOST_RUNS:,}")
        )
    plans = read_plans(place.store, place.expid, runs, plans_source)
    return {"runs": [*map(forms.tell_run, runs)], "plans": asdict(plans) if plans else None}
