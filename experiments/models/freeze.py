"""A freeze: while a site or a platform is under maintenance, nothing is started there."""

from collections.abc import Collection, Container, Iterable
from typing import Any

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Upper
from django.utils import timezone

from autosubmit_portal.access.rights import policy
from experiments.models.experiment import Experiment
from experiments.models.site import Site
from jobs.autosubmit.statuses import DONE
from jobs.models import Job


class FreezeQuerySet(models.QuerySet["Freeze"]):
    """Freezes."""

    def visible_to(self, actor: policy.Actor) -> "FreezeQuerySet":
        """Those of the sites that the actor may see."""
        if policy.may_view_all(actor, Site):
            return self
        return self.filter(site__in=Site.objects.visible_to(actor))

    def current(self) -> "FreezeQuerySet":
        """Those that are not over: they hold, or are planned."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=timezone.now()), ended_at=None)

    def active(self) -> "FreezeQuerySet":
        """Those that hold now."""
        return self.current().filter(starts_at__lte=timezone.now())

    def filter_touching(self, experiment: Experiment) -> "FreezeQuerySet":
        """Those of the site of the experiment, of its HPC, or of the platform of any of its unfinished jobs."""
        jobs = _filter_unfinished_jobs(OuterRef("platform")).filter(experiment=experiment)
        touches = Q(platform="") | Q(platform=experiment.hpc.upper()) | Q(Exists(jobs))
        return self.filter(touches, site=experiment.site_id)

    def find_refusals(self, experiments: Collection[Experiment]) -> dict[int, str]:
        """Return why nothing may submit jobs now, by experiment; those that may are left out. At most two queries."""
        sites = {experiment.site_id for experiment in experiments}
        freezes = list(self.active().filter(site__in=sites).select_related("site").order_by("pk"))
        platforms = {frozen.platform for frozen in freezes if frozen.platform}
        used = Experiment.objects.filter(pk__in=[experiment.pk for experiment in experiments])
        on = set(find_unfinished(platforms, used)) if platforms else set()
        first = {
            experiment.pk: next((one for one in freezes if _is_touching(one, experiment, on)), None)
            for experiment in experiments
        }
        return {pk: frozen.refusal for pk, frozen in first.items() if frozen}


class Freeze(models.Model):
    """A time in which nothing that submits jobs may start at a site, or on one platform of it.

    `platform` is in upper case and blank for the whole site. It is over at `ends_at`, if it has one, or when somebody
    ends it; then `ended_at` is set, and `ended_by_name` unless it ended by itself. Names are copied: they outlive
    accounts.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="freezes")
    platform = models.CharField(max_length=100, blank=True)
    message = models.TextField(help_text="Shown to everybody who would start something.")
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True)
    made_by_name = models.CharField(max_length=150)
    made_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    ended_by_name = models.CharField(max_length=150, blank=True)

    objects = FreezeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), name="experiments_freeze_has_a_length"
            )
        ]
        indexes = [
            # What each request for a run asks: is there a freeze?
            models.Index(fields=["site"], condition=Q(ended_at=None), name="experiments_freezes_not_ended")
        ]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.platform} at {self.site}" if self.platform else str(self.site)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or its time is up."""
        return self.ended_at is not None or (self.ends_at is not None and self.ends_at <= timezone.now())

    @property
    def is_active(self) -> bool:
        """Whether it holds now."""
        return not self.is_over and self.starts_at <= timezone.now()

    @property
    def refusal(self) -> str:
        """What is said to whoever would start something."""
        until = f" until {self.ends_at:%Y-%m-%d %H:%M} UTC" if self.ends_at else ""
        return f"{self} is frozen{until}: {self.message}"

    def find_running_experiments(self) -> "models.QuerySet[Experiment]":
        """Return what runs where it holds, by owner; their runs go on, and their owners should know."""
        rows: models.QuerySet[Any] = Experiment.objects.filter(site=self.site_id, is_running=True)
        if self.platform:
            jobs = _filter_unfinished_jobs(self.platform).filter(experiment=OuterRef("pk"))
            rows = rows.alias(on=Upper("hpc")).filter(Q(on=self.platform) | Exists(jobs))
        return rows.order_by("owner", "expid")


def find_unfinished(platforms: Iterable[str], experiments: "models.QuerySet[Experiment]") -> list[tuple[int, str]]:
    """Return which of the experiments have unfinished jobs on which of the platforms, given in upper case."""
    jobs: models.QuerySet[Any] = Job.objects.exclude(status__in=DONE).filter(experiment__in=experiments)
    found = jobs.alias(on=Upper("platform")).filter(on__in=platforms).annotate(at=F("on"))
    return list(found.order_by().values_list("experiment_id", "at").distinct())


def _is_touching(frozen: Freeze, experiment: Experiment, on: Container[tuple[int, str]]) -> bool:
    """Answer as `filter_touching` does; `on` has the experiments with the platforms of unfinished jobs."""
    if frozen.site_id != experiment.site_id:
        return False
    is_on = frozen.platform == experiment.hpc.upper() or (experiment.pk, frozen.platform) in on
    return not frozen.platform or is_on


def _filter_unfinished_jobs(platform: Any) -> "models.QuerySet[Any]":
    """Return the jobs of a platform that may still be sent to it: a restart makes FAILED ones READY."""
    unfinished = Job.objects.exclude(status__in=DONE)
    return unfinished.alias(on=Upper("platform")).filter(on=platform)
