"""The chain of the trail: each entry has a keyed digest of its columns and of the digest of the entry before it.

Without the key nobody can change or forge an entry unnoticed, not even with access to the database: verify.py finds it.
docs/audit.md says what the chain proves and what it cannot prove.
"""

import hmac
import ipaddress
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.utils.crypto import salted_hmac

# The columns that a digest covers, by version. Never change a version: its entries would no longer verify. A new column
# of the trail needs a new version with all columns of the one before.
VERSIONS: dict[int, tuple[str, ...]] = {
    1: (
        *("id", "at", "event", "actor_name", "actor_id", "address", "door", "credential", "on_behalf_of"),
        *("subject", "site", "expid", "action_id", "kind", "details", "message"),
    )
}
NEWEST = max(VERSIONS)
DIGEST_LENGTH = 66
"""Two hexadecimal digits of the version, then 64 of HMAC-SHA256."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_LOCK = int.from_bytes(b"audit", "big")
# Nobody else adds an entry until the transaction ends, so it should end soon. What would make it wait comes first:
# checks of foreign keys, which wait for rows that others hold, are deferred to its end otherwise. A transaction that
# its process has forgotten must not hold everybody up; its changes are lost together with their entry. Its commit does
# not wait for the disk, so that it lets go of the lock at once; `_wait_for_disk` does after it.
# One function, so that the digest comes with the lock: its second statement sees what was committed while it waited.
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION audit_next_places(wanted integer, OUT numbers bigint[], OUT last_digest text)
LANGUAGE plpgsql AS $$
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    PERFORM set_config('idle_in_transaction_session_timeout', '60s', true);
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM pg_advisory_xact_lock({_LOCK});
    numbers := ARRAY(SELECT nextval(pg_get_serial_sequence('audit_auditentry', 'id')) FROM generate_series(1, wanted));
    last_digest := (SELECT digest FROM audit_auditentry ORDER BY id DESC LIMIT 1);
END $$
"""  # noqa: S608 # a number of ours
# A transaction of its own that changes nothing: its commit waits until all commits before it are on the disk.
_FLUSH = "SELECT pg_logical_emit_message(true, 'autosubmit_portal', '')"
_NEXT = {
    "postgresql": "SELECT numbers, last_digest FROM audit_next_places(%s)",
    # Its transactions begin with the lock of the only writer. What comes is the number of the first place.
    "sqlite": "SELECT 1 + MAX("
    "COALESCE((SELECT MAX(seq) FROM sqlite_sequence WHERE name = 'audit_auditentry'), 0), "
    "COALESCE((SELECT MAX(id) FROM audit_auditentry), 0)), "
    "(SELECT digest FROM audit_auditentry ORDER BY id DESC LIMIT 1)",
}


def link(drafts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the columns of the next entries: those of the drafts, their numbers and digests.

    A transaction must be open; nobody else can add an entry until it ends.
    """
    numbers, previous = _reserve_places(len(drafts))
    linked = []
    for number, draft in zip(numbers, drafts, strict=True):
        values = {**draft, "id": number}
        digest = compute_digest(values, previous)
        linked.append({**values, "previous": previous, "digest": digest})
        previous = digest
    return linked


def _reserve_places(wanted: int) -> tuple[Sequence[int], str]:
    """Return the numbers of the next entries, and the digest of the entry before them; blank for the first entry."""
    is_postgresql = connection.vendor == "postgresql"
    if is_postgresql:
        transaction.on_commit(_wait_for_disk)
    with connection.cursor() as cursor:
        cursor.execute(_NEXT[connection.vendor], [wanted] if is_postgresql else [])
        found, previous = cursor.fetchone()
    return found if is_postgresql else range(found, found + wanted), previous or ""


def _wait_for_disk() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_FLUSH)


def make_function(apps: StateApps | None, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make what `next_places` calls in the database, if that is a PostgreSQL; a migration's forward step."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(_FUNCTION)


def compute_digest(values: Mapping[str, Any], previous: str, *, version: int = NEWEST) -> str:
    """Return the digest of an entry, given by its columns, that follows one with the digest `previous`."""
    said = [version, previous, *(_normalise(name, values[name]) for name in VERSIONS[version])]
    return f"{version:02x}{sign(_ENCODER.encode(said).encode())}"


def is_genuine(values: Mapping[str, Any]) -> bool:
    """Return whether an entry, given by all its columns, is as the portal wrote it."""
    try:
        expected = compute_digest(values, values["previous"], version=int(values["digest"][:2], 16))
    except (ValueError, TypeError, AttributeError, KeyError):  # somebody has put there what no column should hold
        return False
    return hmac.compare_digest(expected, values["digest"])


def write_json(values: Mapping[str, Any]) -> str:
    """Return an entry as one line of ASCII JSON, the form of archives and syslog."""
    return json.dumps({**values, "at": values["at"].isoformat()})


def sign(said: bytes) -> str:
    """Return the HMAC-SHA256 of `said` with the key of the trail, in 64 hexadecimal digits."""
    return hmac.digest(_derive_key(settings.AUDIT_KEY or settings.SECRET_KEY), said, "sha256").hex()


@cache
def _derive_key(material: str) -> bytes:
    return salted_hmac("autosubmit_portal.audit.chain", "key", secret=material, algorithm="sha256").digest()


def _normalise(name: str, value: Any) -> Any:
    """Return a value in one form, whatever database or dump it went through; trail.py normalises the others."""
    if name == "at":
        at: datetime = value
        return at.astimezone(UTC).isoformat(timespec="microseconds")
    return _pack_address(value) if name == "address" and value else value


def _pack_address(address: str) -> str:
    """Return the bits of an address: databases and versions of Python write the same address differently."""
    try:
        return ipaddress.ip_address(address).packed.hex()
    except ValueError:  # in SQLite, older entries may hold what a proxy has sent
        return address
