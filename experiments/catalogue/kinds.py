"""Every action that the portal can do. A new Autosubmit command is one more entry here and nothing elsewhere.

The command lines and what they do are those of Autosubmit 4.1.17; the tests pass each through its own parser.
"""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from autosubmit_portal.access.roles import Role
from autosubmit_portal.agent.scripts import SCRIPTS
from autosubmit_portal.sentences import marked
from experiments.autosubmit.command import Command, Option, OptionType, Word
from experiments.autosubmit.ways import Question, Way
from experiments.catalogue import impact, outcomes, postconditions, preconditions, previews, selection
from experiments.catalogue.facts import (
    NO_PARAMETERS,
    ExperimentFacts,
    Impact,
    JobFacts,
    Parameters,
    Statement,
    say_nothing,
)
from experiments.catalogue.previews import Preview

EXPID = Word.EXPID
EXPID_PATTERN = r"[a-z0-9]{4,}"
# Autosubmit accepts these as targets; it refuses FAILED, RUNNING and the others.
SETTABLE_STATUSES = ("READY", "COMPLETED", "WAITING", "SUSPENDED", "UNKNOWN", "HELD")
# A run takes UNKNOWN and HELD for jobs on a platform, asks that about them, and ends with an error (4.1.17).
LIVE_STATUSES = ("READY", "COMPLETED", "WAITING", "SUSPENDED")
DESCRIPTION_BYTES = 10_240


class Target(StrEnum):
    """What an action is done to."""

    SITE = "site"
    EXPERIMENT = "experiment"
    JOBS = "jobs"


