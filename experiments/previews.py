"""What an action would change, worked out from the mirror: pure functions that the catalogue's entries name.

Each takes the workflow, the validated parameters and, where Autosubmit's own dry run was asked, the status that it
reported for each job. They follow Autosubmit 4.1.17 (`set_status`, `recovery`), with which tests compare them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.autosubmit.chunk_filter import UnreadableFilter, read_chunk_filter
from jobs.workflow import ACTIVE, DONE, JobRow, Workflow

NAMED = 5
"""How many jobs a warning names."""


@dataclass(frozen=True, slots=True)
class Change:
    """A job and its status before and after."""

    job: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What would change, what waits for that, and what a person should know first.

    `changes` is None where it cannot be worked out; a warning says why.
    """

    changes: Sequence[Change] | None
    children: Sequence[JobRow] = ()
    warnings: Sequence[str] = ()


Preview = Callable[[Workflow, Mapping[str, Any], Mapping[str, str] | None], Effect]


def set_status(
    workflow: Workflow, parameters: Mapping[str, Any], reported: Mapping[str, str] | None = None
) -> Effect:
    """Preview a change of status: exactly the chosen jobs that have another one."""
    way = next(way for way in _WAYS if parameters.get(way))
    new = parameters["status"]
    try:
        chosen, doubts = _WAYS[way](workflow, parameters[way])
    except UnreadableFilter as error:
        return Effect(None, warnings=[f"Autosubmit will refuse this filter. {error}"])
    changes = [Change(row.name, row.status, new) for row in chosen if row.status != new]
    if reported is not None:
        changes = [
            Change(name, workflow.jobs[name].status, status)
            for name, status in reported.items()
            if name in workflow.jobs
        ]
    if chosen and not changes:
        doubts.append(f"No job would change: {_jobs(len(chosen))} chosen, all {new} already.")
    children = workflow.descendants(change.job for change in changes)
    return Effect(changes, children, doubts + _warnings(workflow, changes, children, new))


def restart(
    workflow: Workflow, _parameters: Mapping[str, Any], reported: Mapping[str, str] | None = None
) -> Effect:
    """Preview a recovery of all jobs: completed ones stay, suspended ones too, all others wait or are ready.

    Which jobs have completed is known to the platforms (their completion files) and so to Autosubmit's dry run; the
    mirror takes those that the job list calls COMPLETED.
    """
    known = reported or {row.name: row.status for row in workflow.rows}
    completed = {name for name, status in known.items() if status == "COMPLETED"}
    after = _recovered(workflow, completed)
    changes = [
        Change(row.name, row.status, after[row.name])
        for row in workflow.rows
        if row.status != after[row.name]
    ]
    undone = [change.job for change in changes if change.old == "COMPLETED"]
    warnings = [f"{_named(undone)} would lose COMPLETED: a parent has not completed."] if undone else []
    active = [row.name for row in workflow.rows if row.status in ACTIVE]
    if active:
        is_forced = bool(_parameters.get("force"))
        end = (
            "they are cancelled first."
            if is_forced
            else "Autosubmit refuses this unless force cancels them first."
        )
        warnings.append(f"{_named(active)} still active according to the job list: {end}")
    if reported is None:
        warnings.append(
            "Autosubmit also looks for completion files on the platforms: a job that was set to COMPLETED by hand "
            "runs again, one that has ended since counts as COMPLETED. Its own dry run knows."
        )
    ready = [name for name, status in after.items() if status == "READY"]
    return Effect(changes, workflow.descendants(ready), warnings)


