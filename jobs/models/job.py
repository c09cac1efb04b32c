"""A job of an experiment, as mirrored from its job list and history."""

from django.db import models
from django.db.models import Q

from autosubmit_portal.access.rights import policy


class JobQuerySet(models.QuerySet["Job"]):
    """Jobs."""

    def visible_to(self, actor: policy.Actor) -> "JobQuerySet":
        """Those of the experiments whose jobs the actor may see."""
        return policy.filter_visible(self, actor, path="experiment__")


class Job(models.Model):
    """One job. Status names are Autosubmit's own; times are those of its newest attempt.

    `date` is the start date of the experiment that the job belongs to, `wrapper` the name of the wrapper that it was
    last sent in. Blank and None mean that Autosubmit does not say. `out_log` and `err_log` are file names in the job
    log folder of the experiment.
    """

    experiment = models.ForeignKey(
        "experiments.Experiment", on_delete=models.CASCADE, related_name="jobs", db_index=False
    )  # several indexes begin with it
    name = models.CharField(max_length=250)
    status = models.CharField(max_length=20)
    section = models.CharField(max_length=100, blank=True)
    date = models.DateTimeField(null=True)
    member = models.CharField(max_length=100, blank=True)
    chunk = models.IntegerField(null=True)
    split = models.IntegerField(null=True)
    splits = models.IntegerField(null=True)
    priority = models.IntegerField(default=0)
    platform = models.CharField(max_length=100, blank=True)
    remote_id = models.BigIntegerField(null=True)
    qos = models.CharField(max_length=100, blank=True)
    processors = models.CharField(max_length=50, blank=True)
    wallclock = models.CharField(max_length=20, blank=True)
    wrapper = models.CharField(max_length=250, blank=True)
    workflow_commit = models.CharField(max_length=100, blank=True)
    fail_count = models.PositiveIntegerField(default=0)
    submitted_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    out_log = models.CharField(max_length=300, blank=True)
    err_log = models.CharField(max_length=300, blank=True)
    out_log_remote = models.CharField(max_length=500, blank=True)
    err_log_remote = models.CharField(max_length=500, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["experiment", "name"], name="jobs_unique_name")]
        indexes = [
            models.Index(fields=["experiment", "status"], name="jobs_status"),
            # The lists of jobs, newest first, of an experiment and of a status; names are found by jobs/trigrams.py.
            models.Index(fields=["experiment", "id"], name="jobs_of_experiment"),
            models.Index(fields=["status", "id"], name="jobs_of_status"),
            # The filters within an experiment, and what they offer.
            models.Index(fields=["experiment", "section"], name="jobs_of_section"),
            models.Index(fields=["experiment", "member"], name="jobs_of_member"),
            models.Index(fields=["experiment", "chunk"], name="jobs_of_chunk"),
            models.Index(fields=["experiment", "platform"], name="jobs_of_platform"),
            # What has finished lately, of all experiments; most jobs of a list that runs have not.
            models.Index(fields=["finished_at"], condition=Q(finished_at__isnull=False), name="jobs_finished"),
            # The wrappers of an experiment, of which most have none.
            models.Index(fields=["experiment", "wrapper"], condition=~Q(wrapper=""), name="jobs_wrapped"),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.name
