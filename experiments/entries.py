"""Which entries of the audit trail somebody may see: they name sites and experiments by text, and outlive both."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Exists, OuterRef, Q, QuerySet

from autosubmit_portal.access import policy
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment, Site, State

UNMOVED = (State.QUEUED, State.AWAITING_APPROVAL)


def entries_visible_to(actor: AbstractBaseUser | AnonymousUser) -> QuerySet[AuditEntry]:
    """Return all entries to whoever holds the permission to see them, to managers those of what they manage."""
    entries: QuerySet[AuditEntry] = AuditEntry.objects.all()
    if policy.may_view_all(actor, AuditEntry):
        return entries
    if not policy.may_view(actor, AuditEntry):
        return entries.none()
    experiments = Experiment.objects.showing(AuditEntry, actor)
    named = experiments.filter(expid=OuterRef("expid"), site__slug=OuterRef("site"))
    sites = Site.objects.filter(pk__in=policy.whole_sites(actor, AuditEntry)).values("slug")
    return entries.filter(Q(site__in=sites) | Exists(named))


def actions_without_entries() -> QuerySet[Action]:
    """Return the actions of which the trail does not say that they were requested, or that they went on since.

    Those are left out whose entries may have been sealed and moved out: they are older than the first entry.
    """
    first = AuditEntry.objects.order_by("id").first()
    entries = AuditEntry.objects.filter(action_id__isnull=False)
    requested = entries.filter(event="action.requested").values("action_id")
    moved = entries.exclude(event__in=("action.requested", "action.command_started")).values("action_id")
    missing = ~Q(pk__in=requested) | (~Q(state__in=UNMOVED) & ~Q(pk__in=moved))
    actions = Action.objects.filter(missing).order_by("pk")
    return actions.filter(requested_at__gte=first.at) if first else actions