def _recovered(workflow: Workflow, completed: set[str]) -> dict[str, str]:
    """Return the status of each job after `recovery --all`, step by step as Autosubmit takes them."""
    after = {row.name: "SUSPENDED" if row.status == "SUSPENDED" else "WAITING" for row in workflow.rows}
    after |= dict.fromkeys(completed & after.keys(), "COMPLETED")
    for (
        name,
        status,
    ) in after.items():  # in the order of the job list: a job that goes back may take others along
        if status == "COMPLETED" and any(
            after[parent] == "WAITING" for parent in workflow.parents.get(name, ())
        ):
            after[name] = "WAITING"
    for name, status in list(after.items()):
        if status == "WAITING" and all(after[parent] in DONE for parent in workflow.parents.get(name, ())):
            after[name] = "READY"
    return after


# --- Which jobs are chosen

_Choice = tuple[list[JobRow], list[str]]


def _by_name(workflow: Workflow, names: Sequence[str]) -> _Choice:
    wanted = set(names)
    return [row for row in workflow.rows if row.name in wanted], []


def _by_status(workflow: Workflow, statuses: Sequence[str]) -> _Choice:
    absent = sorted(set(statuses) - {row.status for row in workflow.rows})
    doubts = [f"Autosubmit will refuse this: no job is {status}." for status in absent]
    return [row for row in workflow.rows if row.status in statuses], doubts


def _by_section(workflow: Workflow, sections: Sequence[str]) -> _Choice:
    wanted = {section.upper() for section in sections}
    if "ANY" in wanted:
        return list(workflow.rows), []
    absent = sorted(wanted - {row.section.upper() for row in workflow.rows})
    doubts = [
        f"There is no job of section {section}; Autosubmit refuses one that it does not know."
        for section in absent
    ]
    return [row for row in workflow.rows if row.section.upper() in wanted], doubts


def _by_chunks(workflow: Workflow, text: str) -> _Choice:
    wanted = read_chunk_filter(text)
    chosen = [row for row in workflow.rows if wanted.matches(row.date, row.member, row.chunk)]
    return chosen, [] if chosen else ["No job has such a date, member and chunk."]


_WAYS: dict[str, Callable[[Workflow, Any], _Choice]] = {
    "jobs": _by_name,
    "filter_status": _by_status,
    "filter_section": _by_section,
    "filter_chunks": _by_chunks,
}


# --- What a person should know


def _warnings(
    workflow: Workflow, changes: Sequence[Change], children: Sequence[JobRow], new: str
) -> list[str]:
    warnings = _too_early(workflow, changes) if new == "READY" else []
    active = [change.job for change in changes if change.old in ACTIVE]
    if active:
        warnings.append(
            f"{_named(active)} active: cancelled on the platform first, left alone if it cannot be reached."
        )
    again = [change.job for change in changes if change.old == "COMPLETED"]
    if again and new in ("READY", "WAITING"):
        warnings.append(f"{_named(again)} COMPLETED already: to run again.")
        after = [row.name for row in children if row.status == "COMPLETED"]
        if after:
            warnings.append(f"{_named(after)} COMPLETED after that: not run again.")
    return warnings


def _too_early(workflow: Workflow, changes: Sequence[Change]) -> list[str]:
    """Warn about each job that would be submitted although it should wait."""
    waiting = [(change.job, workflow.unfinished_parents(change.job)) for change in changes]
    early = [(job, parents) for job, parents in waiting if parents]
    warnings = [
        f"{job} would start before its parents have completed: "
        + _listed([f"{parent.name} ({parent.status})" for parent in parents])
        for job, parents in early[:NAMED]
    ]
    more = len(early) - NAMED
    return warnings + (
        [f"{_jobs(more)} more would start before their parents have completed."] if more > 0 else []
    )


def _named(names: Sequence[str]) -> str:
    """Return for example "2 jobs (a000_1_SIM, a000_2_SIM)"."""
    return f"{_jobs(len(names))} ({_listed(names)})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _jobs(count: int) -> str:
    return f"{count} {'job' if count == 1 else 'jobs'}"


def counts(rows: Iterable[JobRow]) -> dict[str, int]:
    """Return the number of jobs per status, the most frequent first."""
    found: dict[str, int] = {}
    for row in rows:
        found[row.status] = found.get(row.status, 0) + 1
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
