"""The second factor: set up, asked for at the sign-in, demanded, and taken away."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from tests.console.pages import text_of
from tests.console.test_single_sign_on import go
from tests.support import factories
from tests.support.identity_provider import Provider

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
PASSWORD = "correct horse"
LOGIN, CODE, PAGE = "/login/", "/login/code/", "/second-factor/"


@pytest.fixture
def ana(actor: Callable[..., User]) -> User:
    """A manager with a password."""
    return actor(Role.MANAGER, username="ana", password=PASSWORD)


def code_of(secret: str, step: int = 0) -> str:
    """Return the code that an app shows now, or some half minutes later."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + step))


def set_up(client: Client) -> tuple[str, list[str]]:
    """Switch the second factor on with the code of now; return the secret and the recovery codes."""
    secret = re.findall(r"this secret: <code>(\w+)</code>", text_of(client.get(PAGE)))[0]
    page = text_of(client.post(PAGE, {"code": code_of(secret)}, follow=True))
    shown = re.findall(r'id="codes"[^>]*>(.*?)</pre>', page, re.DOTALL)[0]
    return secret, shown.split()


def sign_in(password: str = PASSWORD) -> Client:
    client = Client()
    client.post(LOGIN, {"username": "ana", "password": password})
    return client


@pytest.fixture
def factor(ana: User, signed_in: Callable[[User], Client]) -> tuple[str, list[str]]:
    """The secret and the recovery codes of ana's second factor."""
    return set_up(signed_in(ana))


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_without_a_second_factor_the_password_is_enough(ana: User) -> None:
    assert is_in(sign_in())


def test_with_one_the_password_is_not_enough(factor: tuple[str, list[str]]) -> None:
    client = sign_in()
    assert not is_in(client)
    assert client.get("/")["Location"].startswith(LOGIN)
    assert "Enter the code" in text_of(client.get(CODE))


def test_the_code_signs_in_and_leads_to_the_page_that_was_wanted(factor: tuple[str, list[str]]) -> None:
    client = Client()
    form = {"username": "ana", "password": PASSWORD, "next": "/jobs/"}
    assert client.post(LOGIN, form)["Location"] == CODE
    answer = client.post(CODE, {"code": code_of(factor[0], 1)})
    assert (answer.status_code, answer["Location"], is_in(client)) == (302, "/jobs/", True)


def test_a_code_counts_once(factor: tuple[str, list[str]]) -> None:
    code = code_of(factor[0], 1)
    sign_in().post(CODE, {"code": code})
    from django.core.cache import cache

    cache.clear()  # another process of the portal does not share it
    client = sign_in()
    assert "has been used" in text_of(client.post(CODE, {"code": code}))
    assert not is_in(client)


@pytest.mark.parametrize("form", ["{}", "{:.3} {:.3}"])
def test_the_code_that_switched_it_on_signs_nobody_in(
    ana: User, signed_in: Callable[[User], Client], form: str
) -> None:
    set_up(signed_in(ana))
    (code,) = Authenticator.objects.get(type="totp").data["used"]
    client = sign_in()
    assert "has been used" in text_of(client.post(CODE, {"code": form.format(code, code[3:])}))
    assert not is_in(client)


def test_two_who_have_read_the_same_recovery_code_are_not_both_let_in(factor: tuple[str, list[str]], ana: User) -> None:
    read = [ana.authenticator_set.get(type="recovery_codes").wrap() for _ in range(2)]
    assert [codes.validate_code(factor[1][0]) for codes in read] == [True, False]


def test_a_recovery_code_signs_in_once(factor: tuple[str, list[str]]) -> None:
    ins = []
    for _ in range(2):
        client = sign_in()
        client.post(CODE, {"code": factor[1][0]})
        ins.append(is_in(client))
    assert ins == [True, False]


def test_guessing_codes_is_locked_out(factor: tuple[str, list[str]]) -> None:
    client = sign_in()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        client.post(CODE, {"code": "guess"})
    answer = client.post(CODE, {"code": code_of(factor[0], 1)})
    assert (answer.status_code, "Too many failed sign-ins" in text_of(answer)) == (429, True)
    assert not is_in(client)
    entry = AuditEntry.objects.filter(event="sign_in.failed").latest("pk")
    assert entry.message == "Wrong code of the second factor."


@pytest.mark.parametrize("form", [{}, {"code": ""}, {"credential": "{}"}])
def test_no_code_is_no_sign_in(factor: tuple[str, list[str]], form: dict[str, str]) -> None:
    client = sign_in()
    assert client.post(CODE, form).status_code == 200
    assert not is_in(client)


def test_the_code_page_without_a_password_before_leads_to_the_sign_in(client: Client) -> None:
    assert client.get(CODE)["Location"] == LOGIN
    assert client.get(PAGE)["Location"].startswith(LOGIN)


def test_the_secret_is_kept_encrypted_and_not_in_the_trail(factor: tuple[str, list[str]]) -> None:
    kept = str(list(Authenticator.objects.values()) + list(AuditEntry.objects.values()))
    assert factor[0] not in kept
    assert AuditEntry.objects.filter(event="second_factor.added").count() == 2


