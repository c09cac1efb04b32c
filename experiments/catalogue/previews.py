"""What an action would change, worked out from the mirror: pure functions that the catalogue's entries name.

Each takes the workflow, the validated parameters and, where Autosubmit's own dry run was asked, the status that it
reported for each job. They follow Autosubmit 4.1.17 (`set_status`, `recovery`), with which tests compare them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from autosubmit_portal.sentences import marked, say
from experiments.autosubmit.command import split_list
from experiments.catalogue.facts import Parameters, join_names
from experiments.catalogue.selection import choose, choose_by_name
from jobs.autosubmit.statuses import ACTIVE, DONE
from jobs.workflow import JobRow, Workflow

NAMED = 5
"""How many jobs a warning names."""

UNDONE = ("READY", "WAITING")

# What `recovery` refuses, or cancels when forced.
IN_QUEUE = (*ACTIVE, "UNKNOWN", "HELD")

# What Autosubmit makes WAITING whenever it loads a job list (`Job.__init__`, 4.1.17).
RESET = ("READY", "DELAYED", "PREPARED")

_UNSURE = marked(
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
    """What would change, what waits for that, and what a person should know first.

    `besides` are those of the changes that nobody has asked for: Autosubmit makes them when it loads the job list.
    """

    changes: Sequence[Change] = ()
    children: Sequence[JobRow] = ()
    warnings: Sequence[str] = ()
    besides: Sequence[Change] = ()

    @property
    def wanted(self) -> list[Change]:
        """The changes that were asked for."""
        besides = {change.job for change in self.besides}
        return [change for change in self.changes if change.job not in besides]


Reported = Mapping[str, str] | None
Preview = Callable[[Workflow, Parameters, Reported], Effect]


def preview_set_status(workflow: Workflow, parameters: Parameters, reported: Reported = None) -> Effect:
    """Preview `setstatus`: the chosen jobs that have another status, and those that loading the job list resets."""
    new: str = parameters["status"]
    chosen, doubts = choose(workflow, parameters)
    loaded = {row.name: _load(row.status) for row in workflow.rows}
    told = _tell(dict.fromkeys(chosen, new) if reported is None else reported)
    changes = _compare(workflow, {**loaded, **told})
    wanted = set(chosen)
    own = [change for change in changes if change.job in wanted]
    besides = [change for change in changes if change.job not in wanted]
    if besides:
        doubts.append(
            say(
                "{jobs} READY or DELAYED: Autosubmit loads these as WAITING, as each start does.",
                jobs=_name_jobs([change.job for change in besides]),
            )
        )
    if new in RESET and list(told.values()).count(new) < len(told):
        doubts.append(
            say(
                "The names need several commands, and each loads those that are {status} already as WAITING.",
                status=new,
            )
        )
    early = _warn_of_start(workflow, own, say("READY does not let it start before its parents have completed"))
    effect = _make_effect(workflow, own, doubts + _warn_of_nothing(chosen, own, new) + early, changes)
    return replace(effect, besides=besides)


def preview_reset(workflow: Workflow, parameters: Parameters, reported: Reported = None) -> Effect:
    """Preview a `setstatus` that makes the chosen jobs READY."""
    return preview_set_status(workflow, {**parameters, "status": "READY"}, reported)


def preview_live_change(workflow: Workflow, parameters: Parameters, _reported: Reported = None) -> Effect:
    """Preview a change that a run makes: exactly the named jobs that have another status. No dry run reports it."""
    new: str = parameters["status"]
    chosen, doubts = choose_by_name(workflow, parameters["jobs"])
    changes = _compare(workflow, dict.fromkeys(chosen, new))
    early = _warn_of_start(workflow, changes, say("it would start before its parents have completed"))
    return _make_effect(workflow, changes, doubts + _warn_of_nothing(chosen, changes, new) + early, changes)


def _make_effect(workflow: Workflow, own: Sequence[Change], warnings: list[str], changes: Sequence[Change]) -> Effect:
    children = workflow.find_descendants(change.job for change in own)
    return Effect(changes, children, warnings + _warn(own, children))


def preview_restart(workflow: Workflow, parameters: Parameters, reported: Reported = None) -> Effect:
    """Preview a recovery of all jobs: completed ones stay, suspended ones too, all others wait or are ready.

    Which jobs have completed is known to the platforms (their completion files) and so to Autosubmit's dry run; the
    mirror takes those that the job list calls COMPLETED.
    """
    known = {row.name: row.status for row in workflow.rows} if reported is None else reported
    after = _recover(workflow, {name for name, status in known.items() if status == "COMPLETED"})
    changes = _compare(workflow, after)
    ready = [name for name, status in after.items() if status == "READY"]
    warnings = _warn_of_undone(changes) + _warn_of_queue(workflow, is_forced=bool(parameters.get("force")))
    return Effect(changes, workflow.find_descendants(ready), warnings + ([_UNSURE] if reported is None else []))


def _load(status: str) -> str:
    """Return the status of a job in the eyes of a command."""
    return "WAITING" if status in RESET else status


def _tell(said: Mapping[str, str]) -> dict[str, str]:
    """Return the statuses that the commands leave: a long list needs several, and each loads what others have set."""
    (*_, last) = split_list(list(said))
    return {name: _load(status) for name, status in said.items()} | {name: said[name] for name in last}


def _compare(workflow: Workflow, after: Mapping[str, str]) -> list[Change]:
    return [
        Change(row.name, row.status, after[row.name])
        for row in workflow.rows
        if after.get(row.name, row.status) != row.status
    ]


def _recover(workflow: Workflow, completed: set[str]) -> dict[str, str]:
    """Return the status of each job after `recovery --all`, step by step as Autosubmit takes them."""
    after = {row.name: "SUSPENDED" if row.status == "SUSPENDED" else "WAITING" for row in workflow.rows}
    after |= dict.fromkeys(completed & after.keys(), "COMPLETED")
    # In the order of the job list: a job that goes back takes along those that come later.
    for name, status in after.items():
        if status == "COMPLETED" and "WAITING" in _get_parent_statuses(workflow, name, after):
            after[name] = "WAITING"
    for name, status in after.items():
        if status == "WAITING" and all(parent in DONE for parent in _get_parent_statuses(workflow, name, after)):
            after[name] = "READY"
    return after


def _get_parent_statuses(workflow: Workflow, name: str, statuses: Mapping[str, str]) -> list[str]:
    return [statuses[parent] for parent in workflow.parents.get(name, ())]


# --- What a person should know


def _warn_of_nothing(chosen: Sequence[str], changes: Sequence[Change], new: str) -> list[str]:
    if not chosen or changes:
        return []
    count = _count_jobs(len(chosen))
    return [say("None of the chosen jobs would change: {count} chosen, all {status} already.", count=count, status=new)]


def _warn(changes: Sequence[Change], children: Sequence[JobRow]) -> list[str]:
    warnings: list[str] = []
    active = [change.job for change in changes if change.old in ACTIVE]
    if active:
        warnings.append(
            say(
                "{jobs} active: cancelled on the platform first, left alone if it cannot be reached.",
                jobs=_name_jobs(active),
            )
        )
    again = [change.job for change in changes if change.old == "COMPLETED" and change.new in UNDONE]
    if again:
        warnings.append(say("{jobs} COMPLETED already: to run again.", jobs=_name_jobs(again)))
        after = [row.name for row in children if row.status == "COMPLETED"]
        if after:
            warnings.append(say("{jobs} COMPLETED after that: not run again.", jobs=_name_jobs(after)))
    return warnings


def _warn_of_start(workflow: Workflow, changes: Sequence[Change], consequence: str) -> list[str]:
    """Warn about each job that is made READY although it should wait."""
    ready = [change.job for change in changes if change.new == "READY"]
    after = {row.name: row.status for row in workflow.rows} | {change.job: change.new for change in changes}
    early = [
        (job, unfinished) for job in ready if (unfinished := _filter_unfinished(workflow.parents.get(job, ()), after))
    ]
    warnings: list[str] = [
        say("{job}: {why}, {parents}.", job=job, why=consequence, parents=join_names(unfinished))
        for job, unfinished in early[:NAMED]
    ]
    more = len(early) - NAMED
    return warnings + ([say("{jobs} more with unfinished parents.", jobs=_count_jobs(more))] if more > 0 else [])


def _filter_unfinished(parents: Sequence[str], statuses: Mapping[str, str]) -> list[str]:
    return [f"{parent} ({statuses[parent]})" for parent in parents if statuses[parent] not in DONE]


def _warn_of_undone(changes: Sequence[Change]) -> list[str]:
    undone = [change.job for change in changes if change.old == "COMPLETED"]
    return [say("{jobs} would lose COMPLETED.", jobs=_name_jobs(undone))] if undone else []


def _warn_of_queue(workflow: Workflow, *, is_forced: bool) -> list[str]:
    active = [row.name for row in workflow.rows if row.status in IN_QUEUE]
    if not active:
        return []
    jobs = _name_jobs(active)
    if is_forced:
        return [say("{jobs} still active according to the job list: cancelled first.", jobs=jobs)]
    return [
        say(
            "{jobs} still active according to the job list: Autosubmit refuses that unless force cancels them first.",
            jobs=jobs,
        )
    ]


def _name_jobs(names: Sequence[str]) -> str:
    """Return for example "2 jobs (a000_1_SIM, a000_2_SIM)"."""
    return say("{jobs} ({names})", jobs=_count_jobs(len(names)), names=join_names(names))


def _count_jobs(count: int) -> str:
    return say("1 job") if count == 1 else say("{number} jobs", number=count)
