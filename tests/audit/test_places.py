"""How long an entry keeps others from being recorded: on PostgreSQL, by what goes to the server and comes back."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction
from psycopg.pq import Trace

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.models import AuditEntry
from tests.audit.conftest import ORIGIN
from tests.support import factories

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer"),
]
RECORDED = 10  # what comes again and again is prepared, which is a question of its own the first time


@pytest.fixture
def said(tmp_path: Path) -> Iterator[Path]:
    """A file with what goes to the server (F) and comes from it (B), a message a line."""
    connection.ensure_connection()
    wire = connection.connection.pgconn
    file = tmp_path / "said"
    with file.open("wb") as written:
        wire.trace(written.fileno())
        wire.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        yield file
        wire.untrace()


def last_round_trips(said: Path) -> int:
    """Count how often the portal waited for the server in its last transaction, from after BEGIN to COMMIT."""
    connection.connection.pgconn.untrace()
    transaction = said.read_text(errors="replace").rpartition('CommandComplete\t "BEGIN"')[2]
    transaction = transaction.partition('CommandComplete\t "COMMIT"')[0]
    ways = "".join(line[0] for line in transaction.splitlines()[2:])
    return len(re.findall("F+B+", ways))


def test_an_entry_holds_its_lock_for_three_round_trips(said: Path) -> None:
    for _ in range(RECORDED):
        trail.record("test.happened", origin=ORIGIN)
    assert last_round_trips(said) == 3  # for the place, the entry and the COMMIT
    assert AuditEntry.objects.filter(event="test.happened").count() == RECORDED


def test_many_entries_hold_their_lock_for_three_round_trips(said: Path) -> None:
    for _ in range(RECORDED):
        trail.record_all([trail.draft("test.happened", origin=ORIGIN) for _ in range(50)])
    assert last_round_trips(said) == 3  # for the place, the entry and the COMMIT
    assert AuditEntry.objects.filter(event="test.happened").count() == 50 * RECORDED


def test_a_transaction_that_goes_on_after_its_entry_waits_for_the_disk_too(said: Path) -> None:
    with transaction.atomic():
        trail.record("test.happened", origin=ORIGIN)
        assert AuditEntry.objects.filter(event="test.happened").exists()
    _, committed, after = said.read_text(errors="replace").rpartition('"COMMIT')
    assert committed
    assert "pg_logical_emit_message" in after


def test_an_entry_is_seen_by_what_comes_after_it_in_its_transaction() -> None:
    with transaction.atomic():
        trail.record("test.happened", origin=ORIGIN)
        assert AuditEntry.objects.filter(event="test.happened").exists()


def test_entries_of_a_transaction_that_fails_are_not_there() -> None:
    with transaction.atomic():
        trail.record("test.happened", origin=ORIGIN)
        transaction.set_rollback(True)
    assert not AuditEntry.objects.filter(event="test.happened").exists()


def test_entries_of_a_savepoint_that_fails_are_not_there() -> None:
    with transaction.atomic():
        with transaction.atomic():
            trail.record("test.happened", origin=ORIGIN)
            transaction.set_rollback(True)
        factories.create_site()
    assert not AuditEntry.objects.filter(event="test.happened").exists()
