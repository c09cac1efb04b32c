"""Guessing passwords is counted and locked out, and managers lift that."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from autosubmit_portal.access.roles import LIFT_LOCKOUTS, Role
from autosubmit_portal.access.sign_in.lockout import ADDRESS_FACTOR
from autosubmit_portal.audit.models import AuditEntry
from experiments.permissions import synchronise_permissions
from tests.console.pages import list_of, text_of

pytestmark = pytest.mark.django_db
LOGIN = "/login/"
PASSWORD = "correct horse"
LIMIT = settings.AXES_FAILURE_LIMIT


@pytest.fixture
def ana(actor: Callable[..., User]) -> User:
    """Somebody with a password."""
    return actor(Role.VIEWER, username="ana", password=PASSWORD)


def guess(name: str, *, times: int = 1, password: str = "guessed", address: str = "192.0.2.1") -> Any:
    """Sign in as often as said, each time with another browser, and return the last answer."""
    for number in range(times):
        answer = Client(HTTP_USER_AGENT=f"browser {number}").post(
            LOGIN, {"username": name, "password": password}, REMOTE_ADDR=address
        )
    return answer


def test_an_account_that_is_guessed_at_is_locked_out_even_for_the_right_password(ana: User) -> None:
    assert guess("ana", times=LIMIT - 1).status_code == 200
    assert guess("ana").status_code == 429
    answer = guess("ana", password=PASSWORD, address="198.51.100.1")
    assert answer.status_code == 429
    assert "Try again in 15 minutes" in text_of(answer)
    assert 0 < int(answer["Retry-After"]) <= 15 * 60


def test_a_lockout_does_not_tell_whether_the_account_exists(ana: User) -> None:
    answers = [guess(name, times=LIMIT + 1, address=f"192.0.2.{n}") for n, name in enumerate(("ana", "nobody"))]
    errors = [text_of(answer).partition("errornote")[2][:200] for answer in answers]
    assert errors[0] == errors[1] != ""


def test_an_address_that_guesses_at_many_names_is_locked_out(ana: User) -> None:
    for number in range(LIMIT * ADDRESS_FACTOR):
        guess(f"name-{number}")
    assert guess("ana", password=PASSWORD).status_code == 429
    assert guess("ana", password=PASSWORD, address="198.51.100.1").status_code == 302


def test_who_knows_one_password_does_not_clear_the_address_by_using_it(ana: User) -> None:
    for number in range(LIMIT * ADDRESS_FACTOR - 1):
        guess(f"name-{number}")
    assert guess("ana", password=PASSWORD).status_code == 302
    guess("another")
    assert guess("ana", password=PASSWORD).status_code == 429


def test_a_sign_in_that_succeeds_forgets_the_failures_before(ana: User) -> None:
    guess("ana", times=LIMIT - 1)
    guess("ana", password=PASSWORD)
    assert guess("ana", times=LIMIT - 1).status_code == 200


def test_a_lockout_ends_by_itself_and_is_not_prolonged_by_guessing_on(ana: User) -> None:
    guess("ana", times=LIMIT + 3)
    passed = timezone.now() - settings.AXES_COOLOFF_TIME
    AccessAttempt.objects.update(attempt_time=passed + timedelta(minutes=1))
    guess("ana")
    AccessAttempt.objects.update(attempt_time=passed - timedelta(seconds=1))
    assert guess("ana", password=PASSWORD).status_code == 302


def test_the_address_behind_our_proxies_is_the_one_that_counts(ana: User, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    client = Client(HTTP_X_FORWARDED_FOR="203.0.113.9, 198.51.100.7", REMOTE_ADDR="10.0.0.1")
    client.post(LOGIN, {"username": "ana", "password": "x"})
    assert AccessAttempt.objects.get().ip_address == "198.51.100.7"


def test_the_trail_has_failures_and_lockouts_apart_and_no_password(ana: User) -> None:
    guess("ana", times=LIMIT + 1, password="hunter2")
    events = list(AuditEntry.objects.order_by("pk").values_list("event", flat=True))
    last = AuditEntry.objects.latest("pk")
    assert (events.count("sign_in.failed"), events.count("sign_in.locked_out")) == (LIMIT - 1, 1)
    assert (last.event, last.subject, last.address) == ("sign_in.locked_out", "user ana", "192.0.2.1")
    assert "15 minutes" in last.message
    assert "hunter2" not in str(list(AuditEntry.objects.values()) + list(AccessAttempt.objects.values()))


def test_guessing_the_old_password_to_change_it_is_locked_out_too(
    signed_in: Callable[[User], Client], ana: User
) -> None:
    form = {"old_password": "wrong-old", "new_password1": "a new one 4 me", "new_password2": "a new one 4 me"}
    client = signed_in(ana)
    answers = [client.post("/password_change/", form) for _ in range(LIMIT + 1)]
    assert "incorrectly" in text_of(answers[0])
    assert "Try again in 15 minutes" in text_of(answers[-1])
    kept = str(list(AccessAttempt.objects.values()))
    assert "wrong-old" not in kept
    assert "a new one" not in kept


def test_somebody_changes_their_password(signed_in: Callable[[User], Client], ana: User) -> None:
    form = {"old_password": PASSWORD, "new_password1": "a new one 4 me", "new_password2": "a new one 4 me"}
    assert signed_in(ana).post("/password_change/", form).status_code == 302
    assert guess("ana", password="a new one 4 me").status_code == 302


def test_a_manager_sees_a_lockout_and_lifts_it(as_manager: Client, ana: User) -> None:
    guess("ana", times=LIMIT)
    page = text_of(as_manager.get(list_of("access_failedsignin")))
    assert page.count("name until") == LIMIT  # a row for each browser
    row = AccessAttempt.objects.first()
    assert row
    address = f"/failed-sign-ins/{row.pk}/delete/"
    assert "All failed sign-ins as <b>ana</b>" in text_of(as_manager.get(address))
    assert as_manager.post(address, {"post": "yes"}).status_code == 302
    assert guess("ana", password=PASSWORD).status_code == 302
    entry = AuditEntry.objects.filter(event="lockout.lifted").earliest("pk")
    assert (entry.actor_name, entry.subject) == ("manager", "user ana")


def test_an_operator_sees_no_lockouts_and_lifts_none(as_operator: Client, ana: User) -> None:
    guess("ana", times=LIMIT)
    row = AccessAttempt.objects.first()
    assert row
    assert as_operator.get(list_of("access_failedsignin")).status_code == 403
    assert as_operator.post(f"/failed-sign-ins/{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_command_lifts_a_lockout(ana: User, capsys: pytest.CaptureFixture[str]) -> None:
    guess("ana", times=LIMIT)
    call_command("unlock", "ana")
    assert "lifted" in capsys.readouterr().out
    assert guess("ana", password=PASSWORD).status_code == 302


def test_managers_of_a_portal_that_is_upgraded_may_lift_lockouts() -> None:
    Permission.objects.filter(codename=LIFT_LOCKOUTS).delete()
    synchronise_permissions()
    held = {group.name for group in Group.objects.filter(permissions__codename=LIFT_LOCKOUTS)}
    assert held == {"Manager"}
