"""What the identity provider gives an account, beside what managers give it by hand."""

from datetime import UTC, datetime
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import RequestFactory
from pytest_django import DjangoCaptureOnCommitCallbacks

from autosubmit_portal.access.models import Coverage, Membership, SiteRole, Team
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in.bearer import list_issuers, read_person
from autosubmit_portal.access.sign_in.providers import Person
from autosubmit_portal.access.sign_in.provision import find_account, provide_at_sign_in
from autosubmit_portal.audit.models import AuditEntry
from tests.support import factories
from tests.support.identity_provider import Provider

pytestmark = pytest.mark.django_db
NOW = 1_800_000_000


@pytest.fixture
def ana(provider: Provider) -> User:
    """Somebody whom the provider knows, without anything."""
    user = factories.create_user(username="ana")
    SocialAccount.objects.create(user=user, provider=provider.settings.source, uid="7")
    return user


@pytest.fixture
def edito(db: None) -> Team:
    """The team of the rules."""
    return factories.create_team(slug="edito")


def tell(at: int, **claims: Any) -> Person:
    (issuer,) = list_issuers()
    return read_person(issuer, {"sub": "7", "iat": at, **claims})


def get_source() -> str:
    (issuer,) = list_issuers()
    return issuer.source


def sign_in(user: User, *groups: str, at: int = NOW) -> None:
    provide_at_sign_in(SocialAccount.objects.get(user=user), tell(at, groups=list(groups)))


def call(*groups: str, at: int = NOW, **claims: Any) -> None:
    """Call the API with an access token that says this."""
    find_account(RequestFactory().get("/v4"), tell(at, **{"groups": list(groups), **claims}))


def held(user: User) -> list[tuple[str, Role, str]]:
    return [(row.team.slug, Role(row.role), row.source) for row in Membership.objects.filter(user=user)]


def test_a_membership_comes_changes_and_goes_with_the_claims(ana: User, edito: Team) -> None:
    found = []
    for groups in (["/edito/viewers"], ["/edito/viewers", "/edito/operators"], ["/unknown"]):
        sign_in(ana, *groups)
        found.append(held(ana))
    source = get_source()
    assert found == [[("edito", Role.VIEWER, source)], [("edito", Role.OPERATOR, source)], []]
    events = AuditEntry.objects.filter(event__startswith="membership.").order_by("pk")
    assert [entry.event for entry in events] == ["membership.created", "membership.changed", "membership.deleted"]


@pytest.mark.parametrize("now", [[], ["/edito/viewers"]])
def test_a_sign_in_with_less_calls_off_what_waits_by_the_right_that_is_gone(
    now: list[str], ana: User, edito: Team, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    Coverage.objects.create(team=edito, expid_pattern="a*")
    sign_in(ana, "/edito/operators")
    action = factories.create_action(factories.create_experiment(), actor=ana, actor_name="ana")
    with django_capture_on_commit_callbacks(execute=True):
        sign_in(ana, *now)
    action.refresh_from_db()
    assert (action.state, "role operator" in action.message) == ("cancelled", True)


def test_a_membership_given_by_hand_stays(ana: User, edito: Team) -> None:
    Membership.objects.create(team=edito, user=ana, role=Role.MANAGER)
    sign_in(ana, "/edito/viewers")
    assert len(held(ana)) == 2
    sign_in(ana)
    assert held(ana) == [("edito", Role.MANAGER, "hand")]


def test_what_another_provider_gave_stays(ana: User, edito: Team) -> None:
    Membership.objects.create(team=edito, user=ana, role=Role.VIEWER, source="another")
    sign_in(ana)
    assert held(ana) == [("edito", Role.VIEWER, "another")]


def test_nobody_else_loses_or_gains_anything(ana: User, edito: Team) -> None:
    other = factories.create_user()
    Membership.objects.create(team=edito, user=other, role=Role.VIEWER, source=get_source())
    sign_in(ana)
    assert len(held(other)) == 1


def test_a_role_at_a_site_comes_and_goes_beside_one_by_hand(ana: User) -> None:
    lumi = factories.create_site(slug="lumi")
    SiteRole.objects.create(user=ana, site=lumi, role=Role.OPERATOR)
    sign_in(ana, "/lumi")
    assert set(ana.site_roles.values_list("role", "source")) == {(Role.VIEWER, get_source()), (Role.OPERATOR, "hand")}
    sign_in(ana)
    assert list(ana.site_roles.values_list("source", flat=True)) == ["hand"]


def test_a_team_that_is_not_there_is_joined_once_it_is(ana: User, caplog: pytest.LogCaptureFixture) -> None:
    call("/edito/viewers")
    assert "edito" in caplog.text
    factories.create_team(slug="edito")
    call("/edito/viewers")
    assert len(held(ana)) == 1


def test_a_sign_in_restores_what_somebody_took_away(ana: User, edito: Team) -> None:
    sign_in(ana, "/edito/viewers")
    Membership.objects.all().delete()
    sign_in(ana, "/edito/viewers")
    assert len(held(ana)) == 1


def test_an_older_token_does_not_bring_back_what_is_gone(ana: User, edito: Team) -> None:
    call("/edito/operators", at=NOW)
    sign_in(ana, "/edito/viewers", at=NOW + 60)
    call("/edito/operators", at=NOW + 30)
    assert held(ana) == [("edito", Role.VIEWER, get_source())]
    assert SocialAccount.objects.get().identity.issued_at == datetime.fromtimestamp(NOW + 60, UTC)


def test_a_token_without_the_claim_changes_nothing(ana: User, edito: Team) -> None:
    call("/edito/operators")
    call(groups=None)
    assert len(held(ana)) == 1


def test_a_group_that_somebody_had_by_hand_is_not_taken_with_the_claim(ana: User) -> None:
    ana.groups.set(factories.create_user(Role.VIEWER).groups.all())
    sign_in(ana, "/viewers")
    sign_in(ana)
    assert [group.name for group in ana.groups.all()] == ["Viewer"]
