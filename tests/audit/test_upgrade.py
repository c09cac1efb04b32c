"""A portal that has a trail already gets a chain through it."""

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.audit.verify import Examination, entries

OLD = (
    "INSERT INTO audit_auditentry (event, at, actor_name, door, subject, site, expid, kind, details, message) "
    "VALUES (%s, '2026-01-01 00:00:00+00:00', 'ana', 'api', '', '', '', '', '{\"n\": 1.50}', '')"
)


@pytest.fixture
def upgraded(transactional_db: None) -> list[str]:
    """The events of a trail of three entries that was there before the chain."""
    call_command("migrate", "audit", "0002", verbosity=0)
    with connection.cursor() as cursor:
        cursor.executemany(OLD, [[f"old.{number}"] for number in range(3)])
    call_command("migrate", "audit", verbosity=0)
    return list(AuditEntry.objects.order_by("pk").values_list("event", flat=True))


def test_old_entries_are_chained_up_to_a_marker(upgraded: list[str]) -> None:
    assert upgraded[-4:] == ["old.0", "old.1", "old.2", "audit.chained"]
    trail.record("test.happened", origin=Origin(door=Door.API))
    assert list(Examination().faults(entries())) == []
    marker = AuditEntry.objects.get(event="audit.chained")
    assert marker.details == {"entries": len(upgraded) - 1, "last_id": marker.pk - 1}


def test_the_database_goes_on_refusing_changes(upgraded: list[str]) -> None:
    with pytest.raises(DatabaseError, match="never changed or deleted"):
        connection.cursor().execute("UPDATE audit_auditentry SET message = 'x'")
