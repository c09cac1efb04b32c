"""The audit trail: one row for each thing that was requested, refused, done or changed. Rows never change."""

from typing import Any, NoReturn

from django.db import models
from django.db.models import Q
from django.utils import timezone

from autosubmit_portal.audit import chain

# What is an act of its own, in the list of what people did: sign-ins and what an action does by itself are none.
ACTS = (Q(action_id=None) & ~Q(event__startswith="sign_in.")) | Q(
    event__in=("action.approved", "action.rejected", "action.cancel_requested")
)


class AppendOnlyError(TypeError):
    """Somebody tried to change or delete an audit entry."""

    def __init__(self) -> None:
        super().__init__("Audit entries are never changed or deleted.")


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise AppendOnlyError


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Entries to read. Updates and deletions are refused here, and by triggers of the database.

    Only `trail.record` adds an entry to the chain; `manage.py audit verify` finds every other one.
    """

    update = _refuse
    delete = _refuse
    bulk_update = _refuse
    update_or_create = _refuse


class AuditEntry(models.Model):
    """Who did what, when, from where, on what, how, and with which result.

    Names are copied instead of foreign keys: the trail outlives accounts, sites and experiments.
    """

    at = models.DateTimeField(default=timezone.now, editable=False)
    event = models.CharField(max_length=50)
    actor_name = models.CharField(max_length=150, blank=True)
    actor_id = models.BigIntegerField(null=True)
    address = models.GenericIPAddressField(null=True)
    door = models.CharField(max_length=20)
    credential = models.CharField(max_length=150, blank=True, help_text="What the actor came in with.")
    on_behalf_of = models.CharField(max_length=150, blank=True, help_text="Whom the actor acted for.")
    subject = models.CharField(max_length=300, blank=True)
    site = models.CharField(max_length=50, blank=True)
    expid = models.CharField(max_length=50, blank=True)
    action_id = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=50, blank=True)
    details = models.JSONField(default=dict, help_text="Parameters, command, exit status, changed fields.")
    message = models.TextField(blank=True)
    previous = models.CharField(max_length=chain.DIGEST_LENGTH, blank=True, help_text="The digest of the entry before.")
    digest = models.CharField(
        max_length=chain.DIGEST_LENGTH,
        blank=True,
        help_text="The keyed digest of all other columns; blank in an entry that was not written by the portal.",
    )

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit entries"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["-at"], name="audit_at"),
            # The lists, the newest first, and their filters.
            models.Index(fields=["expid", "id"], name="audit_expid"),
            models.Index(fields=["actor_name", "id"], name="audit_actor"),
            models.Index(fields=["credential", "id"], name="audit_credential"),
            models.Index(fields=["event", "id"], name="audit_event"),
            models.Index(fields=["on_behalf_of", "id"], name="audit_on_behalf_of"),
            models.Index(fields=["site", "id"], name="audit_site"),
            models.Index(fields=["kind", "id"], name="audit_kind"),
            models.Index(fields=["door", "id"], name="audit_door"),
            models.Index(fields=["action_id", "id"], condition=Q(action_id__isnull=False), name="audit_action"),
            # What people did, the newest first; of one person, and about one experiment.
            models.Index(fields=["id"], condition=ACTS, name="audit_acts"),
            models.Index(fields=["actor_name", "id"], condition=ACTS, name="audit_acts_of"),
            models.Index(fields=["expid", "id"], condition=ACTS, name="audit_acts_about"),
            models.Index(fields=["actor_id", "id"], condition=ACTS, name="audit_acts_by"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_name} {self.event} {self.subject}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the entry; an entry that exists is refused with AppendOnlyError."""
        if not self._state.adding:
            raise AppendOnlyError
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse with AppendOnlyError."""
        raise AppendOnlyError


class Tally(models.Model):
    """A count of events with a limit: how many were `recorded`, and how many were `held` back since."""

    key = models.CharField(max_length=64, unique=True, help_text="The digest of what is counted together.")
    event = models.CharField(max_length=50)
    first = models.JSONField(default=dict, help_text="Who began, for the entry at the end.")
    recorded = models.PositiveIntegerField(default=0)
    held = models.PositiveBigIntegerField(default=0)
    began_at = models.DateTimeField()
    last_at = models.DateTimeField()
    ends_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "tallies"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.held} more of {self.event}"
