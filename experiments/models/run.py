"""A run of an experiment, from Autosubmit's own history."""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, When

from autosubmit_portal.access.rights import policy
from experiments.models.experiment import Experiment
from experiments.models.indexes import NewestFirstIndex


class RunQuerySet(models.QuerySet["Run"]):
    """Runs."""

    def visible_to(self, actor: policy.Actor) -> "RunQuerySet":
        """Those of the experiments that the actor may see."""
        return policy.filter_visible(self, actor, path="experiment__")

    def annotate_host(self) -> "models.QuerySet[Any]":
        """Add `run_host`, the name of the host of the latest run of each experiment; None for those before it."""
        later = Run.objects.filter(experiment=OuterRef("experiment"), run_id__gt=OuterRef("run_id"))
        rows: models.QuerySet[Any] = self.annotate(run_host=Case(When(~Exists(later), F("experiment__run_host__name"))))
        return rows


class Run(models.Model):
    """One row of Autosubmit's `experiment_run`. The counts are of jobs at the last time that Autosubmit wrote it.

    Autosubmit makes the row when it generates the job list, and calls that its start; `began_at` is when the mirror saw
    that its first process had begun, None if it was not there to see. What Autosubmit calls its finish is often when
    the next job list was generated; `ended_at` is when its last process was seen to end, else when its last job ended,
    None while it goes on and where nothing is known.
    """

    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="runs", db_index=False
    )  # that of the constraint begins with it
    run_id = models.PositiveIntegerField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    began_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    chunk_unit = models.CharField(max_length=20, blank=True)
    chunk_size = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    queuing = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)
    submitted = models.PositiveIntegerField(default=0)
    suspended = models.PositiveIntegerField(default=0)

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["experiment", "run_id"], name="experiments_unique_run")]
        indexes = [
            # The list of runs, the newest first.
            NewestFirstIndex(F("started_at").desc(nulls_last=True), F("id").desc(), name="experiments_runs_by_start")
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"run {self.run_id}"

    @property
    def since(self) -> datetime | None:
        """When it began, as far as that is known."""
        return self.began_at or self.started_at
