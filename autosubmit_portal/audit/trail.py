"""The only writer of the audit trail."""

import ipaddress
import math
from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.models import Field
from django.utils import timezone

from autosubmit_portal.audit import chain, syslog, tally
from autosubmit_portal.audit.models import AuditEntry, Tally
from autosubmit_portal.audit.origin import Origin


def record(
    event: str,
    *,
    origin: Origin,
    subject: str = "",
    site: str = "",
    expid: str = "",
    action_id: int | None = None,
    kind: str = "",
    details: dict[str, Any] | None = None,
    message: str = "",
) -> AuditEntry:
    """Add one entry. Call it in the transaction of the change that it records, so that neither is without the other.

    Call it last there: entries are chained one after the other, so nobody else can record anything until the
    transaction ends, and one that then waited for a row of another transaction might wait for ever.

    `event` is `<thing>.<what happened>`, such as `action.requested`; `details` must be JSON. Refusals and failed
    sign-ins that come too often are only counted (tally.py): what is returned then has no number.
    """
    values = {
        "at": timezone.now(),
        "event": event,
        **_of_origin(origin),
        "subject": _text(subject, 300),
        "site": _text(site, 50),
        "expid": _text(expid, 50),
        "action_id": action_id,
        "kind": kind,
        "details": _storable(details or {}),
        "message": _text(message),
    }
    if event in (tally.FAILED, tally.LOCKED_OUT) or event.endswith("refused"):
        tell_counts()
        if tally.is_over(values):
            return AuditEntry(**values)
    return _append(values)


def tell_counts() -> None:
    """Add an entry for each count whose time is over: how many there were besides those that were recorded.

    The supervisor calls this, and whoever records something that is counted.
    """
    for count in tally.ended():
        with transaction.atomic():
            is_mine = Tally.objects.filter(pk=count.pk, held=count.held).delete()[0]
            if is_mine and count.held:
                _append(_summary(count))


def _summary(count: Tally) -> dict[str, Any]:
    since, until = (at.isoformat(timespec="seconds") for at in (count.began_at, count.last_at))
    return {
        "at": timezone.now(),
        "event": count.event,
        **count.first,
        "site": "",
        "expid": "",
        "action_id": None,
        "kind": "",
        "details": {"more": count.held, "since": since, "until": until},
        "message": f"And {count.held:,} more from {since} to {until}, which were counted and not recorded one by one.",
    }


def _append(values: dict[str, Any]) -> AuditEntry:
    with transaction.atomic(savepoint=False):
        place = chain.next_place()
        values["id"] = place.id
        digest = chain.digest_of(values, place.previous)
        entry = AuditEntry(**values, previous=place.previous, digest=digest)
        _insert(entry)
        entry._state.adding, entry._state.db = False, connection.alias
        syslog.forward(entry)
    return entry


def _insert(entry: AuditEntry) -> None:
    """Insert an entry; on PostgreSQL together with the COMMIT, if that comes next: nobody waits for two answers."""
    sql, columns = _statement()
    params = [column.get_db_prep_save(getattr(entry, column.attname), connection) for column in columns]
    execute_last = getattr(connection, "execute_last", None)
    if execute_last:
        execute_last(sql, params)
        return
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


@cache
def _statement() -> tuple[str, tuple["Field[Any, Any]", ...]]:
    """Return what inserts an entry, and its columns in the order of the values."""
    columns = AuditEntry._meta.concrete_fields
    names = ", ".join(f'"{column.column}"' for column in columns)
    values = ", ".join(["%s"] * len(columns))
    sql = f"INSERT INTO {AuditEntry._meta.db_table} ({names}) VALUES ({values})"  # noqa: S608 # our own names
    return sql, tuple(columns)


def _of_origin(origin: Origin) -> dict[str, Any]:
    return {
        "actor_name": _text(origin.actor_name, 150),
        "actor_id": origin.actor_id,
        "address": _address(origin.address),
        "door": str(origin.door),
        "credential": _text(origin.credential, 150),
        "on_behalf_of": _text(origin.on_behalf_of, 150),
    }


def _address(text: str | None) -> str | None:
    """Return an address as every database takes it; None for what is none, as a proxy may send it."""
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _text(value: Any, longest: int | None = None) -> str:
    return str(_storable(str(value)))[:longest]


def _storable(value: Any) -> Any:
    """Return text and JSON that every database takes and gives back as it was.

    Whatever somebody sent, its refusal must be recorded. PostgreSQL gives the number 1e5 back as 100000, and both must
    have the same digest.
    """
    match value:
        case str():
            return value.replace("\0", "\N{SYMBOL FOR NULL}").encode(errors="replace").decode()
        case dict():
            return {_text(name): _storable(item) for name, item in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
        case float() if not math.isfinite(value):
            return str(value)
        case float() if value.is_integer():
            return int(Decimal(repr(value)))
    return value
