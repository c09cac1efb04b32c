"""Freezing a site or a platform: who may, what it refuses, and its end."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.term import check_term
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.sentences import say
from experiments.actions.refusals import Conflict, InvalidParameters, Refusal
from experiments.actions.site_duties import filter_sites, has_duty, refuse, require_duty
from experiments.models import Freeze, Site
from experiments.permissions import FREEZE

LONGEST_MESSAGE = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class FreezePlan:
    """What somebody wants frozen: a site, or one platform of it; from now on or a time on, to a time or for good."""

    site: Site
    platform: str = ""
    message: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None


def freeze(plan: FreezePlan, *, actor: User, origin: Origin) -> Freeze:
    """Make a freeze and return it; what runs goes on.

    Raises Forbidden without the permission to freeze, or InvalidParameters; both are recorded.
    """
    with _record_if_refused(plan.site.slug, origin):
        require_duty(actor, plan.site, FREEZE)
        starts_at = _check_start(plan)
    return put_freeze(plan, starts_at, origin)


def put_freeze(plan: FreezePlan, starts_at: datetime, origin: Origin) -> Freeze:
    """Make a freeze and return it, whoever asks and whenever it began."""
    with transaction.atomic():
        made = Freeze.objects.create(
            site=plan.site,
            platform=plan.platform.strip().upper(),
            message=plan.message.strip(),
            starts_at=starts_at,
            ends_at=plan.ends_at,
            made_by_name=_name_maker(origin),
        )
        _record(made, "freeze.made", origin)
    return made


def end_freeze(frozen: Freeze, *, actor: User, origin: Origin) -> None:
    """End a freeze before its time, or call off a planned one.

    Raises Forbidden, or Conflict when it is over already; both are recorded.
    """
    with _record_if_refused(frozen.site.slug, origin):
        require_duty(actor, frozen.site, FREEZE)
        if not lift_freeze(frozen, timezone.now(), origin):
            raise Conflict(say("The freeze of {frozen} is over already.", frozen=frozen))


def require_freeze_somewhere(actor: User, origin: Origin) -> None:
    """Raise Forbidden, which is recorded, unless there is a site that the actor may freeze."""
    with _record_if_refused("", origin):
        if not filter_sites_to_freeze(actor).exists():
            raise refuse(actor, FREEZE, "any site")


def may_freeze(actor: policy.Actor, site: Site) -> bool:
    """Answer whether the actor may freeze the site and its platforms."""
    return has_duty(actor, site, FREEZE)


def filter_sites_to_freeze(actor: policy.Actor) -> QuerySet[Site]:
    """Return the sites that the actor may freeze."""
    return filter_sites(actor, FREEZE)


def end_overdue_freezes(queue_name: str) -> None:
    """Record the end of each freeze whose time is up, at the sites of a queue; it has ceased to hold by itself."""
    overdue = Freeze.objects.filter(site__queue=queue_name, ended_at=None, ends_at__lte=timezone.now())
    for frozen in overdue.select_related("site"):
        lift_freeze(frozen, frozen.ends_at or timezone.now(), Origin(door=Door.WORKER))


def _check_start(plan: FreezePlan) -> datetime:
    starts_at, errors = check_term(plan.starts_at, plan.ends_at)
    if not plan.message.strip():
        errors["message"] = say("Say why: everybody who would start something reads it.")
    if errors:
        raise InvalidParameters({field: [text] for field, text in errors.items()})
    return starts_at


def lift_freeze(frozen: Freeze, at: datetime, origin: Origin) -> bool:
    """End a freeze, whoever asks, unless somebody was faster; answer whether this call did."""
    with transaction.atomic():
        ended = {"ended_at": at, "ended_by_name": _name_maker(origin)}
        if not Freeze.objects.filter(pk=frozen.pk, ended_at=None).update(**ended):
            return False
        frozen.refresh_from_db()
        _record(frozen, "freeze.ended", origin)
    return True


def _name_maker(origin: Origin) -> str:
    """Return who asked; at the command line, the Unix account."""
    return origin.actor_name or origin.credential


def _record(frozen: Freeze, event: str, origin: Origin) -> None:
    details = {
        "freeze": frozen.pk,
        "platform": frozen.platform,
        "starts_at": frozen.starts_at.isoformat(),
        "ends_at": frozen.ends_at.isoformat() if frozen.ends_at else None,
    }
    trail.record(
        event,
        origin=origin,
        subject=say("freeze of {freeze}", freeze=frozen),
        site=frozen.site.slug,
        details=details,
        message=frozen.message,
    )


def _record_if_refused(slug: str, origin: Origin) -> AbstractContextManager[None]:
    """Record what the block refuses about the site with this slug; blank where none is named."""
    subject = say("freeze of {freeze}", freeze=slug) if slug else "freeze"
    kinds = (policy.Forbidden, Refusal)
    return trail.record_if_refused("freeze.refused", *kinds, origin=origin, subject=subject, site=slug)
