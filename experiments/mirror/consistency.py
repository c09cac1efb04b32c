"""Find contradictions between Autosubmit's status table, the process and the job list.

Evidence decides whether an experiment runs. Other sources that say something else are reported: they mean a run that
was killed, a host that went down, or a run on a host that the mirror does not see. After a stop nothing is wrong:
Autosubmit leaves RUNNING in its table, and jobs go on on their platform (`Experiment.unwatched_note`).
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from autosubmit_portal.sentences import add, marked, say
from experiments.catalogue.kinds import CATALOGUE, STOP_KINDS
from experiments.models import Action, Experiment, State
from jobs.autosubmit.statuses import ACTIVE, DONE

SETTLE_SECONDS = 10.0
"""A run that just starts or ends contradicts itself for a moment, which is not told."""

_WHAT_NOW = marked(
    "It was stopped or killed, or it runs on another host: look there, then restart it if it is still wanted."
)

_COULD_GO_ON = ("READY", "PREPARED", "DELAYED")

# More names than this are not named in a query.
_MANY = 500


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What contradicts the evidence; `is_dead` if it means a run whose process is gone. False if nothing does."""

    text: str = ""
    is_dead: bool = False

    def __bool__(self) -> bool:
        return bool(self.text)


FindLastStop = Callable[[str], datetime | None]
"""Tells when a command last stopped the run of an expid."""


def find_disagreement(
    experiment: Experiment, finished_at: datetime | None, stopped_at: datetime | None, node: str
) -> Disagreement:
    """Say what contradicts the evidence of an experiment and what to do.

    `finished_at` is the latest end of a run in its history, `stopped_at` that of one that somebody stopped, `node` is
    where processes were looked for. Nothing is concluded from a job list or a history that could not be read since.
    """
    if experiment.is_absent:
        return Disagreement()
    found = [_describe_unrecorded(experiment) if experiment.is_running else _describe_lock(experiment)]
    unfounded = ""
    if not experiment.problem:
        is_explained = experiment.is_running or _is_after_start(stopped_at, experiment)
        unfounded = "" if is_explained else _describe_unfounded(experiment, finished_at, node)
        found += [unfounded, experiment.edges_note if experiment.are_edges_known else ""]
    return Disagreement(" ".join(filter(None, found)), bool(unfounded))


def _describe_lock(experiment: Experiment) -> str:
    """Say that somebody holds the lock who is no run, which is all that the lock tells Autosubmit."""
    if not experiment.locked_by:
        return ""
    return say(
        "It is not running, but {holder} holds its lock without being a run of it: Autosubmit refuses to start it "
        "until that process ends. Ask whose it is.",
        holder=experiment.locked_by,
    )


def _describe_unrecorded(experiment: Experiment) -> str:
    """Say that a process runs what Autosubmit's database calls something else; without a row it calls it nothing."""
    status = experiment.recorded_status
    if status in ("", "RUNNING"):
        return ""
    return say(
        "Autosubmit's database says {status}, but {evidence}. The process counts.",
        status=status,
        evidence=experiment.evidence,
    )


def _describe_unfounded(experiment: Experiment, finished_at: datetime | None, node: str) -> str:
    """Say what claims that there is a run, where there is no process."""
    is_recorded = experiment.recorded_status == "RUNNING" and not _has_ended(experiment, finished_at)
    active = ", ".join(f"{count:,} {name}" for name in ACTIVE if (count := experiment.count(name)))
    if is_recorded and active:
        said = say(
            "Autosubmit's database says RUNNING and the job list has {jobs}, but no process was found on {host}.",
            jobs=active,
            host=node,
        )
    elif is_recorded:
        said = say("Autosubmit's database says RUNNING, but no process was found on {host}.", host=node)
    elif active:
        said = say("The job list has {jobs}, but no process was found on {host}.", jobs=active, host=node)
    else:
        return ""
    return add(said, say(_WHAT_NOW))


def _has_ended(experiment: Experiment, finished_at: datetime | None) -> bool:
    """Return whether the run in the status table has ended by itself; the table still says RUNNING then.

    A run that completes everything writes its end into the history, after it has written RUNNING; one that ends with
    failed jobs does not, but leaves nothing that could go on; one that had nothing left to do ends in the second in
    which it began. (Autosubmit 4.1.17, `run_experiment`.)
    """
    if _is_after_start(finished_at, experiment):
        return True
    is_all_done = 0 < experiment.total_jobs == experiment.count(*DONE)
    return is_all_done or (experiment.count("FAILED") > 0 and experiment.count(*ACTIVE, *_COULD_GO_ON) == 0)


