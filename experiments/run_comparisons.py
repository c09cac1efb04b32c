"""Two runs to compare: what the portal knows of each, and what the agent tells of their attempts and configurations."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from autosubmit_portal.access.rights import policy
from autosubmit_portal.sentences import say
from experiments.activity import Act, Choice, read_acts
from experiments.autosubmit.store import BrokenStore
from experiments.catalogue.kinds import RUN_KINDS
from experiments.configurations import (
    ConfigurationChange,
    MissingConfiguration,
    UnreadableConfiguration,
    compare_shown,
    read_configuration_of_run,
)
from experiments.logs import Logs
from experiments.models import Action, Experiment, Run
from experiments.performance.comparison import Comparison, RunJobs, choose_run, compare_runs
from experiments.performances import read_performance
from experiments.reads import Missing, Unreadable
from jobs.autosubmit.history import UnreadableHistory
from jobs.autosubmit.logs.reader import LogFile

MOST_STARTS, MOST_LOGS = 5, 5

# Autosubmit may write the row of a run some time after somebody asked for it.
_DELAY = timedelta(minutes=10)
_NEVER = datetime.max.replace(tzinfo=UTC)
UNREADABLE = (UnreadableHistory, MissingConfiguration, UnreadableConfiguration, Missing, Unreadable, BrokenStore)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs. `until` is when the next run of its experiment began, None for the last one.

    `starts` are the acts that started it, the oldest first, as far as the reader may see them; `commands` are those of
    the actions among them, by their number.
    """

    run: Run
    until: datetime | None
    starts: Sequence[Act] = ()
    commands: dict[int, list[list[str]]] = field(default_factory=dict)
    logs: Sequence[LogFile] = ()

    @property
    def experiment(self) -> Experiment:
        """The experiment of the run."""
        return self.run.experiment

    @property
    def is_going_on(self) -> bool:
        """Whether it is the last run of an experiment that runs."""
        return self.until is None and self.experiment.is_running

    @property
    def outcome(self) -> str:
        """How it ended, in words, by the numbers that Autosubmit last wrote."""
        if self.is_going_on:
            return say("going on")
        if self.run.failed:
            return say(
                "{failed} failed, {completed} of {total} completed",
                failed=f"{self.run.failed:,}",
                completed=f"{self.run.completed:,}",
                total=f"{self.run.total:,}",
            )
        return say("completed") if self.run.completed == self.run.total else self._count_completed()

    def _count_completed(self) -> str:
        return say(
            "ended with {completed} of {total} completed",
            completed=f"{self.run.completed:,}",
            total=f"{self.run.total:,}",
        )

    def has(self, moment: datetime) -> bool:
        """Whether a moment is between its beginning and that of the next run."""
        since = self.run.started_at
        return since is not None and since <= moment < (self.until or _NEVER)


def find_side(actor: policy.Actor, run: Run) -> Side:
    """Return a run with what started it and with the logs of its commands; no logs while they cannot be read."""
    later = run.experiment.runs.filter(run_id__gt=run.run_id, started_at__isnull=False).order_by("run_id")
    until = later.values_list("started_at", flat=True).first()
    side = Side(run, until)
    starts = _list_starts(actor, side)
    numbers = [act.action.pk for act in starts if act.action]
    commands = dict(Action.objects.filter(pk__in=numbers).values_list("pk", "command"))
    return Side(run, until, starts, commands, _list_logs(side))


def _list_starts(actor: policy.Actor, side: Side) -> list[Act]:
    if side.run.started_at is None:
        return []
    choice = Choice(
        expid=side.experiment.expid,
        kinds=frozenset(RUN_KINDS),
        experiments=Experiment.objects.filter(pk=side.experiment.pk),
        since=side.run.started_at - _DELAY,
        until=side.until,
    )
    found = read_acts(actor, choice, MOST_STARTS * 2).rows
    return [act for act in reversed(found) if _is_start(act) and side.has(_get_moment(act))][-MOST_STARTS:]


def _is_start(act: Act) -> bool:
    if act.action:
        return act.action.started_at is not None and not act.action.is_dry_run
    return act.entry is not None and act.entry.event == "experiment.run_started_outside"


def _get_moment(act: Act) -> datetime:
    """Return when a run that the act started surely has its row."""
    return min(act.at + _DELAY, act.action.ended_at or _NEVER) if act.action else act.at


def _list_logs(side: Side) -> list[LogFile]:
    try:
        files = Logs(side.experiment).list_files()
    except UNREADABLE:
        return []
    return [file for file in files if file.kind == "run" and side.has(file.modified_at)][:MOST_LOGS]


def compare_attempts(first: Run, second: Run) -> Comparison:
    """Compare the jobs of two runs by the histories of their experiments. Raises UnreadableHistory and BrokenStore."""
    return compare_runs(_read_jobs(first), _read_jobs(second))


def _read_jobs(run: Run) -> RunJobs:
    found = read_performance(run.experiment)
    return choose_run(run.experiment.expid, found.jobs, found.attempts, run.run_id)


def compare_configurations_of_runs(first: Run, second: Run) -> list[ConfigurationChange] | None:
    """Return what differs in the configurations that the two runs were created with; None if one was not kept.

    Secrets are not compared. Raises MissingConfiguration, UnreadableConfiguration, and HostAway.
    """
    old, new = (read_configuration_of_run(run.experiment, run.run_id) for run in (first, second))
    return compare_shown(old, new) if old.values and new.values else None