def _submits_nothing(_parameters: Parameters) -> bool:
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class OnRun:
    """What a kind does to a run of its experiment: it may start while the action of the run is active.

    `stops` it: nothing waits behind a stop. Its preconditions may have ceased to hold when it starts, with its force it
    goes past a stop that waits, and its signal is sent again if it was lost. Any other kind has the run do something,
    and is pointless when the run is gone; it is shown in the place of the kind `instead_of` while only it is possible.
    `doubt` says why the run will not do it: previews warn of that, and the action fails with it right before its
    command, if it is still so. `submits_jobs` answers whether the run sends jobs to a platform because of it.
    """

    stops: bool = False
    doubt: Statement = say_nothing
    submits_jobs: Callable[[Parameters], bool] = _submits_nothing
    instead_of: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class ActionKind:
    """One kind of action; there is one object of each, and what follows from its fields is worked out once.

    What the outcome of a command means stands with the command, in `steps`. The behaviours are called with the facts of
    the experiment, then the validated parameters:

    - `preconditions` say why it cannot be done, when it is requested and again right before its command;
    - `postconditions` say, when its last command has succeeded, why it has failed all the same;
    - `report` says then what the operator must know;
    - `impact` says what is destroyed: that needs a reason;
    - `preview` works out beforehand what would change, from the jobs in place of the experiment.

    `check` looks at the parameters together and answers errors by field. `next_step` is the name of the kind that
    usually follows when it has succeeded. `warning` says what is lost in general.
    `infinitive` and `past` say it in a sentence, before the name of what it is done to; blank if they follow from the
    title, which is a verb then, or a verb and its object.
    `is_edit` puts it on PATCH instead of POST. `on_run` is for what acts on a run. `is_dry_run` marks the twin of a
    kind that Autosubmit carries out without saving.
    """

    name: str
    title: str
    help: str
    role: Role
    steps: tuple[Command, ...]
    target: Target = Target.EXPERIMENT
    check: Callable[[Parameters], dict[str, str]] | None = None
    next_step: str = ""
    preconditions: tuple[Statement, ...] = ()
    postconditions: tuple[Statement, ...] = ()
    report: Statement | None = None
    impact: tuple[Impact, ...] = ()
    preview: Preview | None = None
    warning: str = ""
    infinitive: str = ""
    past: str = ""
    is_edit: bool = False
    on_run: OnRun | None = None
    is_dry_run: bool = False

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """All options of all steps."""
        return tuple(option for step in self.steps for option in step.options)

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """What forms ask in place of options, of all steps."""
        return tuple(question for step in self.steps for question in step.questions)

    @cached_property
    def first_words(self) -> list[str]:
        """The first words of its commands: a site lets it start no others."""
        return [step.name for step in self.steps]

    @cached_property
    def can_start_warm(self) -> bool:
        """Whether any of its commands may start in a warm process: no run, and no script of the portal's own."""
        return any(not step.is_long and not step.script for step in self.steps)

    @cached_property
    def excludes_run(self) -> bool:
        """Whether it destroys work where a run lives. Autosubmit itself looks only before `run`."""
        during = (preconditions.refuse_during_run, preconditions.refuse_during_run_or_offer_live)
        return any(statement in during for statement in self.preconditions)

    @cached_property
    def permission(self) -> str:
        """The codename of the permission to request this kind, in the app `experiments`."""
        return f"request_{self.name}"

    @property
    def covering(self) -> list["ActionKind"]:
        """The kinds whose rules at a site hold for this one, itself first.

        They are those whose commands all begin with words of its own, and the one in whose place it is shown.
        """
        within = (kind for kind in CATALOGUE.values() if {*kind.first_words} <= {*self.first_words})
        others = [kind for kind in within if kind.name != self.name]
        return [self, *others, *filter(None, [CATALOGUE.get(self.instead_of)])]

    @cached_property
    def is_run(self) -> bool:
        """Whether the action ends in a run of the experiment."""
        return self.steps[-1].is_long

    @cached_property
    def may_overtake(self) -> bool:
        """Whether it may start while another action is active on the experiment."""
        return self.on_run is not None or all(step.is_apart for step in self.steps)

    @cached_property
    def stops_run(self) -> bool:
        """Whether it ends a run."""
        return self.on_run is not None and self.on_run.stops

    @property
    def needs_run(self) -> bool:
        """Whether it waits for a run to do it."""
        return self.on_run is not None and not self.on_run.stops

    @property
    def instead_of(self) -> str:
        """The name of the kind in whose place it is shown while only this one is possible; blank for most."""
        return self.on_run.instead_of if self.on_run else ""

    @property
    def counterparts(self) -> list["ActionKind"]:
        """The kinds in whose place it is shown, and those that are shown in its place."""
        return [kind for kind in CATALOGUE.values() if kind.instead_of == self.name or kind.name == self.instead_of]

    @property
    def has_dry_run(self) -> bool:
        """Whether Autosubmit itself can tell what it would change."""
        return any(step.saving for step in self.steps)

    @cached_property
    def as_dry_run(self) -> "ActionKind":
        """The same kind, in which only the commands that can tell run, and save nothing."""
        return replace(
            self,
            title=f"{self.title} (dry run)",
            steps=tuple(step.as_dry_run for step in self.steps if step.saving),
            postconditions=(),
            report=None,
            impact=(),
            warning="",
            is_dry_run=True,
        )

    def submits_jobs(self, parameters: Parameters) -> bool:
        """Answer whether jobs are sent to a platform, which a freeze refuses."""
        return self.is_run or (self.on_run is not None and self.on_run.submits_jobs(parameters))

    def is_forced(self, parameters: Parameters) -> bool:
        """Answer whether it goes past an action of its own kind that waits."""
        return self.stops_run and bool(parameters.get("force"))

    def find_obstacle(self, experiment: ExperimentFacts, parameters: Parameters = NO_PARAMETERS) -> str:
        """Return why it cannot be done to the experiment, which is in the store; blank if it can."""
        return _find_first(self.preconditions, experiment, parameters)

    def find_failure(self, experiment: ExperimentFacts, parameters: Parameters) -> str:
        """Return why it has failed although its last command has succeeded; blank if it has not."""
        return _find_first(self.postconditions, experiment, parameters)

    def foresee_failure(self, experiment: ExperimentFacts, parameters: Parameters) -> str:
        """Return why the run will not do it; blank if it will."""
        return self.on_run.doubt(experiment, parameters) if self.on_run else ""

    def would_lose(self, experiment: JobFacts, parameters: Parameters) -> str:
        """Say what the action would destroy, with numbers; blank if nothing, and then it needs no reason."""
        return " ".join(filter(None, (say(experiment, parameters) for say in self.impact)))

    def get_command(self, step: int, argvs: int) -> Command:
        """Return the command of the argv number `step` of `make_argvs`; a very long list makes several argvs of one."""
        return self.steps[max(0, len(self.steps) - argvs + step)]

    def make_command_lines(self, autosubmit: str, expid: str, parameters: Parameters) -> list[list[str]]:
        """Return the argvs of all steps, in order, with the program; `autosubmit` is that of the site."""
        return [line for step in self.steps for line in step.make_lines(autosubmit, expid, parameters)]


