"""The list of accounts and the pages of people: what is shown to whom, and what is done to an account."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.models import Membership, SiteAccount, SiteRole, Visit
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in import lockout, second_factor
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Experiment
from tests.console.pages import list_of, text_of
from tests.support import factories

SignedIn = Callable[[User], Client]
pytestmark = pytest.mark.django_db


@pytest.fixture
def ana(experiment: Experiment) -> User:
    """A person with a right of each kind."""
    made = factories.create_user(Role.OPERATOR, username="ana", first_name="Ana", last_name="Lee")
    factories.create_team((made, Role.MANAGER), slug="ocean", name="Ocean", covers={"site": experiment.site})
    SiteRole.objects.create(user=made, site=experiment.site, role=Role.VIEWER, source="sso")
    SiteAccount.objects.create(user=made, site=experiment.site, unix_name="alee")
    factories.create_delegation(made, factories.create_user(username="bea"))
    factories.create_token(made, name="nightly report")
    return made


def act_on(person: User, what: str) -> str:
    return reverse(f"admin:auth_user_{what}", args=[person])


def lock_out(person: User) -> None:
    for number in range(settings.AXES_FAILURE_LIMIT):
        factories.create_failed_sign_in(username=person.username, user_agent=str(number), failures_since_start=1)


def switch_factor_on(person: User) -> None:
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={"secret": "x"})


def test_the_page_of_a_person_says_what_they_may_and_where_it_comes_from(as_admin: Client, ana: User) -> None:
    page = text_of(as_admin.get("/people/ana/"))
    assert "<td>Operator</td><td>by hand</td>" in page
    assert "Ocean</a></th><td>Manager</td><td>by hand</td>" in page
    assert "<td>Viewer</td><td>from sso</td>" in page
    for word in ("alee", "bea", "nightly report", "Ana Lee"):
        assert word in page


def test_the_page_of_a_person_has_no_hash_and_no_raw_permission(as_admin: Client, ana: User) -> None:
    ana.set_password("correct horse")
    ana.user_permissions.add(Permission.objects.get(codename="request_stop"))
    ana.save()
    for page in ("/people/ana/", "/people/ana/edit/"):
        shown = text_of(as_admin.get(page))
        assert not any(word in shown for word in ("pbkdf2", "salt", "request_stop", "Can add", 'name="last_login'))
        assert "Stop" in shown


def test_the_list_says_who_was_here_and_how_they_sign_in(as_admin: Client, ana: User) -> None:
    Visit.objects.create(user=ana, seen_at=timezone.now() - timedelta(hours=2))
    shown = text_of(as_admin.get(list_of("auth_user"), {"q": "ana"}))
    assert "2 h ago" in shown
    assert 'ocean <span class="quiet">manager</span>' in shown
    assert 'href="/people/ana/' in shown


@pytest.mark.parametrize("role", Role)
def test_a_person_sees_their_own_page_and_no_other(as_role: Callable[[Role], Client], ana: User, role: Role) -> None:
    client = as_role(role)
    assert client.get(f"/people/{role.name.lower()}/", follow=True).status_code in (200, 404)
    assert client.get("/people/ana/").status_code == 404
    assert client.get("/people/").status_code == 403


def test_ones_own_page_has_what_belongs_to_oneself(signed_in: SignedIn, ana: User) -> None:
    page = text_of(signed_in(ana).get("/people/ana/"))
    for word in ("Ocean", "alee", "bea", "nightly report", "Your account"):
        assert word in page
    assert act_on(ana, "edit") not in page
    assert act_on(ana, "close") not in page


def test_who_may_only_see_accounts_sees_no_teams_tokens_and_delegations(
    signed_in: SignedIn, viewer: User, ana: User
) -> None:
    viewer.user_permissions.add(Permission.objects.get(codename="view_user"))
    client = signed_in(viewer)
    shown = text_of(client.get("/people/ana/"))
    assert not any(word in shown for word in ("Ocean", "alee", "bea", "nightly report", "Second factor</dt>"))
    assert "ocean" not in text_of(client.get("/people/"))


def test_an_account_is_closed_and_reopened(as_admin: Client, signed_in: SignedIn, ana: User) -> None:
    signed_in(ana)
    sessions = Session.objects.count()
    assert as_admin.post(act_on(ana, "close"))["Location"] == "/people/ana/"
    ana.refresh_from_db()
    assert (ana.is_active, Session.objects.count()) == (False, sessions - 1)
    as_admin.post(act_on(ana, "reopen"))
    ana.refresh_from_db()
    assert ana.is_active
    changes = [entry.details["changes"] for entry in AuditEntry.objects.filter(event="user.changed").order_by("pk")]
    assert changes[-2:] == [{"is_active": ["True", "False"]}, {"is_active": ["False", "True"]}]


def test_nobody_closes_their_own_account(as_admin: Client, admin_user: User) -> None:
    as_admin.post(act_on(admin_user, "close"))
    admin_user.refresh_from_db()
    assert admin_user.is_active


@pytest.mark.parametrize("what", ["close", "reset_second_factor", "unlock"])
def test_who_may_only_see_accounts_changes_none(signed_in: SignedIn, viewer: User, ana: User, what: str) -> None:
    viewer.user_permissions.add(Permission.objects.get(codename="view_user"))
    switch_factor_on(ana)
    lock_out(ana)
    signed_in(viewer).post(act_on(ana, what))
    ana.refresh_from_db()
    assert ana.is_active
    assert second_factor.is_on(ana)
    assert lockout.find_end("ana", None)


def test_a_lockout_is_told_and_lifted_on_the_page(as_admin: Client, ana: User) -> None:
    lock_out(ana)
    assert "Locked out after failed sign-ins" in text_of(as_admin.get("/people/ana/"))
    as_admin.post(act_on(ana, "unlock"))
    assert lockout.find_end("ana", None) is None
    assert AuditEntry.objects.filter(event="lockout.lifted", subject="user ana").count() == 1


def test_an_administrator_takes_a_lost_second_factor_away(as_admin: Client, ana: User) -> None:
    ana.set_password("correct horse")
    ana.save()
    switch_factor_on(ana)
    assert act_on(ana, "reset_second_factor") in text_of(as_admin.get("/people/ana/"))
    as_admin.post(act_on(ana, "reset_second_factor"))
    assert not second_factor.is_on(ana)
    assert AuditEntry.objects.filter(event="second_factor.removed", subject="user ana").exists()


def test_nobody_takes_their_own_second_factor_away_without_a_code(as_admin: Client, admin_user: User) -> None:
    switch_factor_on(admin_user)
    as_admin.post(act_on(admin_user, "reset_second_factor"))
    assert second_factor.is_on(admin_user)


def test_the_form_changes_a_person_and_keeps_what_it_does_not_show(as_admin: Client, ana: User) -> None:
    hidden, shown, new = (
        Permission.objects.get(codename=name) for name in ("add_session", "request_stop", "request_run")
    )
    ana.user_permissions.add(hidden, shown)
    sent = {"username": "ana", "first_name": "Ann", "groups": [], "rights": [new.pk]}
    assert as_admin.post(act_on(ana, "edit"), sent)["Location"] == "/people/ana/"
    ana.refresh_from_db()
    assert (ana.first_name, ana.groups.count(), set(ana.user_permissions.all())) == ("Ann", 0, {hidden, new})


@pytest.mark.parametrize("name", ["add", "a.b+c@d", "Ünicode", "~3", "a/b", ".."])
def test_a_person_of_any_name_has_a_page(as_admin: Client, name: str) -> None:
    person = factories.create_user(username=name)
    answer: Any = as_admin.get(reverse("admin:auth_user_change", args=[person]))
    assert answer.status_code == 200
    assert answer.context["person"] == person


def test_the_number_of_a_person_leads_to_the_address_with_the_name(as_admin: Client, ana: User) -> None:
    assert as_admin.get(f"/people/~{ana.pk}/")["Location"] == "/people/ana/"


@pytest.mark.parametrize("old", ["auth/user/{}/change/", "users/{}/change/", "users/{}/"])
def test_an_address_of_before_leads_to_the_page_of_whom_somebody_may_see(
    as_admin: Client, as_manager: Client, ana: User, old: str
) -> None:
    address = "/" + old.format(ana.pk)
    assert as_admin.get(address)["Location"] == "/people/ana/"
    assert as_manager.get(address).status_code == 404


def test_the_names_on_the_access_page_lead_to_people_for_who_may_see_them(
    as_admin: Client, as_manager: Client, experiment: Experiment, ana: User
) -> None:
    address = reverse("admin:experiments_experiment_access", args=[experiment])
    assert '<a href="/people/ana/">ana</a>' in text_of(as_admin.get(address))
    shown = text_of(as_manager.get(address))
    assert "ana" in shown
    assert "/people/ana/" not in shown


def test_the_page_of_a_person_takes_as_many_queries_for_many_rows(
    as_admin: Client, ana: User, django_assert_max_num_queries: Any
) -> None:
    as_admin.get("/people/ana/")
    for _ in range(12):
        factories.create_token(ana)
        factories.create_delegation(ana, factories.create_user())
        Membership.objects.create(user=ana, team=factories.create_team(), role=Role.VIEWER)
    with django_assert_max_num_queries(45):
        as_admin.get("/people/ana/")
