"""Limits for events that anybody can cause without end: a few are recorded, then they are only counted in a row.

These are refusals of one account, failed sign-ins from one address, and attempts during a lockout. When the time of a
count is over, `trail.tell_counts` records how many there were, so that nothing goes without a trace.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from autosubmit_portal.audit.models import Tally

FAILED, LOCKED_OUT = "sign_in.failed", "sign_in.locked_out"
# docs/audit.md lists these limits.
MINUTE = timedelta(minutes=1)
MOST_REFUSALS = 30
MOST_FAILURES = 30
# In one cool-off: attempts of one name, from one address, and of all.
MOST_LOCKED_OUT = (1, 10, 100)
# What the entry at the end has of the first one.
_KEPT = ("actor_name", "actor_id", "address", "door", "credential", "on_behalf_of")


class Bound(NamedTuple):
    """At most `most` entries with the same key in `time`; the entry with the count is about `subject`."""

    key: str
    most: int
    time: timedelta
    subject: str


def is_over(values: Mapping[str, Any]) -> bool:
    """Count an entry before it is recorded, given by its columns; return whether a limit is reached."""
    return any(_is_over(bound, values) for bound in _list_bounds(values))


def held(event: str, *, actor_id: int | None = None, address: str | None = None) -> int:
    """Return how many events of an account or an address are counted now without an entry."""
    values = {"event": event, "actor_id": actor_id, "actor_name": "", "address": address, "subject": ""}
    keys = [_compute_digest(bound.key) for bound in _list_bounds(values)]
    return sum(Tally.objects.filter(key__in=keys, ends_at__gt=timezone.now()).values_list("held", flat=True))


def list_ended() -> list[Tally]:
    """Return up to 100 counts whose time is over."""
    return list(Tally.objects.filter(ends_at__lte=timezone.now()).order_by("pk")[:100])


def end(event: str) -> None:
    """End all counts of an event now."""
    Tally.objects.filter(event=event).update(ends_at=timezone.now())


def _list_bounds(values: Mapping[str, Any]) -> Iterator[Bound]:
    event, network = values["event"], _get_network(values["address"])
    if event == LOCKED_OUT:
        time, (of_name, of_address, of_all) = settings.AXES_COOLOFF_TIME, MOST_LOCKED_OUT
        yield Bound(f"{event} {network} {values['subject']}", of_name, time, values["subject"])
        yield Bound(f"{event} {network}", of_address, time, f"address {network}")
        yield Bound(event, of_all, time, "many names and addresses")
    elif event == FAILED:
        yield Bound(f"{event} {network}", MOST_FAILURES, MINUTE, f"address {network}")
    elif event.endswith("refused"):
        who = values["actor_id"] or values["actor_name"] or network
        yield Bound(f"refused {who}", MOST_REFUSALS, MINUTE, f"user {values['actor_name']}")


def _get_network(address: str | None) -> str:
    """Return the network of a client: whoever has one IPv6 address has 2**64 of them."""
    found = ipaddress.ip_address(address) if address else None
    if found is None or found.version == 4:
        return str(found or "unknown")
    return str(ipaddress.ip_network((found, 64), strict=False))


def _compute_digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def _is_over(bound: Bound, values: Mapping[str, Any]) -> bool:
    now, key = timezone.now(), _compute_digest(bound.key)
    counts = Tally.objects.filter(key=key, ends_at__gt=now)
    if counts.filter(recorded__lt=bound.most).update(recorded=F("recorded") + 1):
        return False
    # Not of one that somebody else has begun since: it has room.
    if counts.filter(recorded__gte=bound.most).update(held=F("held") + 1, last_at=now):
        return True
    first = {"event": values["event"], "first": {name: values[name] for name in _KEPT} | {"subject": bound.subject}}
    try:
        with transaction.atomic():
            Tally.objects.create(key=key, recorded=1, began_at=now, last_at=now, ends_at=now + bound.time, **first)
    except IntegrityError:  # somebody else has begun it at the same moment, or it is over and not told yet
        return Tally.objects.filter(key=key, ends_at__gt=timezone.now()).exists() and _is_over(bound, values)
    return False
