"""Which entries of the audit trail somebody may see: they name sites and experiments by text, and outlive both.

An expid that was given again names, in each entry, the experiment that had it then.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db.models import DateTimeField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment, Site, State
from jobs.models import Job

UNMOVED = (State.QUEUED, State.AWAITING_APPROVAL)
# An action with an approval and a second step makes no more.
ENTRIES_OF_AN_ACTION = 5

# How the events end of what the mirror has seen done by others, and which of these name jobs.
OUTSIDE = "_outside"
OF_JOBS = tuple(f"experiment.{what}_changed{OUTSIDE}" for what in ("jobs", "job_list"))

_BEFORE_ALL = Value(datetime(1970, 1, 1, tzinfo=UTC), output_field=DateTimeField())


def list_visible_entries(actor: policy.Actor) -> QuerySet[AuditEntry]:
    """Return all entries to whoever holds the permission to see them, to managers those of what they manage."""
    entries: QuerySet[AuditEntry] = AuditEntry.objects.all()
    if policy.may_view_all(actor, AuditEntry):
        return entries
    if not policy.may_view(actor, AuditEntry):
        return entries.none()
    return entries.filter(_is_managed(actor))


def list_visible_acts(actor: policy.Actor) -> QuerySet[AuditEntry]:
    """Return the same, and what was done outside of the portal to experiments that the actor may see.

    Whoever sees an experiment sees what became of it. What is told of its jobs is told to those who see these.
    """
    entries: QuerySet[AuditEntry] = AuditEntry.objects.all()
    if policy.may_view_all(actor, AuditEntry):
        return entries
    outside = Q(event__startswith="experiment.", event__endswith=OUTSIDE)
    about = _is_about(Experiment.objects.visible_to(actor))
    about_jobs = _is_about(Experiment.objects.filter_showing(Job, actor))
    seen = outside & about & (~Q(event__in=OF_JOBS) | about_jobs)
    return entries.filter(seen | _is_managed(actor) if policy.may_view(actor, AuditEntry) else seen)


def _is_managed(actor: policy.Actor) -> Q:
    """Return the condition that an entry is about a site or an experiment that the actor manages."""
    sites = Site.objects.filter(pk__in=policy.find_whole_sites(actor, AuditEntry)).values("slug")
    return Q(site__in=sites) | Q(_is_about(Experiment.objects.filter_showing(AuditEntry, actor)))


def list_newest_entries(
    actor: policy.Actor, choose: Callable[[], QuerySet[AuditEntry]], most: int
) -> list[AuditEntry] | None:
    """Return the newest of the chosen entries; None when the actor may not see the trail."""
    if not policy.may_view(actor, AuditEntry):
        return None
    return list(choose().defer("details").order_by("-pk")[:most])


def list_last_words(
    actor: policy.Actor, choose: Callable[[], QuerySet[AuditEntry]], most: int
) -> list[AuditEntry] | None:
    """Return the same, of each action only its last entry: what has succeeded was requested and started."""
    newest = list_newest_entries(actor, choose, ENTRIES_OF_AN_ACTION * most)
    if newest is None:
        return None
    last = {entry.action_id or -entry.pk: entry for entry in reversed(newest)}
    return sorted(last.values(), key=lambda entry: -entry.pk)[:most]


def list_entries_about(actor: policy.Actor, experiment: Experiment) -> QuerySet[AuditEntry]:
    """Return the entries about an experiment that the actor may see."""
    named = list_visible_entries(actor).filter(expid=experiment.expid, site=experiment.site.slug)
    return named.filter(_is_about(Experiment.objects.filter(pk=experiment.pk)))


def find_experiment(actor: policy.Actor, entry: AuditEntry) -> Experiment | None:
    """Return the experiment that an entry is about; None if there is none, or none that the actor may see."""
    named = Experiment.objects.visible_to(actor).filter(expid=entry.expid, site__slug=entry.site)
    return named.filter(_make_expid_condition(entry.at, entry.at)).first()


def filter_about(entries: QuerySet[AuditEntry], experiments: QuerySet[Experiment]) -> QuerySet[AuditEntry]:
    """Return those of the entries that are about one of the experiments."""
    return entries.filter(_is_about(experiments))


def _is_about(experiments: QuerySet[Experiment]) -> Q:
    """Return the condition that an entry names one of the experiments.

    The expids are found once, and what has none of them is left out soon; which experiment had an expid then is asked
    for each entry that is left.
    """
    named = experiments.filter(expid=OuterRef("expid"), site__slug=OuterRef("site"))
    had_it_then = Exists(named.filter(_make_expid_condition(OuterRef("at"), OuterRef(OuterRef("at")))))
    return Q(expid__in=experiments.order_by().values("expid")) & Q(had_it_then)


def _make_expid_condition(at: Any, at_from_within: Any) -> Q:
    """Return the condition that an experiment had its expid at an instant: it did already, and no later one did.

    The instant is given as the query of experiments refers to it, and as a query within that does.
    """
    later = Experiment.objects.filter(
        site=OuterRef("site"),
        expid=OuterRef("expid"),
        expid_since__lte=at_from_within,
        expid_since__gt=Coalesce(OuterRef("expid_since"), _BEFORE_ALL),
    )
    return (Q(expid_since=None) | Q(expid_since__lte=at)) & ~Q(Exists(later))


def find_actions_without_entries() -> QuerySet[Action]:
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