def find_ending(experiment: int, find_last_stop: FindLastStop) -> str:
    """Return how the latest run of an experiment ended: `stopped`, `finished` or `killed`; blank if nothing tells."""
    row = _annotate_ends(Experiment.objects.filter(pk=experiment)).first()
    if row is None or row.is_running or row.problem:
        return ""
    if _is_after_start(row.stopped_at, row):
        return "stopped"
    if row.has_finished or _has_ended(row, row.finished_at):
        return "finished"
    return "stopped" if _is_after_start(find_last_stop(row.expid), row) else "killed" if row.is_dead else ""


def _is_after_start(ended_at: datetime | None, experiment: Experiment) -> bool:
    """Return whether an end belongs to the latest run; old versions do not record when that began."""
    since = experiment.recorded_at
    return ended_at is not None and (since is None or ended_at > since)


def _find_stops() -> QuerySet[Any]:
    """Return when the runs of an experiment were stopped, as its actions tell, the last first.

    A stop that still works counts: it may take longer than the run to end.
    """
    stops = Q(kind__in=STOP_KINDS, state__in=(State.RUNNING, State.SUCCEEDED))
    steps = {kind.name: len(kind.steps) - 1 for kind in CATALOGUE.values() if kind.is_run}
    for name, step in steps.items():
        stops |= Q(kind=name, step=step, state=State.CANCELLED, exit_status__isnull=False)
    about = Action.objects.filter(stops, experiment=OuterRef("pk"), is_dry_run=False)
    dated: QuerySet[Any] = about.annotate(end=Coalesce("ended_at", Now()))
    return dated.order_by("-end").values("end")


def _annotate_ends(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Add when the runs of each ended last, by itself and by a stop."""
    found: QuerySet[Any] = rows.defer("fingerprint", "description").annotate(
        finished_at=Max("runs__finished_at"), stopped_at=Subquery(_find_stops()[:1])
    )
    return found


@dataclass(frozen=True, slots=True)
class Doubt:
    """Since when something contradicts the evidence, and when to report it (monotonic clock)."""

    since: datetime
    due: float


class Doubts:
    """What was seen to contradict itself at one site, and is told when it stays so.

    With `is_patient` False everything is told at once.
    """

    def __init__(self, site_id: int, *, is_patient: bool = True) -> None:
        self.site_id = site_id
        self.settle_seconds = SETTLE_SECONDS if is_patient else 0.0
        self._touched: set[str] = set()
        self._doubts: dict[str, Doubt] = {}

    def touch(self, expids: Iterable[str]) -> None:
        """Judge these experiments next time, because something about them has changed."""
        self._touched.update(expids)

    def withhold(self, expid: str) -> None:
        """Do not judge this experiment until it is touched again, because its files could not be read."""
        self._touched.discard(expid)
        self._doubts.pop(expid, None)

    def judge(self, find_last_stop: FindLastStop, node: str) -> None:
        """Judge what has changed, and again what is in doubt for long enough; write what differs from what was told."""
        now = time.monotonic()
        due = self._touched | {expid for expid, doubt in self._doubts.items() if doubt.due <= now}
        self._touched = set()
        for experiment in self._find_rows(due) if due else ():
            self._tell(experiment, _judge(experiment, find_last_stop, node), now)

    def _find_rows(self, expids: set[str]) -> QuerySet[Any]:
        rows = Experiment.objects.filter(site=self.site_id, gone_at=None)
        if len(expids) <= _MANY:
            rows = rows.filter(expid__in=expids)
        return _annotate_ends(rows)

    def _tell(self, experiment: Experiment, found: Disagreement, now: float) -> None:
        if not found:
            self._doubts.pop(experiment.expid, None)
            _write(experiment, found, None)
        elif experiment.disagrees_since:
            _write(experiment, found, experiment.disagrees_since)
        else:
            new = Doubt(timezone.now(), now + self.settle_seconds)
            doubt = self._doubts.setdefault(experiment.expid, new)
            if doubt.due <= now:
                del self._doubts[experiment.expid]
                _write(experiment, found, doubt.since)


def _judge(experiment: Any, find_last_stop: FindLastStop, node: str) -> Disagreement:
    """Say what contradicts the evidence; logs of `stop` are looked for only where they may explain it."""
    found = find_disagreement(experiment, experiment.finished_at, experiment.stopped_at, node)
    if found and not experiment.is_running and (stopped_at := find_last_stop(experiment.expid)):
        return find_disagreement(experiment, experiment.finished_at, stopped_at, node)
    return found


def _write(experiment: Experiment, found: Disagreement, since: datetime | None) -> None:
    new = {"disagreement": found.text, "disagrees_since": since, "is_dead": found.is_dead}
    if any(getattr(experiment, name) != value for name, value in new.items()):
        Experiment.objects.filter(pk=experiment.pk).update(**new)
