"""The ground that the other tests stand on."""

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from autosubmit_portal.audit.models import AuditEntry


def test_tests_write_nothing_into_the_working_tree() -> None:
    assert not settings.PORTAL_HOME.is_relative_to(settings.BASE_DIR)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_a_test_that_commits_leaves_no_audit_entries(turn: int) -> None:
    assert AuditEntry.objects.filter(event="of this test").count() == 0
    AuditEntry.objects.create(event="of this test", door="api")


@pytest.mark.django_db
def test_the_triggers_are_there_after_a_test_that_commits() -> None:
    AuditEntry.objects.create(event="of this test", door="api")
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_auditentry")
