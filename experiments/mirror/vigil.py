"""The vigil over a site: hand the facts of its experiments to the rules, and write what needs somebody.

Of what runs it also has the forecasts made.

What the rules say depends on the clock, so that they are asked again and again, but only about what runs, and about
what is known to be wrong.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from experiments.attention.alarm import Alarm, tell_alarms
from experiments.attention.facts import ActiveJob, RunFacts
from experiments.attention.rules import QUEUED_STATUSES, find_alarms
from experiments.autosubmit.life import NO_LIFE, Life
from experiments.forecast.wallclock import parse_wallclock
from experiments.mirror.outlook import Outlook
from experiments.mirror.sightings import UNSEEN
from experiments.models import Experiment, Run
from jobs.autosubmit.statuses import ACTIVE, DONE
from jobs.autosubmit.values import to_moment
from jobs.models import Job, JobDependency

PAUSE_SECONDS = 10.0
"""Between two times that the rules are asked."""

READY_PAUSE_SECONDS = 300.0
"""Between two times that the dependencies of an experiment are looked through, which costs most."""

LOOK_SECONDS = 0.1
"""So long they are looked through at a time, so that the first look at all does not hold up the mirror."""

# Of one experiment so many jobs at most are watched.
MOST_JOBS = 1_000

# By the state of a process, the rule that has an alarm of it.
RULES_OF_STATES = {"T": "stopped", "t": "stopped", "D": "disk_sleep"}


@dataclass(slots=True)
class Process:
    """What a host sees of the process of a run, and since when in this state."""

    host: int
    life: Life = NO_LIFE
    state_since: datetime = field(default_factory=timezone.now)


NO_PROCESS = Process(0)


@dataclass(slots=True)
class Watch:
    """What is remembered of a run: since when it is seen, and the job that waits for nothing."""

    seen_since: datetime = field(default_factory=timezone.now)
    ready_job: str = ""
    ready_since: datetime | None = None
    ready_due: float = 0.0


class Vigil:
    """What is remembered of the runs of a site. Without patience the rules are asked each time."""

    def __init__(self, site_id: int, *, is_patient: bool = True) -> None:
        self.site_id, self.is_patient = site_id, is_patient
        self._processes: dict[str, Process] = {}
        self._watches: dict[str, Watch] = {}
        self._outlook = Outlook(is_patient=is_patient)
        self._due = 0.0
        self._looks_until = inf

    def note(self, host: int, expid: str, life: Life) -> None:
        """Take what a host sees of the process of a run: nothing if it is at another one."""
        known = self._processes.get(expid)
        if life == NO_LIFE:
            if known and known.host == host:
                del self._processes[expid]
        elif known and (known.host, known.life.process_state) == (host, life.process_state):
            known.life = life
        else:
            self._processes[expid] = Process(host, life)

    def keep(self) -> None:
        """Ask the rules, if it is time to, and write what they find; else go on with forecasts."""
        now = time.monotonic()
        if self.is_patient and now < self._due:
            self._outlook.go_on()
            return
        self._due, self._looks_until = now + PAUSE_SECONDS, inf
        experiments = [*self._find_rows()]
        running = {experiment.expid for experiment in experiments if experiment.is_running}
        self._watches = {expid: watch for expid, watch in self._watches.items() if expid in running}
        jobs, ended = _read_jobs(experiments), _read_ends(experiments)
        runs = []
        for experiment in experiments:
            watch = self._watches.setdefault(experiment.expid, Watch()) if experiment.is_running else Watch()
            self._look_for_ready(experiment, watch)
            active = _follow(experiment, jobs.get(experiment.pk, {}))
            process = self._processes.get(experiment.expid, NO_PROCESS)
            facts = _make_facts(experiment, process, watch, active, ended.get(experiment.pk))
            alarms = find_alarms(facts)
            _write(experiment, process.life, active, _settle(alarms, experiment))
            if experiment.is_running:
                runs.append((experiment, alarms))
        self._outlook.keep(runs)

    def _find_rows(self) -> QuerySet[Any]:
        """Return what runs, and what is wrong or was said to be: few, which partial indexes find."""
        wrong = ~Q(attention_rules="") | ~Q(disagreement="") | ~Q(problem="")
        rows = Experiment.objects.filter(Q(is_running=True) | wrong, site=self.site_id, gone_at=None)
        return rows.defer("fingerprint", "description").order_by("pk")

    def _look_for_ready(self, experiment: Experiment, watch: Watch) -> None:
        """Look from time to time for a job that is WAITING for nothing; it counts when it is seen again."""
        now = time.monotonic()
        is_due = watch.ready_due <= now < self._looks_until
        if not experiment.is_running or not experiment.count("WAITING") or not is_due:
            return
        watch.ready_due, self._looks_until = now + READY_PAUSE_SECONDS, min(self._looks_until, now + LOOK_SECONDS)
        found = _find_ready(experiment, watch.ready_job)
        if found != watch.ready_job:
            watch.ready_job, watch.ready_since = found, timezone.now() if found else None


def _find_ready(experiment: Experiment, known: str) -> str:
    """Return a job that is WAITING although all of its parents are done, the known one first; blank for none."""
    edges = JobDependency.objects.filter(child=OuterRef("pk"))
    unfinished = edges.exclude(parent__status__in=DONE)
    waiting = Job.objects.filter(Exists(edges), ~Exists(unfinished), experiment=experiment, status="WAITING")
    if known and waiting.filter(name=known).exists():
        return known
    return waiting.order_by("pk").values_list("name", flat=True).first() or ""


def _read_jobs(experiments: Iterable[Experiment]) -> dict[int, dict[str, tuple[str, Job]]]:
    """Return the jobs that are on a platform, of what runs: by experiment and name their status and the row."""
    running = [one.pk for one in experiments if one.is_running and one.count(*ACTIVE)]
    found: dict[int, dict[str, tuple[str, Job]]] = {}
    rows = Job.objects.filter(experiment__in=running, status__in=ACTIVE).order_by("experiment", "name")
    for job in rows.only("experiment_id", "name", "status", "section", "wallclock", "started_at").iterator():
        jobs = found.setdefault(job.experiment_id, {})
        if len(jobs) < MOST_JOBS:
            jobs[job.name] = job.status, job
    return found


def _read_ends(experiments: Iterable[Experiment]) -> dict[int, datetime]:
    """Return when a job ended last, of what runs with all of its active jobs in a queue."""
    queued = [
        one.pk for one in experiments if one.is_running and one.count(*QUEUED_STATUSES) and not one.count("RUNNING")
    ]
    rows = Job.objects.filter(experiment__in=queued, finished_at__isnull=False) if queued else Job.objects.none()
    return dict(rows.values_list("experiment").annotate(Max("finished_at")).order_by())


def _follow(experiment: Experiment, jobs: Mapping[str, tuple[str, Job]]) -> list[ActiveJob]:
    """Return the active jobs, each since when it was seen in its status: Autosubmit 4.1 does not record that."""
    return [*_follow_each(experiment, jobs, timezone.now())]


def _follow_each(experiment: Experiment, jobs: Mapping[str, tuple[str, Job]], now: datetime) -> Iterator[ActiveJob]:
    known: dict[str, list[str]] = experiment.active_since
    for name, (status, job) in jobs.items():
        before, since = known.get(name, ("", ""))
        at = datetime.fromisoformat(since) if before == status else now
        if status == "RUNNING" and job.started_at and before != status:
            at = min(job.started_at, now)
        wallclock = job.wallclock or experiment.plans.get(job.section.upper(), {}).get("wallclock", "")
        yield ActiveJob(name, status, at, parse_wallclock(wallclock))


def _make_facts(
    experiment: Experiment, process: Process, watch: Watch, jobs: list[ActiveJob], ended_at: datetime | None
) -> RunFacts:
    life = process.life
    logged_at = to_moment(life.logged_at) if life.logged_at else None
    signs = [at for at in (experiment.changed_at, logged_at, _get_start(life)) if at]
    return RunFacts(
        now=timezone.now(),
        is_running=experiment.is_running,
        evidence=experiment.evidence,
        is_unseen=experiment.evidence.startswith(UNSEEN),
        is_dead=experiment.is_dead,
        disagreement=experiment.disagreement,
        disagrees_since=experiment.disagrees_since,
        problem=experiment.problem,
        problem_since=experiment.problem_since,
        process_state=life.process_state,
        state_since=_recall_state(experiment, process),
        seen_since=watch.seen_since,
        alive_at=None if life.may_be_quiet or experiment.problem else max(signs, default=None),
        sleep_seconds=experiment.sleep_seconds,
        counts=experiment.status_counts,
        jobs=jobs,
        ready_job=watch.ready_job,
        ready_since=watch.ready_since,
        ended_at=ended_at,
    )


def _recall_state(experiment: Experiment, process: Process) -> datetime:
    """Return since when a process is in its state: an alarm of it may be older than this process of the mirror."""
    rule = RULES_OF_STATES.get(process.life.process_state)
    told = [datetime.fromisoformat(one["since"]) for one in experiment.attention if one["rule"] == rule]
    return min([process.state_since, *told])


def _get_start(life: Life) -> datetime | None:
    return to_moment(life.started_at) if life.started_at else None


def _settle(alarms: list[Alarm], experiment: Experiment) -> list[dict[str, str]]:
    """Return the alarms as they are kept: with the words of before where only their beginning is known worse."""
    known = {one["rule"]: one for one in experiment.attention}
    told = tell_alarms(alarms)
    return [known[one["rule"]] if _is_known(one, known.get(one["rule"])) else one for one in told]


def _is_known(alarm: Mapping[str, str], known: Mapping[str, str] | None) -> bool:
    """Answer whether it is the alarm of before, of which a mirror that has begun anew only knows a later beginning."""
    return known is not None and alarm["job"] == known["job"] and alarm["since"] > known["since"]


def _write(experiment: Experiment, life: Life, jobs: list[ActiveJob], alarms: list[dict[str, str]]) -> None:
    """Write what is other than before; signs of life only where the files do not show them."""
    new: dict[str, Any] = {"attention": alarms, "attention_rules": _join([alarm["rule"] for alarm in alarms])}
    if experiment.is_running:
        new["active_since"] = {job.name: [job.status, job.since.astimezone(UTC).isoformat()] for job in jobs}
        new["run_began_at"] = _get_start(life) or experiment.run_began_at
        new["logged_at"] = _choose_sign(experiment, life)
    elif experiment.active_since:
        new["active_since"] = {}
    changed = {name: value for name, value in new.items() if getattr(experiment, name) != value}
    if changed:
        Experiment.objects.filter(pk=experiment.pk).update(**changed)
        for name, value in changed.items():  # its forecast is made of this row
            setattr(experiment, name, value)
    if changed.get("run_began_at"):
        latest = Run.objects.filter(experiment=experiment).order_by("-run_id").values("pk")[:1]
        Run.objects.filter(pk__in=latest, began_at=None).update(began_at=changed["run_began_at"])


def _choose_sign(experiment: Experiment, life: Life) -> datetime | None:
    logged_at = to_moment(life.logged_at) if life.logged_at else None
    late = timedelta(seconds=PAUSE_SECONDS)
    is_shown = logged_at and experiment.changed_at and logged_at - experiment.changed_at < late
    return experiment.logged_at if logged_at is None or is_shown else logged_at


def _join(rules: Iterable[str]) -> str:
    """Return the names between commas, so that each is found as `,name,`."""
    text = ",".join(rules)
    return f",{text}," if text else ""
