"""What the portal mirrors of one experiment."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from hashlib import blake2b

from autosubmit_portal.agent.protocol.fields import refuse_others, take_text
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.place import Answer, Place, make_document
from experiments.autosubmit import forms
from experiments.autosubmit.command_logs import StopLogs, find_commands_since
from experiments.autosubmit.liveness import Liveness, check_liveness, read_locks
from experiments.autosubmit.plans import read_plans
from experiments.autosubmit.store import read_all_experiments, take_fingerprint
from jobs.autosubmit.edges import Edge
from jobs.autosubmit.history import JobTimes, UnreadableHistory, read_attempts, read_runs
from jobs.autosubmit.job_list import JobList, read_dependencies, read_job_list
from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.wrappers import add_wrappers, read_wrappers

# Clocks of hosts differ a little, and a command logs a little before and after it saves.
_SLACK = timedelta(seconds=2)


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
    """Read all that is mirrored of an experiment."""
    refuse_others(arguments, "revision", "plans_source", "edges")
    plans_source = take_text(arguments, "plans_source", most=100)
    head = _make_head(place)
    if head["absence"]:
        return {"is_compressed": False}, forms.tell_line(head | {"records": _tell_records(place)})
    job_list = _read_job_list(place)
    times = read_attempts(place.store.history_database(place.expid)).newest
    jobs = {job.name: _tell_job(job, times.get(job.name)) for job in job_list.jobs}
    edges = _read_edges(place, job_list)
    head |= _tell_runs(place, plans_source)
    head |= {"revision": _digest(jobs.values()), "jobs": len(jobs)}
    head |= {"edges": len(edges or ()), "edges_mark": _mark_edges(jobs, edges), "has_edges": edges is not None}
    head["records"] = _tell_records(place)  # the last: the name may be given to another experiment meanwhile
    return {"is_compressed": False}, b"".join(forms.make_lines(head, jobs.values(), edges or ()))


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
    if alive.is_running or changed_at is None:
        return []
    folder = str(place.store.experiment_folder(place.expid))
    found = find_commands_since(folder, (changed_at - _SLACK).timestamp())
    return [name for name in found if len(name) <= forms.LONGEST_COMMAND][: forms.MOST_COMMANDS]


def _read_job_list(place: Place) -> JobList:
    store, expid = place.store, place.expid
    try:
        job_list = read_job_list(store.job_list(expid), decode=place.decode)
    except FileNotFoundError:  # not generated yet
        job_list = JobList()
    return replace(job_list, jobs=add_wrappers(job_list.jobs, read_wrappers(store.wrapper_database(expid))))


def _tell_job(job: JobRecord, times: JobTimes | None) -> bytes:
    return forms.tell_line([forms.tell_job(job), forms.tell_times(times) if times else None])


def _read_edges(place: Place, job_list: JobList) -> list[Edge] | None:
    return job_list.edges or read_dependencies(place.store.structure_database(place.expid))


def _tell_runs(place: Place, plans_source: str) -> Message:
    runs = read_runs(place.store.history_database(place.expid))
    if len(runs) > forms.MOST_RUNS:
        raise UnreadableHistory(f"The history of {place.expid} has more than {forms.MOST_RUNS:,} runs.")
    plans = read_plans(place.store, place.expid, runs, plans_source)
    return {"runs": [*map(forms.tell_run, runs)], "plans": asdict(plans) if plans else None}


def _mark_edges(names: Iterable[str], edges: Collection[Edge] | None) -> str:
    """Return what changes with the edges, and with the jobs between which they are."""
    return _digest([forms.tell_line([*names, edges is not None]), *map(forms.tell_line, edges or ())])


def _digest(lines: Iterable[bytes]) -> str:
    digest = blake2b(digest_size=16)
    for line in lines:
        digest.update(line)
    return digest.hexdigest()
