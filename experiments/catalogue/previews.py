"""What an action would change, worked out from the mirror: pure functions that the catalogue's entries name.

Each takes the workflow, the validated parameters and, where Autosubmit's own dry run was asked, the status that it
reported for each job. They follow Autosubmit 4.1.17 (`set_status`, `recovery`), with which tests compare them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.autosubmit.command import parts
from jobs.autosubmit.chunk_filter import read_chunk_filter
from jobs.autosubmit.statuses import ACTIVE, DONE
from jobs.workflow import JobRow, Workflow

NAMED = 5
"""How many jobs a warning names."""

UNDONE = ("READY", "WAITING")

# What `recovery` refuses, or cancels when forced.
IN_QUEUE = (*ACTIVE, "UNKNOWN", "HELD")

# What Autosubmit makes WAITING whenever it loads a job list (`Job.__init__`, 4.1.17).
RESET = ("READY", "DELAYED", "PREPARED")

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
Choice = tuple[list[str], list[str]]
"""The names of the jobs, and doubts about the choice."""

Choose = Callable[[Workflow, Parameters], Choice]


def set_status(workflow: Workflow, parameters: Parameters, reported: Reported = None) -> Effect:
    """Preview `setstatus`: the chosen jobs that have another status, and those that loading the job list resets."""
    new: str = parameters["status"]
    chosen, doubts = choose(workflow, parameters)
    loaded = {row.name: _loaded(row.status) for row in workflow.rows}
    told = _told(dict.fromkeys(chosen, new) if reported is None else reported)
    changes = _differing(workflow, {**loaded, **told})
    wanted = set(chosen)
    own = [change for change in changes if change.job in wanted]
    reset = [change.job for change in changes if change.job not in wanted]
    if reset:
        doubts.append(f"{_named(reset)} READY or delayed: loaded as WAITING, and so again by each run.")
    if new in RESET and list(told.values()).count(new) < len(told):
        doubts.append(
            f"The names need several commands, and each loads those that are {new} already as WAITING."
        )
    early = _too_early(workflow, own, "READY does not let it start before its parents have completed")
    return _effect(workflow, own, doubts + _none_of(chosen, own, new) + early, changes)


def choose(workflow: Workflow, parameters: Parameters) -> Choice:
    """Return the jobs that the parameters mean, by name or by a filter."""
    way = next(way for way in _WAYS if parameters.get(way))
    return _WAYS[way](workflow, parameters[way])


def set_status_live(workflow: Workflow, parameters: Parameters, _reported: Reported = None) -> Effect:
    """Preview a change that a run makes: exactly the named jobs that have another status. No dry run reports it."""
    new: str = parameters["status"]
    chosen, doubts = _by_name(workflow, parameters["jobs"])
    changes = _differing(workflow, dict.fromkeys(chosen, new))
    early = _too_early(workflow, changes, "it would start before its parents have completed")
    return _effect(workflow, changes, doubts + _none_of(chosen, changes, new) + early, changes)


def _effect(
    workflow: Workflow, own: Sequence[Change], warnings: list[str], changes: Sequence[Change]
) -> Effect:
    children = workflow.descendants(change.job for change in own)
    return Effect(changes, children, warnings + _warnings(own, children))


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


def _loaded(status: str) -> str:
    """Return the status of a job in the eyes of a command."""
    return "WAITING" if status in RESET else status


def _told(said: Mapping[str, str]) -> dict[str, str]:
    """Return the statuses that the commands leave: a long list needs several, and each loads what others have set."""
    (*_, last) = parts(list(said))
    return {name: _loaded(status) for name, status in said.items()} | {name: said[name] for name in last}


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


def _by_name(workflow: Workflow, names: Sequence[str]) -> Choice:
    return [name for name in names if name in workflow.jobs], []


def _by_status(workflow: Workflow, statuses: Sequence[str]) -> Choice:
    absent = sorted(set(statuses) - {row.status for row in workflow.rows})
    doubts = [f"filter_status: no job is {status}." for status in absent]
    return [row.name for row in workflow.rows if row.status in statuses], doubts


def _by_section(workflow: Workflow, sections: Sequence[str]) -> Choice:
    wanted = {section.upper() for section in sections}
    if "ANY" in wanted:
        return list(workflow.jobs), []
    absent = sorted(wanted - {row.section.upper() for row in workflow.rows})
    doubts = [f"filter_section: no job is of section {section}." for section in absent]
    return [row.name for row in workflow.rows if row.section.upper() in wanted], doubts


def _by_chunks(workflow: Workflow, text: str) -> Choice:
    wanted = read_chunk_filter(text)
    chosen = [row.name for row in workflow.rows if wanted.matches(row.date, row.member, row.chunk)]
    unknown = wanted.unknown((row.date, row.member, row.chunk) for row in workflow.rows)
    doubts = [f"filter_chunks: no job has {_listed(unknown)}."] if unknown else []
    if not chosen and not unknown:
        doubts.append("filter_chunks: no job has these dates, members and chunks together.")
    return chosen, doubts


_WAYS: dict[str, Callable[[Workflow, Any], Choice]] = {
    "jobs": _by_name,
    "filter_status": _by_status,
    "filter_section": _by_section,
    "filter_chunks": _by_chunks,
}


# --- What a person should know


def _none_of(chosen: Sequence[str], changes: Sequence[Change], new: str) -> list[str]:
    if not chosen or changes:
        return []
    return [f"No job would change: {_jobs(len(chosen))} chosen, all {new} already."]


def _warnings(changes: Sequence[Change], children: Sequence[JobRow]) -> list[str]:
    warnings = []
    active = [change.job for change in changes if change.old in ACTIVE]
    if active:
        warnings.append(
            f"{_named(active)} active: cancelled on the platform first, left alone if it cannot be reached."
        )
    again = [change.job for change in changes if change.old == "COMPLETED" and change.new in UNDONE]
    if again:
        warnings.append(f"{_named(again)} COMPLETED already: to run again.")
        after = [row.name for row in children if row.status == "COMPLETED"]
        if after:
            warnings.append(f"{_named(after)} COMPLETED after that: not run again.")
    return warnings


def _too_early(workflow: Workflow, changes: Sequence[Change], consequence: str) -> list[str]:
    """Warn about each job that is made READY although it should wait."""
    ready = [change.job for change in changes if change.new == "READY"]
    after = {row.name: row.status for row in workflow.rows} | {change.job: change.new for change in changes}
    early = [
        (job, unfinished)
        for job in ready
        if (unfinished := _unfinished(workflow.parents.get(job, ()), after))
    ]
    warnings = [f"{job}: {consequence}, {_listed(unfinished)}." for job, unfinished in early[:NAMED]]
    more = len(early) - NAMED
    return warnings + ([f"{_jobs(more)} more with unfinished parents."] if more > 0 else [])


def _unfinished(parents: Sequence[str], statuses: Mapping[str, str]) -> list[str]:
    return [f"{parent} ({statuses[parent]})" for parent in parents if statuses[parent] not in DONE]


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
