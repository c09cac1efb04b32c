"""An action: one request to do something to an experiment, from request to result."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy

from autosubmit_portal.access.models import ExpectedExperiment
from autosubmit_portal.access.rights import policy
from experiments.autosubmit.command import Command
from experiments.catalogue.kinds import CATALOGUE, RUN_KINDS, STOP_KINDS, ActionKind
from experiments.models.experiment import Experiment
from experiments.models.site import Site
from experiments.models.states import ACTIVE_STATES, State

# What ten thousand named jobs make long; lists do without.
LONG_FIELDS = ("parameters", "command", "job_changes")
# A host tells the beginning of a process to the second, counted from when it booted.
BEGIN_ROUNDED = timedelta(seconds=2)
_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)


def list_kind_choices() -> list[tuple[str, Any]]:
    """The catalogue as choices; a callable, so that a new kind needs no migration."""
    return [(kind.name, gettext_lazy(kind.title)) for kind in CATALOGUE.values()]


class ActionQuerySet(models.QuerySet["Action"]):
    """Actions."""

    def active(self) -> "ActionQuerySet":
        """Those that have not ended."""
        return self.filter(state__in=ACTIVE_STATES)

    def waiting(self) -> "ActionQuerySet":
        """Those that have not started."""
        return self.filter(state__in=(State.QUEUED, State.AWAITING_APPROVAL))

    def awaiting_approval(self) -> "ActionQuerySet":
        """Those that a second person must approve first."""
        return self.filter(state=State.AWAITING_APPROVAL)

    def queued(self) -> "ActionQuerySet":
        """Those that a worker may take, the oldest first."""
        return self.filter(state=State.QUEUED).order_by("pk")

    def urgent(self) -> "ActionQuerySet":
        """Those that wait for nothing, with force first."""
        return self.filter(kind__in=STOP_KINDS, is_dry_run=False).order_by("-is_forced", "pk")

    def in_slots(self) -> "ActionQuerySet":
        """Those whose commands count among the ones that a site runs at the same time."""
        return self.filter(Q(slot_until=None) | Q(slot_until__gt=timezone.now()), state=State.RUNNING)

    def annotate_queued_at(self) -> "models.QuerySet[Any]":
        """Add `queued_at`: since when a worker may take it."""
        return self.annotate(queued_at=Coalesce("approved_at", "requested_at"))

    def defer_long_fields(self) -> "ActionQuerySet":
        """Without reading what is long: for lists that do not show it."""
        return self.defer(*LONG_FIELDS)

    def visible_to(self, actor: policy.Actor) -> "ActionQuerySet":
        """Those that the actor may see, by their experiment; while one is being created: by its site, team or actor."""
        condition = policy.make_visible_condition(actor, self.model, "experiment__")
        if not condition:
            return self.none() if condition is None else self
        expected = ExpectedExperiment.objects.filter(team__in=policy.find_own_teams(actor)).values("action_id")
        creations = Q(site__in=policy.find_whole_sites(actor, self.model)) | Q(actor=actor.pk) | Q(pk__in=expected)
        return self.filter(condition | Q(experiment=None) & creations)


class Action(models.Model):
    """One request and what became of it.

    The state moves only through `experiments.actions.transition.move`. `command` is a list of argvs, one a step;
    `step` is the index of the one that runs or ran last. The names of actor and expid are copied: they stay true when
    accounts and experiments are gone. `idempotency_key` is what the actor called the request, blank if nothing;
    `idempotency_item` tells apart the actions of one request for many. `is_replay` is never stored: it marks the
    object that answers a repeated request. `lender` is who has lent the right to ask for it, `on_behalf_of` a copy of
    the name, blank for nobody. An action that a second person must approve waits for that until `approval_expires_at`;
    `approved_by` is who did, with a copy of the name. `unix_name` is the Unix account that its commands run as, blank
    for that of the worker. `token_digest` is the key of the API token that asked for it, blank for other credentials.
    """

    is_replay = False

    kind = models.CharField(max_length=50, choices=list_kind_choices)
    state = models.CharField(max_length=20, choices=State, default=State.QUEUED)
    # Indexes below begin with these two.
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="actions", db_index=False)
    experiment = models.ForeignKey(
        Experiment, null=True, on_delete=models.PROTECT, related_name="actions", db_index=False
    )
    expid = models.CharField(max_length=50, blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    on_behalf_of = models.CharField(max_length=150, blank=True)
    lender = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    unix_name = models.CharField(max_length=32, blank=True)
    door = models.CharField(max_length=20)
    token_digest = models.CharField(max_length=128, blank=True)
    address = models.GenericIPAddressField(null=True)
    reason = models.TextField(blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True)
    idempotency_item = models.CharField(max_length=110, blank=True)
    idempotency_digest = models.CharField(max_length=64, blank=True)
    parameters = models.JSONField(default=dict)
    command = models.JSONField(default=list)
    may_overtake = models.BooleanField(default=False)
    is_forced = models.BooleanField(default=False, help_text="Whether it goes past one of its kind that waits.")
    is_dry_run = models.BooleanField(default=False, help_text="Whether the command only tells what it would change.")
    step = models.PositiveSmallIntegerField(default=0)
    step_started_at = models.DateTimeField(null=True)
    slot_until = models.DateTimeField(
        null=True, help_text="Until when it counts among the commands of its site while it runs; null: to its end."
    )
    cancel_requested_at = models.DateTimeField(null=True, help_text="When somebody asked to end a running command.")
    cancelled_by = models.CharField(max_length=150, blank=True)
    approval_expires_at = models.DateTimeField(null=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    approved_by_name = models.CharField(max_length=150, blank=True)
    approved_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, blank=True)
    requested_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    exit_status = models.SmallIntegerField(null=True)
    message = models.TextField(blank=True)
    unseen_since = models.DateTimeField(
        null=True, help_text="Since when nobody knows whether the command that runs lives; `message` says why."
    )
    job_changes = models.JSONField(default=list, help_text="[job name, new status] as the command reported them.")

    objects = ActionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["experiment"],
                condition=Q(state__in=ACTIVE_STATES, may_overtake=False),
                name="experiments_one_active_action",
            ),
            # Two stops at once, say: a double click makes one action. A stop with force goes past one without.
            models.UniqueConstraint(
                fields=["experiment", "kind", "is_forced"],
                condition=Q(state__in=ACTIVE_STATES),
                name="experiments_one_active_action_of_a_kind",
            ),
            # The answer to a repeated request; two at once make one action.
            models.UniqueConstraint(
                fields=["actor", "idempotency_key", "idempotency_item"],
                condition=~Q(idempotency_key=""),
                name="experiments_one_action_of_a_key",
            ),
            # Two `autosubmit expid` at once get the same expid.
            models.UniqueConstraint(
                fields=["site"],
                condition=Q(state=State.RUNNING, experiment__isnull=True),
                name="experiments_one_creation_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(approved_at=None, approved_by_name="")
                | Q(~Q(approved_by_name=""), approved_at__isnull=False),
                name="experiments_approved_when_and_by_whom",
            ),
        ]
        indexes = [
            # The supervisor's question, asked every minute: which have not ended?
            models.Index(fields=["site", "state"], condition=Q(state__in=ACTIVE_STATES), name="experiments_active"),
            # The lists, the newest first, and their filters.
            models.Index(fields=["experiment", "id"], name="experiments_actions_about"),
            models.Index(fields=["site", "id"], name="experiments_actions_at_site"),
            models.Index(fields=["state", "id"], name="experiments_actions_in_state"),
            models.Index(fields=["kind", "id"], name="experiments_actions_of_kind"),
            models.Index(fields=["door", "id"], name="experiments_actions_by_door"),
            models.Index(fields=["expid", "id"], name="experiments_actions_of_expid"),
            models.Index(fields=["actor_name", "id"], name="experiments_actions_of_actor"),
            models.Index(fields=["approved_by_name", "id"], name="experiments_actions_approver"),
            models.Index(fields=["requested_at"], name="experiments_actions_by_time"),
        ]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.pk} {self.kind} {self.expid}".rstrip()

    @property
    def catalogue_kind(self) -> ActionKind:
        """The entry of the catalogue, as a dry run if this is one."""
        return CATALOGUE[self.kind].as_dry_run if self.is_dry_run else CATALOGUE[self.kind]

    @property
    def current_command(self) -> Command:
        """The entry of the command that runs or ran last."""
        return self.catalogue_kind.get_command(self.step, len(self.command))

    def list_words(self, step: int) -> list[str]:
        """Return the command of a step without its program, which is the site's to choose."""
        command = self.catalogue_kind.get_command(step, len(self.command))
        words: list[str] = self.command[step][len(command.make_program("")) :]
        return words

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.state in ACTIVE_STATES

    @property
    def is_in_slot(self) -> bool:
        """Whether its command counts among those that the site runs at the same time."""
        return self.state == State.RUNNING and (self.slot_until is None or self.slot_until > timezone.now())


