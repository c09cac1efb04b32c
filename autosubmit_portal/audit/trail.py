"""The only writer of the audit trail."""

import ipaddress
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from typing import Any, Required, TypedDict, Unpack

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Field
from django.utils import timezone

from autosubmit_portal.audit import chain, syslog, tally
from autosubmit_portal.audit.models import AuditEntry, Tally
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.sentences import say

Draft = dict[str, Any]
"""An entry that is not recorded yet, by its columns."""


class EntryValues(TypedDict, total=False):
    """What an entry says besides its event."""

    origin: Required[Origin]
    subject: str
    site: str
    expid: str
    action_id: int | None
    kind: str
    details: dict[str, Any]
    message: str


def record(event: str, **said: Unpack[EntryValues]) -> AuditEntry:
    """Add one entry, as `draft` takes it; see `record_all`."""
    return record_all([draft(event, **said)])[0]


@contextmanager
def record_if_refused(event: str, *kinds: type[Exception], **said: Unpack[EntryValues]) -> Iterator[None]:
    """Record a refusal of one of these kinds that the block raises, with its text."""
    try:
        yield
    except kinds as refusal:
        said["message"] = str(refusal)
        record(event, **said)
        raise


def draft(event: str, **said: Unpack[EntryValues]) -> Draft:
    """Return an entry to be recorded.

    `event` is `<thing>.<what happened>`, such as `action.requested`; `details` must be JSON.
    """
    return {
        "at": timezone.now(),
        "event": event,
        **_describe_origin(said["origin"]),
        "subject": _clean_text(said.get("subject", ""), 300),
        "site": _clean_text(said.get("site", ""), 50),
        "expid": _clean_text(said.get("expid", ""), 50),
        "action_id": said.get("action_id"),
        "kind": said.get("kind", ""),
        "details": _make_storable(said.get("details") or {}),
        "message": _clean_text(said.get("message", "")),
    }


def record_all(drafts: Sequence[Draft]) -> list[AuditEntry]:
    """Add entries in this order, one right after the other.

    Call it in the transaction of the changes that they record, so that both are written or neither. Call it last and
    once: until the transaction ends, nobody else can record anything, and a transaction that then waited for a row
    of another might wait for ever (deadlock).

    Refusals and failed sign-ins above a limit are only counted (tally.py): the entries returned then have no number.
    """
    if any(_is_counted(one) for one in drafts):
        tell_counts()
    are_over = [_is_counted(one) and tally.is_over(one) for one in drafts]
    added = iter(_append([one for one, is_over in zip(drafts, are_over, strict=True) if not is_over]))
    return [AuditEntry(**one) if is_over else next(added) for one, is_over in zip(drafts, are_over, strict=True)]


def _is_counted(one: Draft) -> bool:
    event: str = one["event"]
    return event in (tally.FAILED, tally.LOCKED_OUT) or event.endswith("refused")


def tell_counts() -> None:
    """Record each count whose time is over: how many events there were beyond those recorded.

    The supervisor calls this, and everything that records a counted event.
    """
    for count in tally.list_ended():
        with transaction.atomic():
            is_mine = Tally.objects.filter(pk=count.pk, held=count.held).delete()[0]
            if is_mine and count.held:
                _append([_summarise(count)])


def _summarise(count: Tally) -> Draft:
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
        "message": say(
            "And {count} more from {since} to {until}, which were counted and not recorded one by one.",
            count=f"{count.held:,}",
            since=since,
            until=until,
        ),
    }


def _append(drafts: Sequence[Draft]) -> list[AuditEntry]:
    """Chain entries and insert them, under one hold of the lock."""
    if not drafts:
        return []
    with transaction.atomic(savepoint=False):
        entries = [AuditEntry(**values) for values in chain.link(drafts)]
        _insert(entries)
        for entry in entries:
            entry._state.adding, entry._state.db = False, connection.alias
            if settings.AUDIT_SYSLOG:
                syslog.forward(entry)
    return entries


def _insert(entries: Sequence[AuditEntry]) -> None:
    sql, columns = _make_statement(len(entries))
    params = [
        column.get_db_prep_save(getattr(entry, column.attname), connection) for entry in entries for column in columns
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


@cache
def _make_statement(rows: int) -> tuple[str, tuple["Field[Any, Any]", ...]]:
    """Return the SQL that inserts `rows` entries, and the columns in the order of their values."""
    columns = AuditEntry._meta.concrete_fields
    names = ", ".join(f'"{column.column}"' for column in columns)
    row = f"({', '.join(['%s'] * len(columns))})"
    values = ", ".join([row] * rows)
    sql = f"INSERT INTO {AuditEntry._meta.db_table} ({names}) VALUES {values}"  # noqa: S608 # our own names
    return sql, tuple(columns)


def _describe_origin(origin: Origin) -> dict[str, Any]:
    return {
        "actor_name": _clean_text(origin.actor_name, 150),
        "actor_id": origin.actor_id,
        "address": _clean_address(origin.address),
        "door": str(origin.door),
        "credential": _clean_text(origin.credential, 150),
        "on_behalf_of": _clean_text(origin.on_behalf_of, 150),
    }


def _clean_address(text: str | None) -> str | None:
    """Return an address in a form that every database takes; None if it is no address: a proxy may send any text."""
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _clean_text(value: Any, longest: int | None = None) -> str:
    return str(_make_storable(str(value)))[:longest]


def _make_storable(value: Any) -> Any:
    """Return text or JSON in a form that every database stores and returns unchanged.

    A refusal must be recorded whatever was sent. PostgreSQL returns the number 1e5 as 100000, and the digest of both
    must be the same.
    """
    match value:
        case str():
            return value.replace("\0", "\N{SYMBOL FOR NULL}").encode(errors="replace").decode()
        case dict():
            return {_clean_text(name): _make_storable(item) for name, item in value.items()}
        case list() | tuple():
            return [_make_storable(item) for item in value]
        case float() if not math.isfinite(value):
            return str(value)
        case float() if value.is_integer():
            return int(Decimal(repr(value)))
    return value