def _find_first(conditions: tuple[Statement, ...], experiment: ExperimentFacts, parameters: Parameters) -> str:
    return next(filter(None, (refuse(experiment, parameters) for refuse in conditions)), "")


def _make_flag(name: str, text: str) -> Option:
    return Option(name=name, flag=f"--{name}", type=OptionType.FLAG, help=text)


DESCRIPTION = Option(
    name="description",
    help="What the experiment is for, at most 10 kB; stored by Autosubmit exactly as typed.",
    type=OptionType.LONG_TEXT,
    required=True,
    max_bytes=DESCRIPTION_BYTES,
    pattern=r"\s*[^\s\x00][^\x00]*",
    pattern_help=marked("some text, without NUL characters"),
    example="Control run, 1850-1900",
)

RUN_COMMAND = Command(words=("run", EXPID), is_long=True, outcome=outcomes.read_run)

RUN = ActionKind(
    name="run",
    title="Start",
    help="Run the experiment until all its jobs are done. The run outlives the portal.",
    role=Role.OPERATOR,
    steps=(RUN_COMMAND,),
    preconditions=(preconditions.refuse_without_jobs, preconditions.refuse_during_run),
)

STOP = ActionKind(
    name="stop",
    title="Stop",
    help="Stop the run of the experiment. Jobs that are already submitted go on unless cancelled.",
    role=Role.OPERATOR,
    steps=(
        Command(
            words=("stop", "--yes", EXPID),
            outcome=outcomes.read_stop,
            # It waits without end for a run that ignores the signal. A run stops within its SAFETYSLEEPTIME.
            time_limit=300,
            overdue_help=marked("The run goes on. Stop it with force to kill it."),
            options=(
                _make_flag("force", "Kill the run (SIGKILL) at once."),
                _make_flag("cancel", "Also tell the schedulers to cancel the active jobs."),
            ),
        ),
    ),
    preconditions=(preconditions.refuse_without_run,),
    postconditions=(postconditions.refuse_living_run,),
    report=postconditions.report_active_jobs,
    on_run=OnRun(stops=True, doubt=preconditions.doubt_stop),
    warning="The run stops; jobs already submitted to a platform go on there unless you cancel them.",
    # Cancelled jobs become FAILED; what they have computed since their last restart file is lost.
    impact=(impact.say_if("force", impact.kill_run), impact.say_if("cancel", impact.cancel_jobs)),
)

RESTART = ActionKind(
    name="restart",
    title="Restart",
    help="Recover the job list (COMPLETED jobs are kept, FAILED ones become READY), save it, then run.",
    role=Role.OPERATOR,
    steps=(
        Command(
            words=("recovery", "--all", "--save", "--noplot", EXPID),
            outcome=outcomes.count_changes(marked("The job list was recovered: {changes}.")),
            saving=("--save",),
            options=(
                _make_flag("force", "First cancel the jobs that the job list says are submitted, queuing or running."),
            ),
        ),
        RUN_COMMAND,
    ),
    preconditions=(preconditions.refuse_without_jobs, preconditions.refuse_during_run),
    impact=(impact.say_if("force", impact.cancel_jobs),),
    preview=previews.preview_restart,
)


GENERATE = ActionKind(
    name="generate",
    title="Generate",
    help="Generate the job list from the configuration (`autosubmit create`).",
    infinitive="generate the job list of",
    past="generated the job list of",
    role=Role.MANAGER,
    steps=(
        Command(
            words=("create", "--noplot", EXPID),
            outcome=outcomes.say("The job list was generated."),
            options=(
                _make_flag("force", "Regenerate the whole job list."),
                _make_flag("check_wrapper", "Also work out the wrappers of the workflow."),
            ),
        ),
    ),
    preconditions=(preconditions.refuse_during_run,),
    warning="Every job goes back to WAITING or READY, also COMPLETED and SUSPENDED ones, and a new run begins.",
    next_step=RUN.name,
    impact=(impact.lose_progress,),
)

