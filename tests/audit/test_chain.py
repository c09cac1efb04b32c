"""Whatever is done to the trail behind the back of the portal is found, and the right entry named."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from autosubmit_portal.audit import chain, trail
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.audit.verify import BEHEADED, CHANGED, CUT, FOREIGN, MISSING, Examination, Fault, iterate_entries
from experiments.mirror import sync
from experiments.models import Action
from tests.support import factories

Tamper = Callable[..., None]
SOMEBODY = Origin(door=Door.API, actor_name="somebody")
FORGED: dict[str, Any] = {
    "at": "2026-01-01 00:00:00+00:00",
    "event": "action.refused",
    "actor_name": "mallory",
    "actor_id": 8,
    "address": "192.0.2.8",
    "door": "admin",
    "credential": "session",
    "on_behalf_of": "eve",
    "subject": "a0zz",
    "site": "elsewhere",
    "expid": "a0zz",
    "action_id": None,
    "kind": "stop",
    "details": '{"parameters": {"number": 3}}',
    "message": "",
    "previous": "",
    "digest": f"01{64 * '0'}",
}


def faults(**known: Any) -> list[Fault]:
    return list(Examination(**known).find_faults(iterate_entries()))


def test_a_trail_that_nobody_touched_is_whole(ids: list[int]) -> None:
    seen = Examination()
    assert list(seen.find_faults(iterate_entries())) == []
    assert (seen.entries, seen.first_id, seen.last_id) == (AuditEntry.objects.count(), ids[0], ids[-1])


def test_each_entry_has_the_digest_of_the_one_before(ids: list[int]) -> None:
    chained = AuditEntry.objects.order_by("pk").values_list("previous", "digest")
    assert [previous for previous, _ in chained] == ["", *(digest for _, digest in chained[:4])]


def test_entries_that_are_recorded_together_are_chained_in_their_order(ids: list[int]) -> None:
    added = trail.record_all([trail.draft(f"test.{number}", origin=SOMEBODY) for number in range(3)])
    assert [entry.event for entry in AuditEntry.objects.order_by("-pk")[:3]] == ["test.2", "test.1", "test.0"]
    assert [entry.pk for entry in added] == [ids[-1] + number for number in (1, 2, 3)]
    assert faults() == []


@pytest.mark.parametrize("column", FORGED)
def test_a_changed_column_is_found(ids: list[int], tamper: Tamper, column: str) -> None:
    tamper(f"UPDATE {{}} SET {column} = %s WHERE id = %s", FORGED[column], ids[2])
    assert faults()[0] == Fault(ids[2], CHANGED)


def test_every_column_of_the_trail_is_covered() -> None:
    columns = {field.attname for field in AuditEntry._meta.concrete_fields}
    assert columns == set(chain.VERSIONS[chain.NEWEST]) | {"previous", "digest"}
    assert columns == set(FORGED) | {"id"}


def test_a_deleted_entry_is_missed_by_the_next(ids: list[int], tamper: Tamper) -> None:
    tamper("DELETE FROM {} WHERE id = %s", ids[2])
    assert faults() == [Fault(ids[3], MISSING)]


def test_an_entry_that_the_orm_inserts_is_found(ids: list[int]) -> None:
    forged = AuditEntry.objects.create(event="action.requested", door="api", actor_name="mallory")
    assert faults() == [Fault(forged.pk, FOREIGN)]
    trail.record("test.happened", origin=SOMEBODY)
    assert faults() == [Fault(forged.pk, FOREIGN)]


def test_an_entry_before_the_first_number_is_found(ids: list[int], tamper: Tamper) -> None:
    tamper("UPDATE {} SET id = -5 WHERE id = %s", ids[0])
    assert faults()[0].entry_id == -5


def test_a_copy_of_an_entry_is_found(ids: list[int], tamper: Tamper) -> None:
    tamper("UPDATE {} SET id = %s WHERE id = %s", ids[4] + 10, ids[4])
    columns = ", ".join(FORGED)
    tamper(f"INSERT INTO {{0}} (id, {columns}) SELECT %s, {columns} FROM {{0}} WHERE id = %s", ids[4], ids[3])
    assert faults()[0].entry_id == ids[4]


def test_an_entry_forged_with_another_key_is_found(ids: list[int], settings: Any) -> None:
    settings.AUDIT_KEY = "a key that somebody made up"
    forged = trail.record("action.requested", origin=SOMEBODY)
    settings.AUDIT_KEY = ""
    assert [fault.entry_id for fault in faults()] == [forged.pk]


def test_two_swapped_entries_are_found(ids: list[int], tamper: Tamper) -> None:
    for old, new in ((ids[1], 0), (ids[2], ids[1]), (0, ids[2])):
        tamper("UPDATE {} SET id = %s WHERE id = %s", new, old)
    assert [fault.entry_id for fault in faults()] == [ids[1], ids[2]]


def test_a_trail_without_its_beginning_is_found(ids: list[int], tamper: Tamper) -> None:
    tamper("DELETE FROM {} WHERE id < %s", ids[2])
    assert faults() == [Fault(ids[2], BEHEADED)]


@pytest.mark.parametrize("is_written_anew", [False, True])
def test_a_trail_without_its_end_is_found_by_who_kept_the_head(
    ids: list[int], tamper: Tamper, is_written_anew: bool
) -> None:
    head = {ids[4]: AuditEntry.objects.get(pk=ids[4]).digest}
    assert faults(heads=dict(head)) == []
    tamper("DELETE FROM {} WHERE id > %s", ids[2])
    if is_written_anew:
        trail.record("test.happened", origin=SOMEBODY)
    assert faults(heads=head) == [Fault(ids[4], CUT)]


def test_a_trail_that_is_gone_is_found_by_who_kept_the_head(ids: list[int], tamper: Tamper) -> None:
    head = {ids[4]: AuditEntry.objects.get(pk=ids[4]).digest}
    tamper("DELETE FROM {}")
    assert faults(heads=head) == [Fault(ids[4], CUT)]


def test_what_cannot_even_be_read_is_found(ids: list[int], tamper: Tamper) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite takes what is no time")
    tamper("UPDATE {} SET at = 'never' WHERE id = %s", ids[2])
    assert faults() == [Fault(ids[2], CHANGED)]


@pytest.mark.parametrize(
    "value",
    [
        1e5,
        -0.0,
        1.5e300,
        0.1,
        1e-7,
        5e-324,
        2**70,
        float("nan"),
        float("-inf"),
        True,
        None,
        "é\u2028🙂",
        {"b": 1, "a": [2.0]},
    ],
    ids=repr,
)
def test_details_are_proven_after_they_went_through_the_database(db: None, value: Any) -> None:
    trail.record("test.happened", origin=SOMEBODY, details={"value": value, "Z": {3: "key"}, "a": (value,)})
    assert faults() == []


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "2001:DB8::7", "::ffff:192.0.2.7", "::192.0.2.7", "fe80::1%eth0", "unknown", "", None]
)
def test_every_address_is_recorded_and_proven(db: None, address: str | None) -> None:
    trail.record("test.happened", origin=Origin(door=Door.API, address=address))
    assert faults() == []


def test_long_text_is_cut_and_proven(db: None) -> None:
    long = 400 * "é"
    origin = Origin(door=Door.API, actor_name=long, credential=long, on_behalf_of=long)
    trail.record("test.happened", origin=origin, subject=long, site=long, expid=long, message=long)
    assert faults() == []


def test_nothing_is_proven_with_another_key(ids: list[int], settings: Any) -> None:
    settings.AUDIT_KEY = "another"
    assert [fault.entry_id for fault in faults()] == ids


def test_the_audit_key_takes_the_place_of_a_secret_key_that_is_changed(ids: list[int], settings: Any) -> None:
    settings.AUDIT_KEY, settings.SECRET_KEY = settings.SECRET_KEY, "a new secret key"
    assert faults() == []


def in_threads(*calls: Callable[[], Any]) -> None:
    """Do everything at the same time, each with a connection of its own."""

    def do(call: Callable[[], Any]) -> None:
        try:
            call()
        finally:
            connection.close()

    if connection.vendor == "sqlite":
        pytest.skip("the threads of a test share no SQLite database in memory")
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(do, call) for call in calls]:
            done.result()


@pytest.mark.django_db(transaction=True)
def test_entries_of_many_writers_are_one_chain() -> None:
    before = AuditEntry.objects.count()

    def record_some() -> None:
        for number in range(20):
            trail.record(f"test.{number}", origin=SOMEBODY)

    in_threads(*[record_some] * 8)
    assert (faults(), AuditEntry.objects.count() - before) == ([], 160)


@pytest.mark.django_db(transaction=True)
def test_a_request_and_the_mirror_do_not_wait_for_each_other() -> None:
    experiment = factories.create_experiment()
    recorded = AuditEntry.objects.filter(event__in=("action.requested", "experiment.jobs_changed_outside"))

    def request() -> None:
        for _ in range(30):
            with transaction.atomic():
                factories.create_action(experiment, state="failed")
                trail.record("action.requested", origin=SOMEBODY)

    def refresh() -> None:
        for _ in range(30):
            with transaction.atomic():
                sync._lock_row(experiment)
                trail.record("experiment.jobs_changed_outside", origin=SOMEBODY)

    in_threads(request, refresh)
    assert (Action.objects.count(), recorded.count()) == (30, 60)
