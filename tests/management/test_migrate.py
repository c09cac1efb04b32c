"""A database that older migrations made is taken as it is if it has the last of them, and refused otherwise."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from autosubmit_portal.db import history

pytestmark = pytest.mark.django_db
OLD = {*history.LAST, ("audit", "0002_append_only")}


@pytest.fixture
def recorder() -> MigrationRecorder:
    """A database in which all migrations of before stand as applied."""
    made = MigrationRecorder(connection)
    for app, name in OLD:
        made.record_applied(app, name)
    return made


def test_migrate_forgets_the_migrations_of_before_when_all_are_applied(recorder: MigrationRecorder) -> None:
    assert not history.is_current(connection)
    call_command("migrate", verbosity=0)
    assert history.is_current(connection)
    assert not OLD & recorder.applied_migrations().keys()


def test_migrate_refuses_an_older_database_and_says_the_remedy(recorder: MigrationRecorder) -> None:
    recorder.record_unapplied("jobs", "0006_filters")
    before = recorder.applied_migrations().keys()
    with pytest.raises(CommandError, match=r"lacks .*: jobs 0006_filters\. .* `migrate` of .* first, or begin"):
        call_command("migrate", verbosity=0)
    assert recorder.applied_migrations().keys() == before
