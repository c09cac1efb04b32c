"""Which entries of the audit trail somebody may see: they name sites and experiments by text, and outlive both."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Exists, OuterRef, Q, QuerySet

from autosubmit_portal.access import policy
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Experiment, Site


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