STATUS = Option(
    name="status",
    flag="--status_final",
    type=OptionType.CHOICE,
    choices=SETTABLE_STATUSES,
    required=True,
    help="The new status.",
    example="READY",
)
SET_STATUS = ActionKind(
    name="set_status",
    title="Set status",
    help="Set the status of jobs, chosen by name or by filters that all hold.",
    infinitive="set the status of jobs of",
    past="set the status of jobs of",
    target=Target.JOBS,
    role=Role.OPERATOR,
    steps=(
        Command(
            words=("setstatus", "--save", "--noplot", EXPID),
            outcome=outcomes.count_changes(marked("Changed: {changes}.")),
            saving=("--save",),
            options=(STATUS, selection.JOBS, *selection.FILTERS),
        ),
    ),
    preconditions=(preconditions.refuse_without_jobs, preconditions.refuse_during_run_or_offer_live),
    check=selection.check_choice,
    preview=previews.preview_set_status,
    is_edit=True,
)

RESET_AND_START = ActionKind(
    name="reset_and_start",
    title="Reset and start",
    help="Make jobs READY, such as those that have failed, and run the experiment on.",
    infinitive="reset jobs and start",
    past="reset jobs and started",
    target=Target.JOBS,
    role=Role.OPERATOR,
    steps=(
        replace(
            SET_STATUS.steps[0],
            words=("setstatus", "--save", "--noplot", f"{STATUS.flag}=READY", EXPID),
            options=(selection.JOBS, *selection.FILTERS),
        ),
        RUN_COMMAND,
    ),
    preconditions=(preconditions.refuse_without_jobs, preconditions.refuse_during_run),
    check=selection.check_choice,
    preview=previews.preview_reset,
)


def _lets_jobs_start(parameters: Parameters) -> bool:
    """Answer whether a run sends jobs off when these get their new status, or those that wait for them."""
    return parameters.get("status") in ("READY", "COMPLETED", "WAITING")


SET_STATUS_LIVE = ActionKind(
    name="set_status_live",
    title="Set status while running",
    help="Have the run of the experiment change jobs itself, in its next loop (`updated_list_<expid>.txt`).",
    infinitive="set the status of jobs in the run of",
    past="set the status of jobs in the run of",
    target=Target.JOBS,
    role=Role.OPERATOR,
    steps=(
        Command(
            words=("update_list", EXPID),
            outcome=outcomes.read_live_change,
            script=SCRIPTS["update_list"],
            overdue_help=marked("The run may be too busy to read the change. Look at its log."),
            options=(replace(STATUS, flag="", choices=LIVE_STATUSES), replace(selection.JOBS, flag="", required=True)),
        ),
    ),
    preconditions=(preconditions.refuse_without_jobs, preconditions.refuse_without_run),
    postconditions=(postconditions.refuse_unchanged_jobs,),
    report=postconditions.report_statuses,
    preview=previews.preview_live_change,
    on_run=OnRun(submits_jobs=_lets_jobs_start, instead_of=SET_STATUS.name),
    is_edit=True,
    warning="Active jobs are cancelled on their platform first. READY jobs, and WAITING ones whose parents have "
    "completed, are submitted at once.",
)


UPDATE_DESCRIPTION = ActionKind(
    name="update_description",
    title="Update description",
    help="Change the description of the experiment.",
    infinitive="update the description of",
    past="updated the description of",
    role=Role.OPERATOR,
    steps=(
        Command(
            words=("updatedescrip", EXPID, "--"),
            options=(DESCRIPTION,),
            outcome=outcomes.say("The description was changed."),
            is_apart=True,
        ),
    ),
    is_edit=True,
)


def _check_origin(parameters: Parameters) -> dict[str, str]:
    errors: dict[str, str] = {}
    if sum(bool(parameters.get(name)) for name in ("dummy", "minimal_configuration", "copy")) > 1:
        errors["dummy"] = marked("Choose at most one of dummy, minimal_configuration and copy.")
    if sum(bool(parameters.get(name)) for name in ("testcase", "operational", "evaluation")) > 1:
        errors["testcase"] = marked("Choose at most one of testcase, operational and evaluation.")
    if not parameters.get("minimal_configuration"):
        for name in ("git_repo", "git_branch", "git_as_conf"):
            if parameters.get(name):
                errors[name] = marked("Only used together with minimal_configuration.")
    return errors


