"""An experiment, as mirrored from the store of its site."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.unix import get_uid
from autosubmit_portal.sentences import marked, say
from experiments.attention.alarm import Alarm, read_alarms
from experiments.autosubmit.store import NO_OWNER
from experiments.forecast.forecast import NOT_MADE, NOTHING_RUNS, Forecast, read_forecast
from experiments.models.indexes import NewestFirstIndex
from experiments.models.site import Site
from jobs.autosubmit.statuses import ACTIVE, DONE

_TAKEN_UP = marked("The next start takes them up again; a restart with force cancels them first.")


class ExperimentQuerySet(models.QuerySet["Experiment"]):
    """Experiments."""

    def visible_to(self, actor: policy.Actor) -> "ExperimentQuerySet":
        """Those that the actor may see."""
        return policy.filter_visible(self, actor)

    def filter_showing(self, model: type[models.Model], actor: policy.Actor) -> "ExperimentQuerySet":
        """Those of which the actor may see the rows of `model`, such as their jobs."""
        return policy.filter_visible(self, actor, model=model)

    def annotate_run_host(self) -> "models.QuerySet[Any]":
        """Add `run_host_name`, the name of the host where the run of each lives or lived last; None if not known."""
        rows: models.QuerySet[Any] = self.annotate(run_host_name=F("run_host__name"))
        return rows


def choose_meant(found: "Sequence[Experiment]") -> "list[Experiment]":
    """Return those of experiments of one expid that the expid means: the present ones, or else the last that went.

    There is at most one for each site.
    """
    present = [experiment for experiment in found if experiment.gone_at is None]
    if present:
        return present
    newest_last = sorted(found, key=lambda experiment: (experiment.gone_at, experiment.pk))
    return [*{experiment.site_id: experiment for experiment in newest_last}.values()]


class Experiment(models.Model):
    """One experiment of a site.

    It is this very experiment by `autosubmit_id` and `created_at`. When it is gone its expid may be given to another
    (`experiments.registry`), which then is another row.

    `status_counts` holds the number of jobs per status name (zeros left out); the database makes `failed_jobs` of it,
    which an index finds. `is_running` is decided by `evidence`,
    never by Autosubmit's own status table. `fingerprint` says which version of the store's files is mirrored.
    `owner_uid` is the uid of its folder when that was last seen, which is how Autosubmit decides whose it is: rights
    and accounts follow from it and from nothing else. None where no folder was seen yet, NO_OWNER where a link or a
    file is in its place; of an archived experiment the last owner stays. `owner` is what the host calls that uid, and
    `recorded_owner` the text in Autosubmit's database, which whoever may write that chooses.
    `program` is the name of the Autosubmit that a manager has chosen for it, blank for that of its version.
    `run_host` is the host of the site where its run lives, if that is known; it stays when the run has ended.
    `locked_by` says which process holds the lock of its runs without being one, blank for none.
    `problem` is blank unless a file could not be read; the last good mirror stays, is stale since `problem_since`, and
    nothing is concluded from it. `is_absent` means that it has no
    folder in the store, because it is archived or was removed. `recorded_status` is what Autosubmit's own status table
    says, and `disagreement` where that, the process and the job list contradict each other: see
    `experiments.mirror.consistency`. `edges_note` is what is not known of the dependencies between its jobs, blank if
    all is; `are_edges_known` is False where nothing is. `plans` say what the jobs of each section are to
    be sent with, by the configuration that `plans_source` marks: see `experiments.autosubmit.plans`.
    `is_dead` says that the `disagreement` is about a run whose process is gone although it has not ended.
    `attention` has what needs somebody, as `experiments.attention` finds it, and `attention_rules` the names of the
    rules between commas, blank for none. `active_since` has the jobs that are on a platform, each with its status and
    since when it was seen in it, while it runs.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="experiments")
    expid = models.CharField(max_length=50)
    autosubmit_id = models.BigIntegerField(default=0)
    description = models.TextField(blank=True)
    owner = models.CharField(max_length=100, blank=True)
    owner_uid = models.BigIntegerField(null=True)
    recorded_owner = models.CharField(max_length=100, blank=True)
    hpc = models.CharField("HPC", max_length=100, blank=True)
    version = models.CharField(max_length=50, blank=True)
    program = models.CharField(max_length=50, blank=True, editable=False)
    model = models.CharField(max_length=500, blank=True)
    branch = models.CharField(max_length=250, blank=True)
    created_at = models.DateTimeField(null=True)
    status_counts = models.JSONField(default=dict)
    failed_jobs = models.GeneratedField(
        expression=Coalesce(Cast(KeyTextTransform("FAILED", "status_counts"), models.IntegerField()), 0),
        output_field=models.IntegerField(),
        db_persist=True,
    )
    total_jobs = models.PositiveIntegerField(default=0)
    is_running = models.BooleanField(default=False)
    evidence = models.CharField(max_length=300, blank=True)
    run_host = models.ForeignKey(
        "experiments.Host", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    ignores_interrupt = models.BooleanField(default=False, help_text="Whether its run ignores SIGINT.")
    locked_by = models.CharField(max_length=200, blank=True)
    changed_at = models.DateTimeField(null=True, help_text="When its files in the store last changed.")
    refreshed_at = models.DateTimeField(null=True, help_text="When its files were last read.")
    fingerprint = models.JSONField(default=list)
    problem = models.TextField(blank=True)
    problem_since = models.DateTimeField(null=True, help_text="When its files could first not be read.")
    is_absent = models.BooleanField(default=False)
    recorded_status = models.CharField(max_length=20, blank=True)
    recorded_at = models.DateTimeField(null=True)
    disagreement = models.TextField(blank=True)
    disagrees_since = models.DateTimeField(null=True)
    are_edges_known = models.BooleanField(default=True)
    edges_note = models.TextField(blank=True)
    plans = models.JSONField(default=dict)
    plans_source = models.CharField(max_length=60, blank=True)
    sleep_seconds = models.PositiveIntegerField(null=True, help_text="SAFETYSLEEPTIME of its runs.")
    limits = models.JSONField(default=dict, help_text="How many jobs its runs have on a platform at most.")
    run_began_at = models.DateTimeField(null=True, help_text="When the process of its latest run began.")
    logged_at = models.DateTimeField(null=True, help_text="When the log of its latest run was written last.")
    active_since = models.JSONField(default=dict)
    failed_at = models.DateTimeField(null=True, help_text="When it was last seen to have more FAILED jobs than before.")
    is_dead = models.BooleanField(default=False)
    attention = models.JSONField(default=list)
    attention_rules = models.CharField(max_length=200, blank=True)
    forecast = models.JSONField(default=dict, help_text="When its run is expected to end.")
    gone_at = models.DateTimeField(null=True, help_text="When it was first missing from the store.")
    expid_since = models.DateTimeField(
        null=True, help_text="Since when the expid is its own, where another experiment had it before."
    )

    objects = ExperimentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "expid"], condition=Q(gone_at=None), name="experiments_one_present_of_an_expid"
            )
        ]
        indexes = [
            # Which is it that an address names? Autosubmit gives an expid again.
            models.Index(fields=["expid", "site", "gone_at"], name="experiments_named"),
            # The console's first question: what runs?
            models.Index(fields=["site", "expid"], condition=Q(is_running=True), name="experiments_running"),
            models.Index(fields=["-changed_at"], name="experiments_changed"),
            # What is wrong? Few are.
            models.Index(fields=["site", "expid"], condition=~Q(disagreement=""), name="experiments_disagreeing"),
            # Every list without an order of its own, and how many there are.
            models.Index(fields=["expid", "site"], condition=Q(gone_at=None), name="experiments_in_store"),
            # The console's list, and its filters.
            NewestFirstIndex(
                F("is_running").desc(),
                F("changed_at").desc(nulls_last=True),
                F("id").desc(),
                name="experiments_by_activity",
            ),
            models.Index(fields=["owner"], name="experiments_of_owner"),
            models.Index(fields=["hpc"], name="experiments_of_hpc"),
            models.Index(fields=["site", "expid"], condition=~Q(problem=""), name="experiments_troubled"),
            # What needs somebody? Few do. And what has failed lately?
            models.Index(fields=["site", "expid"], condition=~Q(attention_rules=""), name="experiments_in_need"),
            models.Index(fields=["-failed_at"], condition=Q(failed_jobs__gt=0), name="experiments_failed_lately"),
            models.Index(fields=["site", "expid"], condition=Q(failed_jobs__gt=0), name="experiments_with_failed_jobs"),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.expid} (gone)" if self.gone_at else self.expid

    @property
    def looked_at(self) -> datetime | None:
        """When the mirror last looked whether its files have changed, or later: no row is written for each look."""
        if self.gone_at is not None:
            return self.refreshed_at
        of_site = self.site.mirrored_at if self.is_running else self.site.swept_at
        return max((at for at in (of_site, self.refreshed_at) if at), default=None)

    @property
    def alarms(self) -> list[Alarm]:
        """What needs somebody, the most urgent first."""
        return read_alarms(self.attention)

    @property
    def current_forecast(self) -> Forecast:
        """When its run is expected to end, or why nothing can be said; what was said of a run before does not count."""
        made = read_forecast(self.forecast) if self.forecast else None
        is_of_run = made is not None and (self.run_began_at is None or made.made_at >= self.run_began_at)
        if self.is_running and made is not None and is_of_run:
            return made
        return Forecast(made_at=timezone.now(), why_not=NOT_MADE if self.is_running else NOTHING_RUNS)

    @property
    def alive_at(self) -> datetime | None:
        """The last sign of life of its run: when its files or its log were written last; None without a run."""
        signs = [at for at in (self.changed_at, self.logged_at, self.run_began_at) if at]
        return max(signs, default=None) if self.is_running else None

    @property
    def owner_note(self) -> str:
        """What to know of the owner: where the folder is not whose Autosubmit's database says; blank if all is well."""
        if self.owner_uid is None:
            return say("No folder was seen yet, so that nobody has the rights of its owner.")
        if self.owner_uid == NO_OWNER:
            return say("A link or a file is where its folder should be, so that nobody has the rights of its owner.")
        if self.recorded_owner in ("", self.owner) or get_uid(self.recorded_owner) == self.owner_uid:
            return ""
        return say(
            "Autosubmit's database says {recorded_owner}. The folder counts, which belongs to {owner}.",
            recorded_owner=self.recorded_owner,
            owner=self.owner,
        )

    @property
    def has_job_list(self) -> bool:
        """Whether there are jobs to run, as far as is known: one that cannot be read is there."""
        return self.total_jobs > 0 or bool(self.problem)

    @property
    def has_finished(self) -> bool:
        """Whether nothing is left to run: all of its jobs are done."""
        return 0 < self.total_jobs == self.count(*DONE)

    @property
    def is_unread(self) -> bool:
        """Whether its files could never be read, so that nothing is known of its jobs."""
        return bool(self.problem) and self.refreshed_at is None

    @property
    def unwatched_note(self) -> str:
        """Which jobs go on without a run that watches them, as after a stop; blank for none and where it is not known.

        Where that contradicts what is known, `disagreement` says it.
        """
        jobs = {status: count for status in ACTIVE if (count := self.count(status))}
        is_unknown = self.gone_at or self.is_absent or self.problem or self.disagreement
        if not jobs or is_unknown or self.is_running or getattr(self, "is_starting", False):
            return ""
        told = ", ".join(f"{count:,} {status}" for status, count in jobs.items())
        return say(
            "Jobs go on on their platform without anybody watching: {told}. {rest}", told=told, rest=say(_TAKEN_UP)
        )

    def list_active_jobs(self) -> list[tuple[str, str]]:
        """Name and platform of the jobs that the job list has on a platform. One query."""
        jobs = self.jobs.filter(status__in=ACTIVE).order_by("name")
        return list(jobs.values_list("name", "platform"))

    def get_statuses(self, names: Sequence[str]) -> dict[str, str]:
        """Status of each of the named jobs that exist, by name. One query."""
        wanted = set(names)
        statuses = self.jobs.order_by("name").values_list("name", "status")
        return {name: status for name, status in statuses if name in wanted}

    def count(self, *statuses: str) -> int:
        """The number of jobs in any of `statuses`."""
        counts: dict[str, Any] = self.status_counts
        return sum(int(counts.get(status, 0)) for status in statuses)
