"""Actions, and the trail that they leave."""

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from autosubmit_portal.api.serializers.brief import shorten
from autosubmit_portal.api.serializers.common import Listing, Problem
from autosubmit_portal.api.serializers.fields import InstantField, make_texts
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, State
from jobs.autosubmit.secrets import mask_value


class ActionItem(serializers.Serializer[Action]):
    """An action: one request to do something, and what became of it."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=list(CATALOGUE))
    state = serializers.ChoiceField(choices=State.values)
    site = serializers.CharField(source="site.slug")
    expid = serializers.CharField(help_text="Blank while an experiment is being created.")
    jobs = make_texts(source="parameters.jobs", required=False, help_text="The jobs that were named, if any were.")
    actor = serializers.CharField(source="actor_name", help_text="Who asked.")
    on_behalf_of = serializers.CharField(help_text="Whose rights they were, if lent; blank for the actor's own.")
    door = serializers.CharField(help_text="The way it came in.")
    reason = serializers.CharField()
    parameters = serializers.DictField()
    command = serializers.ListField(child=make_texts(), help_text="The argument list of each step.")
    unix_name = serializers.CharField(
        help_text="The Unix account that the command runs as; blank for the service account."
    )
    is_dry_run = serializers.BooleanField(
        help_text="Whether its command saves nothing: `job_changes` are what would change."
    )
    step = serializers.IntegerField(help_text="The step that runs or ran last, from 0.")
    approval_expires_at = InstantField(
        allow_null=True, help_text="Until when a second person may approve it; null if nobody must."
    )
    approved_by = serializers.CharField(
        source="approved_by_name", help_text="Who approved it; blank if nobody has or must."
    )
    approved_at = InstantField(allow_null=True)
    requested_at = InstantField()
    started_at = InstantField(allow_null=True)
    ended_at = InstantField(allow_null=True)
    unseen_since = InstantField(
        allow_null=True, help_text="Since when nobody knows whether the command that runs lives; `message` says why."
    )
    exit_status = serializers.IntegerField(allow_null=True)
    message = serializers.CharField(help_text="What came of it, or what it waits for, in one sentence.")
    job_changes = serializers.ListField(
        child=make_texts(), help_text="The jobs that the command changed, each as [name, new status]."
    )
    url = serializers.SerializerMethodField()
    output_url = serializers.SerializerMethodField(help_text="What its command printed.")

    def get_url(self, action: Action) -> str:
        """Return the address of the action."""
        return reverse("action-detail", args=[action.pk])

    def get_output_url(self, action: Action) -> str:
        """Return the address of its output."""
        return reverse("action-output", args=[action.pk])

    def to_representation(self, instance: Action) -> dict[str, Any]:
        """Write the action without its secrets; without `jobs` where none were named."""
        return _mask(self.write_whole(instance))

    def write_whole(self, instance: Action) -> dict[str, Any]:
        """Write the action as it is kept."""
        written: dict[str, Any] = super().to_representation(instance)
        if not written.get("jobs"):
            written.pop("jobs", None)
        return written


class RejectBody(serializers.Serializer[Any]):
    """Why an action is rejected."""

    # Not required here: `reject` says so, to whom it may, and records it like every other refusal.
    reason = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=2000,
        help_text="Why, for the person who asked; kept in the trail. Required.",
    )


class CallLostBody(serializers.Serializer[Any]):
    """How somebody knows that a command does not run any more."""

    # As in RejectBody.
    reason = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=2000,
        help_text="How you know that the command does not run any more; kept in the trail. Required.",
    )


class ActionBrief(ActionItem):
    """An action in a list: lists are cut to their first 20 entries and texts to 1000 characters; see its own page."""

    jobs_count = serializers.IntegerField(required=False, help_text="How many jobs were named, where `jobs` was cut.")
    job_changes_count = serializers.IntegerField(
        required=False, help_text="How many jobs were changed, where `job_changes` was cut."
    )

    def to_representation(self, instance: Action) -> dict[str, Any]:
        """Write the action with what is long cut."""
        return _mask(shorten(self.write_whole(instance)))


def _mask(written: dict[str, Any]) -> dict[str, Any]:
    names = ("parameters", "command", "reason", "message")
    return written | mask_value({name: written[name] for name in names})[0]


class ActionList(Listing):
    """A page of actions, newest first."""

    results = ActionBrief(many=True)


class ChangeItem(serializers.Serializer[Any]):
    """A job whose status would change."""

    job = serializers.CharField()
    old = serializers.CharField(help_text="Its status now, as mirrored.")
    new = serializers.CharField()


class FollowingJob(serializers.Serializer[Any]):
    """A job that waits, directly or not, for one that would change."""

    job = serializers.CharField()
    status = serializers.CharField()


class DryRun(serializers.Serializer[Any]):
    """What an action would do."""

    dry_run = serializers.BooleanField(help_text="Always true.")
    kind = serializers.ChoiceField(choices=list(CATALOGUE))
    site = serializers.CharField()
    expid = serializers.CharField()
    command = serializers.ListField(
        child=make_texts(),
        help_text="The argument list of each step. Of a word of more than 4,000 characters, such as a list of names, "
        "it is the beginning, unless `all_changes` is asked for.",
    )
    unix_name = serializers.CharField(
        help_text="The Unix account that the command runs as; blank for the service account."
    )
    needs_approval = serializers.BooleanField(help_text="Whether a second person must approve it before it starts.")
    warning = serializers.CharField(help_text="What to know about actions of this kind; may be blank.")
    would_lose = serializers.CharField(
        help_text="What would be lost, with numbers. Blank if nothing is; otherwise the action needs a `reason`."
    )
    changes = ChangeItem(
        many=True,
        allow_null=True,
        help_text="The jobs that would change, worked out from the mirror; null for kinds other than set status and "
        "restart. What its run does after a restart is not foretold. The first 100, unless `all_changes` is asked for.",
    )
    changes_total = serializers.IntegerField(allow_null=True, help_text="How many jobs would change.")
    children = FollowingJob(
        many=True,
        help_text="The jobs that would follow, the nearest first: 100 of them, unless `all_changes` is asked for.",
    )
    children_total = serializers.IntegerField(help_text="How many jobs would follow.")
    warnings = make_texts(
        help_text="What to know about this very change, such as READY jobs with unfinished parents or a filter of "
        "which a part means no job."
    )


class BulkResult(serializers.Serializer[Any]):
    """What became of one target: exactly one of `action`, `problem` and `dry_run` is there."""

    expid = serializers.CharField()
    site = serializers.CharField(allow_null=True, help_text="null if the experiment was not found.")
    status = serializers.IntegerField(help_text="The status that the request for this target alone would have.")
    is_replay = serializers.BooleanField(
        required=False, help_text="Whether the same request has made the action before."
    )
    action = ActionItem(required=False)
    problem = Problem(required=False)
    dry_run = DryRun(required=False)


class BulkAnswer(serializers.Serializer[Any]):
    """What became of a request for many experiments."""

    results = BulkResult(many=True, help_text="In the order of the targets.")


class Output(serializers.Serializer[Any]):
    """A part of what a step of an action printed. To follow it, ask again with offset=next_offset until is_over."""

    step = serializers.IntegerField()
    steps = serializers.IntegerField(help_text="How many steps the action has.")
    offset = serializers.IntegerField(help_text="The first byte of this part.")
    next_offset = serializers.IntegerField(help_text="The first byte after it.")
    size = serializers.IntegerField(help_text="The bytes printed so far.")
    text = serializers.CharField()
    is_over = serializers.BooleanField(help_text="Whether nothing will follow.")


class AuditItem(serializers.Serializer[Any]):
    """An entry of the audit trail."""

    id = serializers.IntegerField()
    at = InstantField()
    event = serializers.CharField()
    actor = serializers.CharField(source="actor_name", help_text="Who did it; blank for nobody known.")
    actor_id = serializers.IntegerField(allow_null=True)
    address = serializers.CharField(allow_null=True, help_text="The address that it came from.")
    door = serializers.CharField()
    credential = serializers.CharField(help_text="What the actor came in with, such as an API token.")
    on_behalf_of = serializers.CharField(help_text="Whom the actor acted for; blank for themselves.")
    subject = serializers.CharField()
    site = serializers.CharField()
    expid = serializers.CharField()
    action = serializers.IntegerField(source="action_id", allow_null=True, help_text="The number of the action.")
    kind = serializers.CharField()
    details = serializers.DictField(
        help_text="In pages of the trail, lists in it are cut to their first 20 entries, with `<name>_count` beside "
        "them, and texts to 1000 characters; the address of the entry has all."
    )
    message = serializers.CharField()
    previous = serializers.CharField(help_text="The digest of the entry before.")
    digest = serializers.CharField(
        help_text="The keyed digest of this entry and `previous`; the command `audit verify` checks it."
    )


class AuditList(Listing):
    """A page of the audit trail, newest first."""

    results = AuditItem(many=True)
