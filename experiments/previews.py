"""What an action would change, worked out from the mirror: pure functions that the catalogue's entries name.

Each takes the workflow, the validated parameters and, where Autosubmit's own dry run was asked, the status that it
reported for each job. They follow Autosubmit 4.1.17 (`set_status`, `recovery`), with which tests compare them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.autosubmit.chunk_filter import read_chunk_filter
from jobs.workflow import ACTIVE, DONE, JobRow, Workflow

NAMED = 5
"""How many jobs a warning names."""

# What `recovery` refuses, or cancels when forced.
IN_QUEUE = (*ACTIVE, "UNKNOWN", "HELD")

_UNSURE = (
    "Autosubmit also looks for completion files on the platforms: a job that was set to COMPLETED by hand runs again, "
    "one that has ended since counts as COMPLETED. Its own dry run knows."
)


@dataclass(frozen=True, slots=True)
class Change:
    """A job and its status before and after."""

    job: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What would change, what waits for that, and what a person should know first."""

    changes: Sequence[Change] = ()
    children: Sequence[JobRow] = ()
    warnings: Sequence[str] = ()


Parameters = Mapping[str, Any]
Reported = Mapping[str, str] | None
Preview = Callable[[Workflow, Parameters, Reported], Effect]


def set_status(workflow: Workflow, parameters: Parameters, reported: Reported = None) -> Effect:
    """Preview a change of status: exactly the chosen jobs that have another one."""
    way = next(way for way in _WAYS if parameters.get(way))
    new = parameters["status"]
    chosen, doubts = _WAYS[way](workflow, parameters[way])
    changes = _differing(workflow, dict.fromkeys(chosen, new) if reported is None else reported)
    if chosen and not changes:
        doubts.append(f"No job would change: {_jobs(len(chosen))} chosen, all {new} already.")
    children = workflow.descendants(change.job for change in changes)
    return Effect(changes, children, doubts + _warnings(workflow, changes, children, new))


def restart(workflow: Workflow, parameters: Parameters, reported: Reported = None) -> Effect:
    """Preview a recovery of all jobs: completed ones stay, suspended ones too, all others wait or are ready.

    Which jobs have completed is known to the platforms (their completion files) and so to Autosubmit's dry run; the
    mirror takes those that the job list calls COMPLETED.
    """
    known = {row.name: row.status for row in workflow.rows} if reported is None else reported
    after = _recovered(workflow, {name for name, status in known.items() if status == "COMPLETED"})
    changes = _differing(workflow, after)
    ready = [name for name, status in after.items() if status == "READY"]
    warnings = _undone(changes) + _in_queue(workflow, is_forced=bool(parameters.get("force")))
    return Effect(changes, workflow.descendants(ready), warnings + ([_UNSURE] if reported is None else []))


def _differing(workflow: Workflow, after: Mapping[str, str]) -> list[Change]:
    return [
        Change(row.name, row.status, after[row.name])
        for row in workflow.rows
        if after.get(row.name, row.status) != row.status
    ]


def _recovered(workflow: Workflow, completed: set[str]) -> dict[str, str]:
    """Return the status of each job after `recovery --all`, step by step as Autosubmit takes them."""
    after = {row.name: "SUSPENDED" if row.status == "SUSPENDED" else "WAITING" for row in workflow.rows}
    after |= dict.fromkeys(completed & after.keys(), "COMPLETED")
    # In the order of the job list: a job that goes back takes along those that come later.
    for name, status in after.items():
        if status == "COMPLETED" and "WAITING" in _of_parents(workflow, name, after):
            after[name] = "WAITING"
    for name, status in after.items():
        if status == "WAITING" and all(parent in DONE for parent in _of_parents(workflow, name, after)):
            after[name] = "READY"
    return after


def _of_parents(workflow: Workflow, name: str, statuses: Mapping[str, str]) -> list[str]:
    return [statuses[parent] for parent in workflow.parents.get(name, ())]


# --- Which jobs are chosen

_Choice = tuple[list[str], list[str]]
"""The names of the jobs, and doubts about the choice."""


def _by_name(workflow: Workflow, names: Sequence[str]) -> _Choice:
    return [name for name in names if name in workflow.jobs], []


def _by_status(workflow: Workflow, statuses: Sequence[str]) -> _Choice:
    absent = sorted(set(statuses) - {row.status for row in workflow.rows})
    doubts = [f"filter_status: no job is {status}. Autosubmit refuses that." for status in absent]
    return [row.name for row in workflow.rows if row.status in statuses], doubts


def _by_section(workflow: Workflow, sections: Sequence[str]) -> _Choice:
    wanted = {section.upper() for section in sections}
    if "ANY" in wanted:
        return list(workflow.jobs), []
    absent = sorted(wanted - {row.section.upper() for row in workflow.rows})
    doubts = [
        f"filter_section: no job is of section {section}. Autosubmit refuses one that is not configured."
        for section in absent
    ]
    return [row.name for row in workflow.rows if row.section.upper() in wanted], doubts


def _by_chunks(workflow: Workflow, text: str) -> _Choice:
    wanted = read_chunk_filter(text)
    chosen = [row.name for row in workflow.rows if wanted.matches(row.date, row.member, row.chunk)]
    unknown = wanted.unknown((row.date, row.member, row.chunk) for row in workflow.rows)
    doubts = [f"filter_chunks: no job has {_listed(unknown)}."] if unknown else []
    if not chosen and not unknown:
        doubts.append("filter_chunks: no job has these dates, members and chunks together.")
    return chosen, doubts


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


def _undone(changes: Sequence[Change]) -> list[str]:
    undone = [change.job for change in changes if change.old == "COMPLETED"]
    return [f"{_named(undone)} would lose COMPLETED."] if undone else []


def _in_queue(workflow: Workflow, *, is_forced: bool) -> list[str]:
    active = [row.name for row in workflow.rows if row.status in IN_QUEUE]
    if not active:
        return []
    end = "cancelled first" if is_forced else "Autosubmit refuses that unless force cancels them first"
    return [f"{_named(active)} still active according to the job list: {end}."]


def _named(names: Sequence[str]) -> str:
    """Return for example "2 jobs (a000_1_SIM, a000_2_SIM)"."""
    return f"{_jobs(len(names))} ({_listed(names)})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _jobs(count: int) -> str:
    return f"{count} {'job' if count == 1 else 'jobs'}"
