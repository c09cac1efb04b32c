"""Nobody fills the trail: what comes too often is counted, and the count is recorded."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.access.sign_in import lockout
from autosubmit_portal.audit import tally, trail
from autosubmit_portal.audit.models import AuditEntry, Tally
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.supervise import supervise
from tests.support import factories

pytestmark = pytest.mark.django_db


def refuse(times: int, name: str = "mallory", number: int = 7) -> None:
    for _ in range(times):
        trail.record("action.refused", origin=Origin(door=Door.API, actor_name=name, actor_id=number))


def let_time_pass() -> None:
    Tally.objects.update(ends_at=timezone.now() - timedelta(seconds=1))


def recorded(event: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(event=event).order_by("id"))


def guess(name: str, address: str) -> None:
    Client().post("/login/", {"username": name, "password": "guess"}, REMOTE_ADDR=address)


def test_refusals_of_one_account_are_recorded_up_to_a_bound() -> None:
    refuse(tally.MOST_REFUSALS + 50)
    assert len(recorded("action.refused")) == tally.MOST_REFUSALS


def refuse_once_more_after_the_first_look() -> Any:
    """Refuse somebody again at the moment when the one refusal has seen that there is no count yet."""
    looks: list[str] = []

    def interrupt(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and Tally._meta.db_table in sql:
            looks.append(sql)
            if len(looks) == 1:
                refuse(1)
        return answer

    return connection.execute_wrapper(interrupt)


def test_a_refusal_is_recorded_when_somebody_else_begins_its_count_at_the_same_moment() -> None:
    with refuse_once_more_after_the_first_look():
        refuse(1)
    assert len(recorded("action.refused")) == 2
    assert [(count.recorded, count.held) for count in Tally.objects.all()] == [(2, 0)]


def test_an_account_does_not_use_up_the_bound_of_another() -> None:
    refuse(tally.MOST_REFUSALS + 50)
    refuse(1, "ana", 8)
    assert recorded("action.refused")[-1].actor_name == "ana"


def test_how_many_more_there_were_is_recorded_with_the_next_refusal() -> None:
    refuse(tally.MOST_REFUSALS + 50)
    let_time_pass()
    refuse(1)
    *_, told, _ = recorded("action.refused")
    assert (told.details["more"], told.actor_name, told.subject) == (50, "mallory", "user mallory")


def test_the_supervisor_records_how_many_there_were_when_nobody_comes_again() -> None:
    refuse(tally.MOST_REFUSALS + 50)
    let_time_pass()
    supervise("portal")
    assert recorded("action.refused")[-1].details["more"] == 50


def test_nothing_more_is_recorded_of_what_was_not_too_often() -> None:
    refuse(1)
    let_time_pass()
    trail.tell_counts()
    assert (len(recorded("action.refused")), Tally.objects.count()) == (1, 0)


def test_a_count_that_does_not_belong_to_a_lockout_stays_when_it_is_lifted() -> None:
    refuse(tally.MOST_REFUSALS + 1)
    lockout.lift(name="ana", origin=Origin(door=Door.COMMAND_LINE))
    assert len(recorded("action.refused")) == tally.MOST_REFUSALS


def test_an_account_without_roles_cannot_fill_the_trail_by_bulk_requests() -> None:
    client = APIClient()
    client.force_authenticate(factories.create_user())
    targets = [{"expid": factories.create_experiment().expid} for _ in range(tally.MOST_REFUSALS + 20)]
    client.post("/v4/actions", {"kind": "run", "targets": targets}, format="json")
    assert len(recorded("action.refused")) == 1


def test_attempts_during_a_lockout_are_one_entry() -> None:
    for _ in range(20):
        guess("ana", "192.0.2.1")
    assert len(recorded("sign_in.locked_out")) == 1


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::{}"])
def test_ever_new_names_from_an_address_that_is_locked_out_are_bounded(address: str, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 1
    for number in range(40):
        factories.create_failed_sign_in(username=f"user-{number}", ip_address=address.format(number))
        guess(f"user-{number}" + "x" * 1000 * (number == 39), address.format(number))
    assert len(recorded("sign_in.locked_out")) <= tally.MOST_LOCKED_OUT[1]


def test_how_many_attempts_a_lockout_has_seen_is_recorded_when_it_is_lifted() -> None:
    for _ in range(20):
        guess("ana", "192.0.2.1")
    lockout.lift(name="ana", origin=Origin(door=Door.COMMAND_LINE))
    first, told = recorded("sign_in.locked_out")
    assert (first.subject, told.subject, told.details["more"]) == ("user ana", "user ana", 15)


def test_tokens_that_nobody_knows_are_recorded_up_to_a_bound() -> None:
    for _ in range(tally.MOST_FAILURES + 20):
        APIClient().get("/v4/actions", HTTP_AUTHORIZATION="Bearer nonsense")
    assert len(recorded("sign_in.failed")) == tally.MOST_FAILURES