def annotate_active_action_id(experiments: "models.QuerySet[Any]") -> "models.QuerySet[Any]":
    """Add `active_action_id`, the action that excludes others, or None."""
    active = Action.objects.filter(experiment=OuterRef("pk"), state__in=ACTIVE_STATES, may_overtake=False)
    rows: models.QuerySet[Any] = experiments.annotate(active_action_id=Subquery(active.values("pk")[:1]))
    return rows


def annotate_active_action(experiments: "models.QuerySet[Any] | None" = None) -> "models.QuerySet[Any]":
    """Add `active_action_id` and `is_starting` to the experiments, all if none are given.

    One starts while an action is to run it and no process of that run was seen: afterwards it runs, or has ended.
    """
    began = Coalesce(OuterRef("run_began_at"), Value(_BEFORE_ALL, output_field=models.DateTimeField()))
    is_unseen = Q(started_at=None) | Q(started_at__gt=began + BEGIN_ROUNDED)
    starting = Action.objects.filter(
        is_unseen, experiment=OuterRef("pk"), state=State.RUNNING, kind__in=RUN_KINDS, is_dry_run=False
    )
    rows = Experiment.objects.all() if experiments is None else experiments
    with_both: models.QuerySet[Any] = annotate_active_action_id(rows).annotate(is_starting=Exists(starting))
    return with_both
