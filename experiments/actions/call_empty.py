"""Saying of a host that is silent that no run lives there: only a manager does, because nothing else is evidence."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.gateway.caller import NoGateway, Unanswered
from autosubmit_portal.sentences import say
from experiments import hosts
from experiments.actions.refusals import Conflict, InvalidParameters, Refusal
from experiments.actions.site_duties import has_duty, require_duty
from experiments.hosts import Absence
from experiments.models import Host, Site
from experiments.permissions import CALL_EMPTY

_LOOK_SECONDS = 2.0


def call_empty(host: Host, *, actor: User, origin: Origin, reason: str) -> None:
    """Note that no run lives at a host, so that what a run would forbid is done at others. It holds until it is back.

    Raises Forbidden without the duty at the site, InvalidParameters without a reason, and Conflict for a host that is
    connected; each is recorded.
    """
    try:
        require_duty(actor, host.site, CALL_EMPTY)
        if not reason.strip():
            raise InvalidParameters({"reason": [say("Say how you know that nothing runs there.")]})
        _require_silent(host)
    except (policy.Forbidden, Refusal) as refusal:
        _record("host.call_empty_refused", host, origin, str(refusal))
        raise
    values = {"called_empty_at": timezone.now(), "called_empty_by": origin.actor_name}
    Host.objects.filter(pk=host.pk).update(**values)
    _record("host.called_empty", host, origin, reason.strip())


@dataclass(frozen=True, slots=True)
class HostState:
    """How a host is reached, and whether it is now: None where nobody knows.

    Of one that is not: why, since when if that is known, and whether a run may live there as far as is known.
    """

    host: Host
    channel: str
    is_connected: bool | None
    reason: str = ""
    silent_since: datetime | None = None
    may_hide_run: bool = False


def list_states(site: Site) -> list[HostState]:
    """Return the hosts of a site in their order, as the gateway sees them now."""
    at_site = [*site.hosts.all()]
    try:
        channels, away = hosts.look_at(at_site, _LOOK_SECONDS)
    except (NoGateway, Unanswered) as error:
        return [HostState(host, "", None, str(error)) for host in at_site]
    return [_describe(host, channels.get(host.pk, ""), away.get(host.pk)) for host in at_site]


def list_silent(site: Site) -> list[HostState]:
    """Return the silent hosts of a site that has others; none while nobody knows."""
    states = list_states(site)
    return [state for state in states if state.is_connected is False] if len(states) > 1 else []


def _describe(host: Host, channel: str, absence: Absence | None) -> HostState:
    if absence is None:
        return HostState(host, channel, True)
    return HostState(host, channel, False, absence.reason, absence.since, hosts.may_hide_run(host, absence))


def may_call_empty(site: Site, actor: policy.Actor) -> bool:
    """Answer whether to offer it; `call_empty` decides."""
    return has_duty(actor, site, CALL_EMPTY)


def _require_silent(host: Host) -> None:
    try:
        away = hosts.look_for([host], _LOOK_SECONDS)
    except (NoGateway, Unanswered) as error:
        raise Conflict(str(error)) from error
    if not away:
        raise Conflict(say("The host {host} is connected: what runs there is seen.", host=host))


def _record(event: str, host: Host, origin: Origin, message: str) -> None:
    trail.record(event, origin=origin, subject=f"host {host}", site=host.site.slug, message=message)