def test_a_factor_of_another_secret_key_lets_nobody_in(factor: tuple[str, list[str]], settings: Any) -> None:
    settings.SECRET_KEY = "another key that is long enough to be one, with letters"
    client = sign_in()
    assert "under another secret key" in text_of(client.post(CODE, {"code": code_of(factor[0], 1)}))
    assert not is_in(client)


def test_switching_it_off_needs_a_code(factor: tuple[str, list[str]]) -> None:
    client = sign_in()
    client.post(CODE, {"code": code_of(factor[0], 1)})
    client.post(PAGE, {"remove": "yes", "code": "guess"})
    assert Authenticator.objects.count() == 2
    client.post(PAGE, {"remove": "yes", "code": factor[1][0]})
    assert not Authenticator.objects.exists()


def test_new_recovery_codes_replace_the_old_ones(factor: tuple[str, list[str]]) -> None:
    client = sign_in()
    client.post(CODE, {"code": code_of(factor[0], 1)})
    page = text_of(client.post(PAGE, {"renew": "yes", "code": factor[1][0]}, follow=True))
    assert factor[1][1] not in page
    assert page.count("\n") > 10


def test_an_administrator_resets_a_factor_that_is_lost(
    factor: tuple[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("reset_second_factor", "ana")
    assert "may sign in" in capsys.readouterr().out
    assert is_in(sign_in())
    assert AuditEntry.objects.filter(event="second_factor.removed", subject="user ana").exists()


@pytest.mark.parametrize(
    ("requirement", "role", "sent"),
    [
        ("none", Role.MANAGER, False),
        ("managers", Role.MANAGER, True),
        ("managers", Role.OPERATOR, False),
        ("everyone", Role.VIEWER, True),
    ],
)
def test_who_must_have_one_is_sent_to_set_it_up(
    actor: Callable[..., User], settings: Any, requirement: str, role: Role, sent: bool
) -> None:
    settings.REQUIRE_SECOND_FACTOR = requirement
    actor(role, username="ana", password=PASSWORD)
    client = sign_in()
    assert (client.get("/").status_code == 302, client.get("/v4/experiments").status_code == 401) == (sent, sent)
    if sent:
        assert "needs a second factor" in text_of(client.get(PAGE))
        set_up(client)
    assert [client.get(path).status_code for path in ("/", "/v4/experiments")] == [200, 200]


def test_the_manager_of_a_team_is_a_manager(actor: Callable[..., User], settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = "managers"
    factories.create_team((actor(username="ana", password=PASSWORD), Role.MANAGER))
    assert sign_in().get("/")["Location"] == PAGE


def test_who_comes_through_the_provider_brings_its_factor(client: Client, provider: Provider, settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = "everyone"
    provider.know("ben", groups=["/managers"])
    go(client, provider, "ben")
    assert client.get("/").status_code == 200
    assert "through an identity provider" in text_of(client.get(PAGE))


def test_api_tokens_need_none(api: Callable[..., Any], ana: User, settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = "everyone"
    assert api(ana).get("/v4/experiments").status_code == 200


def test_a_session_that_is_older_than_the_factor_signs_in_anew(
    ana: User, signed_in: Callable[[User], Client], settings: Any
) -> None:
    old, this = sign_in(), signed_in(ana)
    set_up(this)
    assert old.get("/")["Location"].startswith(LOGIN)
    assert not is_in(old)
    assert this.get("/").status_code == 200


def test_new_codes_are_led_to_and_shown_once(ana: User, signed_in: Callable[[User], Client]) -> None:
    client = signed_in(ana)
    _, codes = set_up(client)
    answer = client.post(PAGE, {"renew": "yes", "code": codes[0]})
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    pages = [text_of(client.get(PAGE)) for _ in range(2)]
    assert ['id="codes"' in page for page in pages] == [True, False]


def others_after(client: Client, deed: Callable[[], Any]) -> list[bool]:
    """Return whether ana's two other sessions, and one of somebody else, are in after a deed of hers."""
    others = [Client(), Client(), Client()]
    for other, user in zip(others, [*[User.objects.get(username="ana")] * 2, factories.create_user()], strict=True):
        other.force_login(user)
    deed()
    assert is_in(client)
    return [is_in(other) for other in others]


@pytest.mark.parametrize("what", ["renew", "remove"])
def test_a_change_of_the_factor_ends_the_other_sessions_of_the_account(
    ana: User, signed_in: Callable[[User], Client], what: str
) -> None:
    client = signed_in(ana)
    _, recovery = set_up(client)
    found = others_after(client, lambda: client.post(PAGE, {what: "yes", "code": recovery[0]}))
    assert found == [False, False, True]


def test_a_reset_of_the_factor_ends_all_sessions(factor: tuple[str, list[str]], ana: User) -> None:
    client = Client()
    client.force_login(ana)
    call_command("reset_second_factor", "ana")
    assert not is_in(client)


def test_a_change_of_the_password_ends_the_other_sessions(ana: User, signed_in: Callable[[User], Client]) -> None:
    client, old = signed_in(ana), sign_in()
    new = "staple battery 17"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post("/password_change/", form).status_code == 302
    assert [one.get("/").status_code for one in (client, old)] == [200, 302]


def test_the_sessions_of_a_closed_account_are_not_opened_again_with_it(ana: User) -> None:
    client = sign_in()
    for is_active in (False, True):
        ana.is_active = is_active
        ana.save()
    assert not is_in(client)
