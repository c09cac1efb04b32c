"""Every action that the portal can do. A new Autosubmit command is one more entry here and nothing elsewhere.

The command lines and what they do are those of Autosubmit 4.1.17; the tests pass each through its own parser.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any

from autosubmit_portal.access.roles import Role
from experiments.autosubmit.command import Command, Option, OptionType, Word, script
from experiments.catalogue import impact, outcomes, preconditions, previews
from experiments.catalogue.impact import Counted, Loss
from experiments.catalogue.preconditions import ExperimentState
from experiments.catalogue.previews import Choose, Preview
from jobs.autosubmit.chunk_filter import UnreadableFilter, read_chunk_filter

EXPID = Word.EXPID
EXPID_PATTERN = r"[a-z0-9]{4,}"
JOB_NAME_PATTERN = r"[A-Za-z0-9_.+/-]+"
# Autosubmit accepts these as targets; it refuses FAILED, RUNNING and the others.
SETTABLE_STATUSES = ("READY", "COMPLETED", "WAITING", "SUSPENDED", "UNKNOWN", "HELD")
# A run takes UNKNOWN and HELD for jobs on a platform, asks that about them, and ends with an error (4.1.17).
LIVE_STATUSES = ("READY", "COMPLETED", "WAITING", "SUSPENDED")
FILTERABLE_STATUSES = ("READY", "COMPLETED", "WAITING", "SUSPENDED", "FAILED", "UNKNOWN")
DESCRIPTION_BYTES = 10_240


class Target(StrEnum):
    """What an action is done to."""

    SITE = "site"
    EXPERIMENT = "experiment"
    JOBS = "jobs"


def _never(_parameters: Mapping[str, Any]) -> bool:
    return False


def _nothing(_experiment: ExperimentState, _parameters: Mapping[str, Any]) -> str:
    return ""


def _forced(parameters: Mapping[str, Any]) -> bool:
    return bool(parameters.get("force"))


def _always(_parameters: Mapping[str, Any]) -> bool:
    return True


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ActionKind:
    """One kind of action; there is one object of each.

    `requires` are checked when the action is requested and again right before its command starts, after what all kinds
    require: that the experiment is in the store. `check` looks at
    the validated parameters together and answers errors by field. `ensures` are checked on fresh evidence when its last
    command has succeeded: the action fails with the first reason that is answered. `tells` adds what the operator must
    know afterwards. `choose` finds the jobs that a filter means. `preview` works out beforehand what would change.
    `may_overtake` lets it start while another action is active on the experiment. `may_be_late` says that it is
    harmless when what it requires has ceased to hold while it waited; `ends_with_run` that it waits for a run to do it,
    and is pointless when that is gone. `warning` tells a person what is lost in general; `loses` tell it of one
    experiment and need a reason. `is_edit` puts it on PATCH instead of `POST ?action=`. `stands_in_for` names the kind
    whose place it takes on pages while only this one is possible. `submits_jobs` answers whether, with these
    parameters, jobs are sent to a platform: a freeze refuses that. `is_urgent` kinds wait for nobody's approval.
    `is_dry_run` marks the twin of a kind that Autosubmit carries out without saving. `foresees` tells why, with these
    parameters, it will not do what it is for: previews warn of that, and the action fails with it right before its
    command, if it is still so. `forces` answers whether it goes past an action of its own kind that waits.
    `stops_run` marks what ends a run: one that is being started does not begin any more, and one that has lost the
    signal is sent it again.
    """

    name: str
    title: str
    help: str
    target: Target
    role: Role
    steps: tuple[Command, ...]
    requires: tuple[Callable[[ExperimentState], str | None], ...] = ()
    ensures: tuple[Callable[[ExperimentState, Mapping[str, Any]], str | None], ...] = ()
    tells: Callable[[ExperimentState, Mapping[str, Any]], str] | None = None
    choose: Choose | None = None
    preview: Preview | None = None
    check: Callable[[Mapping[str, Any]], dict[str, str]] | None = None
    may_overtake: bool = False
    may_be_late: bool = False
    ends_with_run: bool = False
    warning: str = ""
    loses: tuple[Loss, ...] = ()
    is_edit: bool = False
    stands_in_for: str = ""
    is_urgent: bool = False
    submits_jobs: Callable[[Mapping[str, Any]], bool] = _never
    is_dry_run: bool = False
    foresees: Callable[[ExperimentState, Mapping[str, Any]], str] = _nothing
    forces: Callable[[Mapping[str, Any]], bool] = _never
    stops_run: bool = False

    @property
    def options(self) -> tuple[Option, ...]:
        """All options of all steps."""
        return tuple(option for step in self.steps for option in step.options)

    @property
    def permission(self) -> str:
        """The codename of the permission to request this kind, in the app `experiments`."""
        return f"request_{self.name}"

    @property
    def covering(self) -> list["ActionKind"]:
        """The kinds whose rules at a site hold for this one, itself first.

        They are those whose commands are all among its own, and the one that it stands in for.
        """
        within = (kind for kind in CATALOGUE.values() if all(step in self.steps for step in kind.steps))
        others = [kind for kind in within if kind.name != self.name]
        return [self, *others, *filter(None, [CATALOGUE.get(self.stands_in_for)])]

    def command_of(self, step: int, argvs: int) -> Command:
        """Return the command of the argv number `step` of `argvs`; a very long list makes several argvs of one."""
        return self.steps[max(0, len(self.steps) - argvs + step)]

    def obstacle(self, experiment: ExperimentState) -> str | None:
        """Return why it cannot be done to the experiment now, whatever its parameters are; None if it can."""
        reasons = (required(experiment) for required in (preconditions.in_store, *self.requires))
        return next((reason for reason in reasons if reason), None)

    def would_lose(self, experiment: Counted, parameters: Mapping[str, Any]) -> str:
        """Say what the action would destroy, with numbers; blank if nothing, and then it needs no reason."""
        return " ".join(filter(None, (loss(experiment, parameters) for loss in self.loses)))

    @property
    def is_run(self) -> bool:
        """Whether the action ends in a run of the experiment."""
        return self.steps[-1].is_long

    @property
    def has_dry_run(self) -> bool:
        """Whether Autosubmit itself can tell what it would change."""
        return any(step.saving for step in self.steps)

    @property
    def as_dry_run(self) -> "ActionKind":
        """The same kind, in which only the commands that can tell run, and save nothing."""
        return _dry_run_of(self)

    def commands(self, expid: str, parameters: Mapping[str, Any]) -> list[list[str]]:
        """Return the argvs of all steps, in order, without the program."""
        return [argv for step in self.steps for argv in step.argvs(expid, parameters)]

    def command_lines(self, autosubmit: str, expid: str, parameters: Mapping[str, Any]) -> list[list[str]]:
        """Return the argvs of all steps, in order, with the program; `autosubmit` is that of the site."""
        return [
            [*step.program(autosubmit), *argv]
            for step in self.steps
            for argv in step.argvs(expid, parameters)
        ]


@cache
def _dry_run_of(kind: ActionKind) -> ActionKind:
    return replace(
        kind,
        title=f"{kind.title} (dry run)",
        steps=tuple(step.as_dry_run for step in kind.steps if step.saving),
        ensures=(),
        tells=None,
        warning="",
        loses=(),
        submits_jobs=_never,
        is_dry_run=True,
    )


DESCRIPTION = Option(
    name="description",
    help="What the experiment is for, at most 10 kB; stored by Autosubmit exactly as typed.",
    type=OptionType.LONG_TEXT,
    required=True,
    max_bytes=DESCRIPTION_BYTES,
    pattern=r"\s*[^\s\x00][^\x00]*",
    pattern_help="some text, without NUL characters",
    example="Control run, 1850-1900",
)

RUN_COMMAND = Command(words=("run", EXPID), is_long=True, outcome=outcomes.read_run)

RUN = ActionKind(
    name="run",
    title="Start",
    help="Run the experiment until all its jobs are done. The run outlives the portal.",
    target=Target.EXPERIMENT,
    role=Role.OPERATOR,
    steps=(RUN_COMMAND,),
    requires=(preconditions.has_job_list, preconditions.not_running),
    submits_jobs=_always,
)

STOP = ActionKind(
    name="stop",
    title="Stop",
    help="Stop the run of the experiment. Jobs that are already submitted go on unless cancelled.",
    target=Target.EXPERIMENT,
    role=Role.OPERATOR,
    steps=(
        Command(
            words=("stop", "--yes", EXPID),
            outcome=outcomes.read_stop,
            # It waits without end for a run that ignores the signal. A run stops within its SAFETYSLEEPTIME.
            time_limit=300,
            overdue_help="The run goes on. Stop it with force to kill it.",
            options=(
                Option(
                    name="force", flag="--force", type=OptionType.FLAG, help="Kill the run (SIGKILL) at once."
                ),
                Option(
                    name="cancel",
                    flag="--cancel",
                    type=OptionType.FLAG,
                    help="Also tell the schedulers to cancel the active jobs.",
                ),
            ),
        ),
    ),
    requires=(preconditions.running,),
    ensures=(preconditions.run_is_gone,),
    tells=preconditions.jobs_left_active,
    may_overtake=True,
    may_be_late=True,  # Autosubmit answers that nothing was running
    is_urgent=True,
    foresees=preconditions.ignores_stop,
    forces=_forced,
    stops_run=True,
    warning="The run stops; jobs already submitted to a platform go on there unless you cancel them.",
    # Cancelled jobs become FAILED; what they have computed since their last restart file is lost.
    loses=(impact.when("force", impact.the_run), impact.when("cancel", impact.active_jobs)),
)

GENERATE = ActionKind(
    name="generate",
    title="Generate",
    help="Generate the job list from the configuration (`autosubmit create`).",
    target=Target.EXPERIMENT,
    role=Role.MANAGER,
    steps=(
        Command(
            words=("create", "--noplot", EXPID),
            outcome=outcomes.say("The job list was generated."),
            options=(
                Option(
                    name="force", flag="--force", type=OptionType.FLAG, help="Regenerate the whole job list."
                ),
                Option(
                    name="check_wrapper",
                    flag="--check_wrapper",
                    type=OptionType.FLAG,
                    help="Also work out the wrappers of the workflow.",
                ),
            ),
        ),
    ),
    requires=(preconditions.not_running,),
    warning="Every job goes back to WAITING or READY, also COMPLETED and SUSPENDED ones, and a new run begins.",
    loses=(impact.progress,),
)

RESTART = ActionKind(
    name="restart",
    title="Restart",
    help="Recover the job list (COMPLETED jobs are kept, FAILED ones become READY), save it, then run.",
    target=Target.EXPERIMENT,
    role=Role.OPERATOR,
    steps=(
        Command(
            words=("recovery", "--all", "--save", "--noplot", EXPID),
            outcome=outcomes.count_changes("The job list was recovered"),
            saving=("--save",),
            options=(
                Option(
                    name="force",
                    flag="--force",
                    type=OptionType.FLAG,
                    help="First cancel the jobs that the job list says are submitted, queuing or running.",
                ),
            ),
        ),
        RUN_COMMAND,
    ),
    requires=(preconditions.has_job_list, preconditions.not_running),
    preview=previews.restart,
    submits_jobs=_always,
    loses=(impact.when("force", impact.active_jobs),),
)


def _one_readable_choice(parameters: Mapping[str, Any]) -> dict[str, str]:
    ways = ("jobs", "filter_status", "filter_section", "filter_chunks")
    if sum(bool(parameters.get(way)) for way in ways) != 1:
        return {"jobs": f"Choose the jobs in exactly one way: {', '.join(ways)}."}
    if parameters.get("filter_chunks"):
        try:
            read_chunk_filter(parameters["filter_chunks"])
        except UnreadableFilter as error:
            return {"filter_chunks": f"This cannot be read. {error}"}
    return {}


STATUS = Option(
    name="status",
    flag="--status_final",
    type=OptionType.CHOICE,
    choices=SETTABLE_STATUSES,
    required=True,
    help="The new status.",
    example="READY",
)
JOBS = Option(
    name="jobs",
    flag="--list",
    type=OptionType.LIST,
    pattern=JOB_NAME_PATTERN,
    pattern_help="letters, digits, `_`, `.`, `+`, `/` and `-`",
    help="Names of jobs.",
    example=["a000_20000101_fc0_1_SIM"],
    selects_jobs=True,
)

SET_STATUS = ActionKind(
    name="set_status",
    title="Set status",
    help="Set the status of jobs, chosen by name or by a filter.",
    target=Target.JOBS,
    role=Role.OPERATOR,
    steps=(
        Command(
            words=("setstatus", "--save", "--noplot", EXPID),
            outcome=outcomes.count_changes("Changed"),
            saving=("--save",),
            options=(
                STATUS,
                JOBS,
                Option(
                    name="filter_status",
                    type=OptionType.LIST,
                    choices=FILTERABLE_STATUSES,
                    help="All jobs that have one of these statuses.",
                    example=["FAILED"],
                    selects_jobs=True,
                    is_filter=True,
                ),
                Option(
                    name="filter_section",
                    type=OptionType.LIST,
                    pattern=r"[A-Za-z0-9_.+/-]+",
                    pattern_help="letters, digits, `_`, `.`, `+`, `/` and `-`",
                    help="All jobs of these sections; `Any` stands for all.",
                    example=["SIM"],
                    selects_jobs=True,
                    is_filter=True,
                ),
                Option(
                    name="filter_chunks",
                    max_bytes=10_240,
                    pattern=r"\[[A-Za-z0-9_.+/ \[\]-]+\]",
                    pattern_help="dates, members and chunks in brackets",
                    help="All jobs of these dates, members and chunks, in Autosubmit's notation. A date is a day or, "
                    "with two or four more digits, an hour or a minute of it.",
                    example="[ 20000101 [ fc0 [1-4] ] ]",
                    selects_jobs=True,
                    is_filter=True,
                ),
            ),
        ),
    ),
    requires=(preconditions.has_job_list, preconditions.not_running_or_live),
    check=_one_readable_choice,
    choose=previews.choose,
    preview=previews.set_status,
)


def _lets_jobs_start(parameters: Mapping[str, Any]) -> bool:
    """Answer whether a run sends jobs off when these get their new status, or those that wait for them."""
    return parameters.get("status") in ("READY", "COMPLETED", "WAITING")


SET_STATUS_LIVE = ActionKind(
    name="set_status_live",
    title="Set status while running",
    help="Have the run of the experiment change jobs itself, in its next loop (`updated_list_<expid>.txt`).",
    target=Target.JOBS,
    role=Role.OPERATOR,
    steps=(
        Command(
            words=("update_list", EXPID),
            outcome=outcomes.read_live_change,
            script=script("update_list.sh"),
            overdue_help="The run may be too busy to read the change. Look at its log.",
            options=(
                replace(STATUS, flag="", choices=LIVE_STATUSES),
                replace(JOBS, flag="", required=True),
            ),
        ),
    ),
    requires=(preconditions.has_job_list, preconditions.running),
    ensures=(preconditions.jobs_were_changed,),
    tells=preconditions.jobs_are_now,
    preview=previews.set_status_live,
    submits_jobs=_lets_jobs_start,
    may_overtake=True,
    ends_with_run=True,
    stands_in_for=SET_STATUS.name,
    warning="Active jobs are cancelled on their platform first. READY jobs, and WAITING ones whose parents have "
    "completed, are submitted at once.",
)


def _one_origin(parameters: Mapping[str, Any]) -> dict[str, str]:
    errors: dict[str, str] = {}
    if sum(bool(parameters.get(name)) for name in ("dummy", "minimal_configuration", "copy")) > 1:
        errors["dummy"] = "Choose at most one of dummy, minimal_configuration and copy."
    if sum(bool(parameters.get(name)) for name in ("testcase", "operational", "evaluation")) > 1:
        errors["testcase"] = "Choose at most one of testcase, operational and evaluation."
    if not parameters.get("minimal_configuration"):
        for name in ("git_repo", "git_branch", "git_as_conf"):
            if parameters.get(name):
                errors[name] = "Only used together with minimal_configuration."
    return errors


def _flag(name: str, text: str) -> Option:
    return Option(name=name, flag=f"--{name}", type=OptionType.FLAG, help=text)


CREATE = ActionKind(
    name="create",
    title="Create experiment",
    help="Create an experiment (`autosubmit expid`); the new expid is in the finished action.",
    target=Target.SITE,
    role=Role.MANAGER,
    steps=(
        Command(
            words=("expid",),
            outcome=outcomes.read_creation,
            options=(
                replace(DESCRIPTION, flag="--description"),
                Option(
                    name="hpc",
                    flag="--HPC",
                    pattern=r"[A-Za-z0-9_.-]+",
                    pattern_help="letters, digits, `_`, `.` and `-`",
                    help="The platform that the jobs run on by default.",
                    example="LOCAL",
                ),
                _flag("dummy", "With default values, for testing."),
                _flag(
                    "minimal_configuration", "With a minimal configuration, usually completed from git_repo."
                ),
                Option(
                    name="copy",
                    flag="--copy",
                    pattern=EXPID_PATTERN,
                    pattern_help="an expid",
                    help="As a copy of this experiment.",
                    example="a000",
                    is_expid=True,
                ),
                Option(
                    name="git_repo",
                    flag="--git_repo",
                    max_bytes=1000,
                    # Autosubmit hands this to a shell: nothing but plain addresses gets through.
                    pattern=r"(?!.*[/@:]-)(https://(?![^/]*@)|ssh://|git@[A-Za-z0-9.-]+:)[A-Za-z0-9@:._/~+-]+",
                    pattern_help="an https://, ssh:// or git@host:path address without blanks or quotes, "
                    "in which no part begins with `-`; https:// without a user",
                    help="Git repository with the configuration.",
                    example="https://git.example.org/project/workflow.git",
                ),
                Option(
                    name="git_branch",
                    flag="--git_branch",
                    pattern=r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]*",
                    pattern_help="letters, digits, `.`, `_`, `/` and `-`, without `..`",
                    help="Branch of git_repo.",
                    example="main",
                ),
                Option(
                    name="git_as_conf",
                    flag="--git_as_conf",
                    pattern=r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._/-]*",
                    pattern_help="a relative path of letters, digits, `.`, `_`, `/` and `-`, without `..`",
                    help="Folder of the configuration inside git_repo.",
                    example="conf/bootstrap",
                ),
                _flag("testcase", "With the expid of a test case (t…)."),
                _flag("operational", "With the expid of an operational experiment (o…)."),
                _flag("evaluation", "With the expid of an evaluation experiment (e…)."),
            ),
        ),
    ),
    check=_one_origin,
)

UPDATE_DESCRIPTION = ActionKind(
    name="update_description",
    title="Update description",
    help="Change the description of the experiment.",
    target=Target.EXPERIMENT,
    role=Role.OPERATOR,
    steps=(
        Command(
            words=("updatedescrip", EXPID, "--"),
            options=(DESCRIPTION,),
            outcome=outcomes.say("The description was changed."),
        ),
    ),
    is_edit=True,
)

CATALOGUE: dict[str, ActionKind] = {
    kind.name: kind
    for kind in (RUN, STOP, RESTART, GENERATE, SET_STATUS, SET_STATUS_LIVE, UPDATE_DESCRIPTION, CREATE)
}
STOP_KINDS = [kind.name for kind in CATALOGUE.values() if kind.stops_run]
