"""Invitations into a team: who makes and withdraws them, what a link is good for, and when it is good for nothing."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from autosubmit_portal.access.models import Invitation, Membership, Team, compute_digest
from autosubmit_portal.access.rights import invitations
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in.lockout import ADDRESS_FACTOR
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.models import Experiment
from tests.console.pages import text_of
from tests.console.test_single_sign_on import go, who
from tests.support import factories
from tests.support.identity_provider import Provider

SignedIn = Callable[[User], Client]
PAGE, JOIN, ACCOUNT = "/invitation/", "/invitation/join/", "/invitation/account/"
TEAM = "/teams/ocean/"
OF_TEAM = f"{TEAM}invitations/"
PASSWORD = "correct horse battery"
NEW = {"username": "ana", "password1": PASSWORD, "password2": PASSWORD}


@pytest.fixture
def team(experiment: Experiment) -> Team:
    """A team at the site local."""
    return factories.create_team(covers={"site": experiment.site}, slug="ocean", name="Ocean")


@pytest.fixture
def chief(team: Team) -> User:
    """The manager of the team, who makes no accounts."""
    user = factories.create_user(username="chief")
    Membership.objects.create(team=team, user=user, role=Role.MANAGER)
    return user


@pytest.fixture
def newcomer(team: Team) -> User:
    """Somebody with an account, who has no role anywhere."""
    return factories.create_user(username="newcomer", password=PASSWORD)


@pytest.fixture
def secret(team: Team, chief: User) -> str:
    """What an invitation of the manager as operator is opened by."""
    return factories.create_invitation(team, chief)


@pytest.fixture
def of_admin(team: Team, admin_user: User) -> str:
    """The same of an administrator, who makes accounts."""
    return factories.create_invitation(team, admin_user)


def opened(secret: str, client: Client | None = None) -> Client:
    """Return a browser in which the link was opened."""
    browser = client or Client()
    assert browser.post(PAGE, {"link": f"https://portal.example.org{PAGE}#{secret}"})["Location"] == PAGE
    return browser


def invite(client: Client, **values: Any) -> Any:
    return client.post(OF_TEAM, {"whom": "Ana Lee", "role": Role.OPERATOR.value, **values})


def events() -> list[tuple[str, str]]:
    rows = AuditEntry.objects.filter(event__startswith="invitation.").order_by("pk")
    return [(row.event, row.actor_name) for row in rows]


# --- To invite and to withdraw


def test_the_manager_of_a_team_invites_and_sees_the_link_once(signed_in: SignedIn, chief: User) -> None:
    client = signed_in(chief)
    assert invite(client)["Location"] == OF_TEAM
    page = client.get(OF_TEAM)
    (secret,) = re.findall(r"http://testserver/invitation/#([\w-]+)<", text_of(page))
    assert Invitation.objects.get().digest == compute_digest(secret)
    assert "no-store" in page["Cache-Control"]
    assert client.get(OF_TEAM)["Location"] == TEAM


def test_the_link_is_shown_to_nobody_else(signed_in: SignedIn, chief: User, as_manager: Client) -> None:
    client = signed_in(chief)
    invite(client)
    as_manager.cookies["new_link"] = client.cookies["new_link"].value
    assert as_manager.get(OF_TEAM)["Location"] == TEAM


def test_a_secret_has_256_bits_and_stands_nowhere(team: Team, secret: str) -> None:
    assert len(secret) == 43
    opened(secret)
    (session,) = Session.objects.all()
    kept = [*Invitation.objects.values(), *AuditEntry.objects.values(), session.get_decoded()]
    assert secret not in str(kept)


def test_an_invitation_is_open_for_seven_days(team: Team, secret: str) -> None:
    left = Invitation.objects.get().open_until - timezone.now()
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)


def test_an_invitation_ends_with_the_place_that_it_offers(signed_in: SignedIn, chief: User) -> None:
    ends_at = (timezone.now() + timedelta(days=2)).replace(second=0, microsecond=0)
    invite(signed_in(chief), ends_at=f"{ends_at:%Y-%m-%dT%H:%M}")
    made = Invitation.objects.get()
    assert (made.ends_at, made.open_until) == (ends_at, ends_at)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_add_people_invites_nobody_and_sees_no_invitations(
    signed_in: SignedIn, team: Team, secret: str, role: Role
) -> None:
    member = factories.create_user()
    Membership.objects.create(team=team, user=member, role=role)
    client = signed_in(member)
    assert "Invite somebody" not in text_of(client.get(TEAM))
    assert "somebody@example.org" not in text_of(client.get(TEAM))
    withdraw = f"{OF_TEAM}{Invitation.objects.get().pk}/withdraw/"
    assert [client.get(OF_TEAM).status_code, invite(client).status_code, client.post(withdraw).status_code] == [403] * 3
    assert Invitation.objects.count() == 1


def test_the_page_of_a_team_tells_its_open_invitations(signed_in: SignedIn, team: Team, chief: User) -> None:
    factories.create_invitation(team, chief, whom="bea@example.org", role=Role.VIEWER)
    factories.create_invitation(team, chief, whom="late", open_until=timezone.now())
    shown = text_of(signed_in(chief).get(TEAM)).partition('id="invited"')[2].partition("</table>")[0]
    assert "bea@example.org</th><td>Viewer</td>" in shown
    assert ">chief<" in shown
    assert f"{Invitation.objects.get(whom='bea@example.org').open_until:%Y-%m-%d %H:%M} UTC" in shown
    assert "late" not in shown


def test_a_second_invitation_for_the_same_person_is_refused_while_the_first_is_open(
    signed_in: SignedIn, team: Team, chief: User
) -> None:
    client = signed_in(chief)
    factories.create_invitation(team, chief, whom="ana lee")
    assert "An invitation for “Ana Lee” is open" in text_of(invite(client))
    Invitation.objects.update(open_until=timezone.now())
    assert invite(client).status_code == 302
    assert Invitation.objects.get().whom == "Ana Lee"


def test_not_more_than_so_many_invitations_of_a_team_are_open(
    signed_in: SignedIn, team: Team, chief: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "MOST_OPEN", 2)
    for _ in range(2):
        factories.create_invitation(team, chief)
    assert "2 invitations into the team are open" in text_of(invite(signed_in(chief)))
    assert Invitation.objects.count() == 2


@pytest.mark.parametrize("whom", ["", "a" * 151, "a\nb", "\u202egro.elpmaxe", "a\0b"])
def test_whom_an_invitation_is_for_is_one_line_of_plain_text(signed_in: SignedIn, chief: User, whom: str) -> None:
    assert "errorlist" in text_of(invite(signed_in(chief), whom=whom))
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("wrong", [{"role": "9"}, {"role": "0"}, {"ends_at": "2020-01-01T00:00"}])
def test_an_invitation_offers_only_what_a_manager_gives(
    signed_in: SignedIn, chief: User, wrong: dict[str, str]
) -> None:
    assert "errorlist" in text_of(invite(signed_in(chief), **wrong))
    assert not Invitation.objects.exists()


def test_an_invitation_is_withdrawn_by_any_manager_of_the_team(
    signed_in: SignedIn, team: Team, secret: str, as_manager: Client
) -> None:
    answer = as_manager.post(f"{OF_TEAM}{Invitation.objects.get().pk}/withdraw/", follow=True)
    assert "The invitation for somebody@example.org is withdrawn." in text_of(answer)
    assert not Invitation.objects.exists()
    assert events() == [("invitation.withdrawn", User.objects.get(groups__name="Manager").username)]


def test_an_invitation_of_another_team_is_not_there(signed_in: SignedIn, chief: User) -> None:
    factories.create_invitation(factories.create_team(), factories.create_administrator())
    assert signed_in(chief).post(f"{OF_TEAM}{Invitation.objects.get().pk}/withdraw/").status_code == 404
    assert Invitation.objects.exists()


def test_the_trail_says_who_has_invited_whom_as_what(signed_in: SignedIn, chief: User) -> None:
    invite(signed_in(chief))
    entry = AuditEntry.objects.get(event="invitation.made")
    assert (entry.actor_name, entry.subject) == ("chief", "invitation for Ana Lee as operator of ocean")
    told = ("team", "whom", "role", "inviter")
    assert [entry.details[name] for name in told] == ["ocean", "Ana Lee", "operator", "chief"]


# --- To join with an account


def test_who_is_signed_in_sees_the_offer_and_joins_by_a_button(
    signed_in: SignedIn, team: Team, newcomer: User, secret: str
) -> None:
    client = opened(secret, signed_in(newcomer))
    page = text_of(client.get(PAGE))
    for word in ("Join the team Ocean", "chief invites you as operator", "You are signed in as <b>newcomer</b>"):
        assert word in page
    assert not team.memberships.filter(user=newcomer).exists()
    answer = client.post(JOIN, follow=True)
    assert answer.redirect_chain == [(TEAM, 302)]
    assert "You are operator of Ocean now." in text_of(answer)
    row = team.memberships.get(user=newcomer)
    assert (row.role, row.source, row.ends_at) == (Role.OPERATOR, "hand", None)


def test_the_place_has_the_end_that_was_offered(signed_in: SignedIn, team: Team, chief: User, newcomer: User) -> None:
    ends_at = timezone.now() + timedelta(days=30)
    opened(factories.create_invitation(team, chief, ends_at=ends_at), client := signed_in(newcomer))
    client.post(JOIN)
    assert team.memberships.get(user=newcomer).ends_at == ends_at


def test_the_trail_says_who_has_joined_and_by_whose_invitation(
    signed_in: SignedIn, newcomer: User, secret: str
) -> None:
    opened(secret, signed_in(newcomer)).post(JOIN)
    entry = AuditEntry.objects.get(event="invitation.accepted")
    assert (entry.actor_name, entry.actor_id, entry.details["inviter"]) == ("newcomer", newcomer.pk, "chief")
    assert AuditEntry.objects.filter(event="membership.created", actor_name="newcomer").count() == 1


@pytest.mark.parametrize("address", [PAGE, JOIN, ACCOUNT])
def test_nobody_joins_by_a_get(signed_in: SignedIn, team: Team, newcomer: User, secret: str, address: str) -> None:
    opened(secret, signed_in(newcomer)).get(address)
    assert not team.memberships.filter(user=newcomer).exists()


def test_nobody_joins_by_a_form_of_another_site(newcomer: User, team: Team, secret: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(newcomer)
    session = client.session
    session["invitation"] = compute_digest(secret)
    session.save()
    assert client.post(JOIN).status_code == 403
    assert not team.memberships.filter(user=newcomer).exists()


def test_who_is_in_the_team_already_is_told_so_and_keeps_the_role(
    signed_in: SignedIn, team: Team, chief: User, secret: str
) -> None:
    client = opened(secret, signed_in(chief))
    assert "You, chief, are in the team already, as manager." in text_of(client.get(PAGE))
    client.post(JOIN)
    assert team.memberships.get().role == Role.MANAGER
    assert Invitation.objects.exists()


def test_a_place_from_a_provider_is_a_place_too(signed_in: SignedIn, team: Team, viewer: User, secret: str) -> None:
    Membership.objects.create(team=team, user=viewer, role=Role.VIEWER, source="sso")
    opened(secret, signed_in(viewer)).post(JOIN)
    assert team.memberships.get(user=viewer).role == Role.VIEWER


def test_a_place_that_is_over_is_given_anew(signed_in: SignedIn, team: Team, newcomer: User, secret: str) -> None:
    Membership.objects.create(team=team, user=newcomer, role=Role.VIEWER, ends_at=timezone.now())
    opened(secret, signed_in(newcomer)).post(JOIN)
    row = team.memberships.get(user=newcomer)
    assert (row.role, row.ends_at) == (Role.OPERATOR, None)


def test_who_has_no_role_signs_in_with_a_password_by_an_invitation_and_comes_back(
    team: Team, newcomer: User, secret: str
) -> None:
    client = Client()
    sent = {"username": "newcomer", "password": PASSWORD, "next": PAGE}
    assert "may not see anything here yet" in text_of(client.post("/login/", sent))
    opened(secret, client)
    assert "/login/?next=/invitation/" in text_of(client.get(PAGE))
    assert client.post("/login/", sent)["Location"] == PAGE
    assert client.post(JOIN)["Location"] == TEAM


def test_who_has_no_role_signs_in_through_a_provider_by_an_invitation_and_comes_back(
    team: Team, provider: Provider, secret: str
) -> None:
    provider.know("ana")
    client = Client()
    assert go(client, provider, "ana").status_code == 403
    opened(secret, client)
    assert go(client, provider, "ana", f"/login/sso/?next={PAGE}")["Location"] == PAGE
    assert client.post(JOIN)["Location"] == TEAM
    assert team.memberships.get(user__username="ana").role == Role.OPERATOR


def test_an_invitation_that_does_not_hold_lets_nobody_in(provider: Provider, secret: str) -> None:
    provider.know("ana")
    client = opened(secret)
    Invitation.objects.all().delete()
    assert go(client, provider, "ana").status_code == 403
    assert who(client) == ""


def test_who_came_in_by_an_invitation_sees_nothing_else(signed_in: SignedIn, newcomer: User, secret: str) -> None:
    client = opened(secret)
    client.post("/login/", {"username": "newcomer", "password": PASSWORD, "next": PAGE})
    assert [client.get(path).status_code for path in (TEAM, "/", "/experiments/")] == [302] * 3
    assert client.get("/v4/experiments").status_code == 403


# --- To join with a new account


def test_a_stranger_makes_an_account_joins_and_is_signed_in(team: Team, of_admin: str) -> None:
    client = opened(of_admin)
    assert "You have none yet" in text_of(client.get(PAGE))
    answer = client.post(ACCOUNT, NEW, follow=True)
    assert answer.redirect_chain == [(TEAM, 302)]
    assert "You are operator of Ocean now." in text_of(answer)
    ana = User.objects.get(username="ana")
    assert (ana.is_superuser, ana.is_staff, ana.groups.count(), ana.check_password(PASSWORD)) == (False, False, 0, True)
    assert team.memberships.get(user=ana).role == Role.OPERATOR


def test_the_trail_tells_of_the_new_account_without_its_password(of_admin: str) -> None:
    opened(of_admin).post(ACCOUNT, NEW)
    told = {row.event: row for row in AuditEntry.objects.all()}
    assert {"user.created", "membership.created", "invitation.accepted", "sign_in.succeeded"} <= set(told)
    assert told["invitation.accepted"].actor_name == "ana"
    assert PASSWORD not in str(list(AuditEntry.objects.values()))


def test_who_is_invited_by_somebody_who_makes_no_accounts_makes_none(secret: str) -> None:
    client = opened(secret)
    page = text_of(client.get(PAGE))
    assert "You have none yet" not in page
    assert "Ask an administrator to make one" in page
    client.post(ACCOUNT, NEW)
    assert not User.objects.filter(username="ana").exists()
    assert Invitation.objects.exists()


@pytest.mark.parametrize("codenames", [["add_user"], ["change_user"]])
def test_one_permission_of_two_makes_no_accounts(chief: User, secret: str, codenames: list[str]) -> None:
    chief.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    opened(secret).post(ACCOUNT, NEW)
    assert not User.objects.filter(username="ana").exists()


def test_no_account_is_made_where_no_password_is_taken(of_admin: str, settings: Any) -> None:
    settings.PASSWORD_LOGIN = False
    opened(of_admin).post(ACCOUNT, NEW)
    assert not User.objects.filter(username="ana").exists()


def test_who_is_signed_in_makes_no_second_account(signed_in: SignedIn, newcomer: User, of_admin: str) -> None:
    client = opened(of_admin, signed_in(newcomer))
    assert "You have none yet" not in text_of(client.get(PAGE))
    client.post(ACCOUNT, NEW)
    assert not User.objects.filter(username="ana").exists()


def test_a_new_account_that_needs_a_second_factor_is_sent_to_set_it_up(
    team: Team, of_admin: str, settings: Any
) -> None:
    settings.REQUIRE_SECOND_FACTOR = "everyone"
    answer = opened(of_admin).post(ACCOUNT, NEW, follow=True)
    assert answer.redirect_chain == [(TEAM, 302), ("/second-factor/", 302)]
    assert team.memberships.filter(user__username="ana").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"username": "NEWCOMER"}, "already exists"),
        ({"username": "a b"}, "Enter a valid username"),
        ({"password1": "12345678", "password2": "12345678"}, "too common"),
        ({"password1": "ana", "password2": "ana"}, "too short"),
        ({"password2": "another one"}, "didn’t match"),
    ],
)
def test_what_is_wrong_with_a_new_account_is_said(
    newcomer: User, of_admin: str, wrong: dict[str, str], said: str
) -> None:
    page = text_of(opened(of_admin).post(ACCOUNT, NEW | wrong))
    assert said in page
    assert PASSWORD not in page
    assert User.objects.filter(username="ana").count() == 0
    assert Invitation.objects.exists()


def test_who_tries_many_names_that_are_taken_is_locked_out(of_admin: str) -> None:
    client = opened(of_admin)
    for number in range(settings.AXES_FAILURE_LIMIT * ADDRESS_FACTOR):
        factories.create_user(username=f"name-{number}")
        answer = client.post(ACCOUNT, NEW | {"username": f"name-{number}"})
    assert answer.status_code == 429
    answer = client.post(ACCOUNT, NEW)
    assert "Too many failed sign-ins" in text_of(answer)
    assert not User.objects.filter(username="ana").exists()


def test_the_name_of_a_new_account_that_is_taken_meanwhile_is_refused(
    team: Team, of_admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = opened(of_admin)
    use_up = invitations._use_up

    def be_slow(*given: Any) -> Invitation:
        factories.create_user(username="ana")
        return use_up(*given)

    monkeypatch.setattr(invitations, "_use_up", be_slow)
    page = client.post(ACCOUNT, NEW)
    assert page.status_code == 200
    assert not team.memberships.exists()
    assert Invitation.objects.exists()


# --- When a link is good for nothing


def lose_role(team: Team, chief: User) -> None:
    Membership.objects.filter(user=chief).update(role=Role.OPERATOR)


def leave(team: Team, chief: User) -> None:
    Membership.objects.filter(user=chief).delete()


def leave_in_time(team: Team, chief: User) -> None:
    Membership.objects.filter(user=chief).update(ends_at=timezone.now())


def close(team: Team, chief: User) -> None:
    User.objects.filter(pk=chief.pk).update(is_active=False)


def delete(team: Team, chief: User) -> None:
    chief.delete()


def dissolve(team: Team, chief: User) -> None:
    team.delete()


def withdraw(team: Team, chief: User) -> None:
    Invitation.objects.all().delete()


def end(team: Team, chief: User) -> None:
    Invitation.objects.update(open_until=timezone.now())


OVER = [lose_role, leave, leave_in_time, close, delete, dissolve, withdraw, end]


@pytest.mark.parametrize("happen", OVER)
def test_a_link_is_good_for_nothing_when_it_is_over_or_its_inviter_may_not_invite_any_more(
    signed_in: SignedIn, team: Team, newcomer: User, secret: str, happen: Callable[[Team, User], None]
) -> None:
    client = opened(secret, signed_in(newcomer))
    assert client.get(PAGE).status_code == 200
    happen(team, User.objects.get(username="chief"))
    assert client.post(JOIN)["Location"] == PAGE
    answer = client.get(PAGE)
    assert answer.status_code == 404
    assert "Ask whoever invited you for a new one." in text_of(answer)
    assert not Membership.objects.filter(user=newcomer).exists()


def test_a_link_is_good_once(signed_in: SignedIn, team: Team, newcomer: User, viewer: User, secret: str) -> None:
    first, second = (opened(secret, signed_in(user)) for user in (newcomer, viewer))
    first.post(JOIN)
    assert second.post(JOIN)["Location"] == PAGE
    assert second.get(PAGE).status_code == 404
    assert not team.memberships.filter(user=viewer).exists()


def test_one_that_was_withdrawn_a_moment_ago_is_not_used(
    team: Team, newcomer: User, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = invitations.find_invitation(compute_digest(secret))
    assert held
    Invitation.objects.all().delete()
    monkeypatch.setattr(invitations, "find_invitation", lambda digest: held)  # read before the other has committed
    with pytest.raises(invitations.NotInvited):
        invitations.join(held, newcomer, origin=Origin(door=Door.ADMIN))
    assert not team.memberships.filter(user=newcomer).exists()


def test_links_that_are_used_over_and_unknown_are_answered_alike(
    signed_in: SignedIn, team: Team, chief: User, newcomer: User, secret: str
) -> None:
    late = factories.create_invitation(team, chief, open_until=timezone.now() - timedelta(days=1))
    opened(secret, signed_in(newcomer)).post(JOIN)
    answers = [Client().post(PAGE, {"link": link}) for link in (secret, late, "unknown", "", "x" * 5000)]
    pages = {re.sub(r'value="\w{64}"', "", text_of(answer)) for answer in answers}
    assert ({answer.status_code for answer in answers}, len(pages)) == ({404}, 1)


def test_a_link_that_does_not_hold_leaves_no_session(client: Client, db: None) -> None:
    client.post(PAGE, {"link": "unknown"})
    assert not Session.objects.exists()


def test_a_link_that_does_not_hold_takes_the_place_of_one_that_does(secret: str) -> None:
    client = opened(secret)
    client.post(PAGE, {"link": "unknown"})
    assert "Open an invitation" in text_of(client.get(PAGE))


def test_without_a_link_the_page_asks_for_one(client: Client, db: None) -> None:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    assert 'name="link"' in text_of(answer)


def test_the_page_is_kept_by_no_browser_and_no_address_has_the_secret(secret: str) -> None:
    client = opened(secret)
    page = client.get(PAGE)
    assert page["Cache-Control"] == "no-store"
    assert secret not in text_of(page)


@pytest.mark.parametrize("role", Role)
def test_a_manager_offers_every_role_as_when_adding_somebody(
    signed_in: SignedIn, team: Team, chief: User, newcomer: User, role: Role
) -> None:
    opened(factories.create_invitation(team, chief, role=role), client := signed_in(newcomer))
    client.post(JOIN)
    assert team.memberships.get(user=newcomer).role == role


def test_hostile_text_is_shown_as_text(signed_in: SignedIn, chief: User) -> None:
    client = signed_in(chief)
    invite(client, whom="<script>alert(1)</script>")
    page = text_of(client.get(TEAM))
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
