"""A note on an experiment or on one of its jobs; or that somebody has seen what is wrong with it and takes it."""

from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy

from autosubmit_portal.access.rights import policy
from experiments.models.experiment import Experiment


class NoteQuerySet(models.QuerySet["Note"]):
    """Notes."""

    def visible_to(self, actor: policy.Actor) -> "NoteQuerySet":
        """Those on the experiments that the actor may see."""
        return policy.filter_visible(self, actor, path="experiment__", model=Experiment)

    def current(self) -> "NoteQuerySet":
        """Those that hold: nobody has removed them, and their time is not up."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=timezone.now()), removed_at=None)


class Acknowledged(models.TextChoices):
    """What somebody may say that they have seen: what the rules say of an experiment, or that jobs have failed."""

    ATTENTION = "attention", gettext_lazy("What needs somebody")
    FAILURE = "failure", gettext_lazy("Failed jobs")


class Note(models.Model):
    """What somebody wrote, in Markdown. It is never changed: who was wrong removes it and writes another.

    `job_name` is blank for the experiment as a whole; a name, because the mirror makes the rows of jobs anew.
    With `acknowledges` the author has seen that, and `state` is how it was then: when it is another, nobody has seen
    it. Names are copied: they outlive accounts.
    """

    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="notes", db_index=False)
    job_name = models.CharField(max_length=300, blank=True)
    text = models.TextField()
    is_pinned = models.BooleanField(default=False)
    acknowledges = models.CharField(max_length=20, choices=Acknowledged, blank=True)
    state = models.CharField(max_length=64, blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    author_name = models.CharField(max_length=150)
    made_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)
    removed_by_name = models.CharField(max_length=150, blank=True)

    objects = NoteQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(acknowledges="", state="") | (~Q(acknowledges="") & ~Q(state="")),
                name="experiments_acknowledged_in_a_state",
            )
        ]
        indexes = [
            # The notes on an experiment, and on one of its jobs, the newest first.
            models.Index(fields=["experiment", "id"], condition=Q(removed_at=None), name="experiments_notes_on"),
            models.Index(fields=["experiment", "job_name", "id"], name="experiments_notes_on_job"),
            # Who has seen what; and what was written in a shift.
            models.Index(
                fields=["experiment", "acknowledges"],
                condition=Q(removed_at=None) & ~Q(acknowledges=""),
                name="experiments_acknowledged",
            ),
            models.Index(fields=["made_at"], name="experiments_notes_by_time"),
        ]
        default_permissions = ()

    def __str__(self) -> str:
        return f"note on {self.job_name or self.experiment}"

    @property
    def is_over(self) -> bool:
        """Whether somebody has removed it, or its time is up."""
        return self.removed_at is not None or (self.ends_at is not None and self.ends_at <= timezone.now())


def get_state(experiment: Experiment, what: str) -> str:
    """Return how something to acknowledge is now, as a text that is another when it has changed; blank if it is not."""
    if what == Acknowledged.FAILURE:
        return experiment.failed_at.isoformat() if experiment.failed_jobs and experiment.failed_at else ""
    if not experiment.attention_rules:
        return ""
    return digest_alarms(experiment.attention)


def digest_alarms(alarms: Any) -> str:
    """Return the digest of which rules say something of which job, since when."""
    told = [(alarm.get("rule"), alarm.get("job"), alarm.get("since")) for alarm in alarms]
    return blake2b(repr(told).encode(), digest_size=16).hexdigest()