ORIGIN = Question(
    name="origin",
    label="Made from",
    ways=(
        Way(name="default", title="Template: default, all files with an example of 8 jobs"),
        Way(name="dummy", title="Template: dummy, for testing", sets={"dummy": True}),
        Way(name="minimal", title="Template: minimal, one file to complete", sets={"minimal_configuration": True}),
        # Without a platform Autosubmit would move the copy to `local`.
        Way(name="copy", title="Copy of an experiment", options=("copy",), needs=("copy", "hpc")),
        Way(
            name="git",
            title="Git repository",
            sets={"minimal_configuration": True},
            options=("git_repo", "git_branch", "git_as_conf"),
            needs=("git_repo",),
        ),
    ),
)
PURPOSE = Question(
    name="purpose",
    label="Purpose",
    ways=(
        Way(name="research", title="Research (expid a…)"),
        Way(name="testcase", title="Test case (expid t…)", sets={"testcase": True}),
        Way(name="operational", title="Operational (expid o…)", sets={"operational": True}),
        Way(name="evaluation", title="Evaluation (expid e…)", sets={"evaluation": True}),
    ),
)

CREATE = ActionKind(
    name="create",
    title="Create experiment",
    help="Create an experiment (`autosubmit expid`); the new expid is in the finished action.",
    infinitive="create an experiment",
    past="created the experiment",
    target=Target.SITE,
    role=Role.MANAGER,
    steps=(
        Command(
            words=("expid",),
            outcome=outcomes.read_creation,
            questions=(ORIGIN, PURPOSE),
            options=(
                replace(DESCRIPTION, flag="--description"),
                Option(
                    name="hpc",
                    flag="--HPC",
                    pattern=r"[A-Za-z0-9_.-]+",
                    pattern_help=marked("letters, digits, `_`, `.` and `-`"),
                    help="The platform that the jobs run on by default; `local` if not given, also in a copy.",
                    example="LOCAL",
                    names_platform=True,
                ),
                Option(
                    name="program",
                    names_program=True,
                    max_bytes=50,
                    pattern=r"[A-Za-z0-9][A-Za-z0-9._+-]*",
                    pattern_help=marked("the name of a program of the site"),
                    help="With this Autosubmit, of those that the site names; by default the one of the site.",
                    example="next",
                ),
                _make_flag("dummy", "With default values, for testing."),
                _make_flag("minimal_configuration", "With a minimal configuration, usually completed from git_repo."),
                Option(
                    name="copy",
                    flag="--copy",
                    pattern=EXPID_PATTERN,
                    pattern_help=marked("an expid"),
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
                    pattern_help=marked(
                        "an https://, ssh:// or git@host:path address without blanks or quotes, in which no part "
                        "begins with `-`; https:// without a user"
                    ),
                    help="Git repository with the configuration.",
                    example="https://git.example.org/project/workflow.git",
                ),
                Option(
                    name="git_branch",
                    flag="--git_branch",
                    pattern=r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]*",
                    pattern_help=marked("letters, digits, `.`, `_`, `/` and `-`, without `..`"),
                    help="Branch of git_repo.",
                    example="main",
                ),
                Option(
                    name="git_as_conf",
                    flag="--git_as_conf",
                    pattern=r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._/-]*",
                    pattern_help=marked("a relative path of letters, digits, `.`, `_`, `/` and `-`, without `..`"),
                    help="Folder of the configuration inside git_repo.",
                    example="conf/bootstrap",
                ),
                _make_flag("testcase", "With the expid of a test case (t…)."),
                _make_flag("operational", "With the expid of an operational experiment (o…)."),
                _make_flag("evaluation", "With the expid of an evaluation experiment (e…)."),
            ),
        ),
    ),
    check=_check_origin,
    next_step=GENERATE.name,
)

# Every entry of this module, in this order, which is that of buttons and documents.
CATALOGUE = {entry.name: entry for entry in [*vars().values()] if isinstance(entry, ActionKind)}
RUN_KINDS = [kind.name for kind in CATALOGUE.values() if kind.is_run]
STOP_KINDS = [kind.name for kind in CATALOGUE.values() if kind.stops_run]


def leave_out_replaced(kinds: Iterable[ActionKind], possible: Container[str]) -> list[ActionKind]:
    """Return what to show: of two kinds of which one stands in for the other only that which is possible now."""
    shown = {kind.name: kind for kind in kinds}
    for kind in list(shown.values()):
        other = shown.get(kind.instead_of)
        if other:
            stands_in = kind.name in possible and other.name not in possible
            del shown[other.name if stands_in else kind.name]
    return list(shown.values())
