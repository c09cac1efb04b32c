"""What a team, its coverage and the rights at a site may say."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from autosubmit_portal.access.models import Coverage, Membership, SiteAccount, SiteRole, Team, compute_digest
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.permissions import synchronise_permissions
from tests.support import factories

pytestmark = pytest.mark.django_db


def problems(row: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as refusal:
        row.full_clean()
    return refusal.value.message_dict


@pytest.mark.parametrize("pattern", ["A0*", "a0%", "a.*", "[a]", "a b", "a0*\n"])
def test_a_pattern_has_letters_digits_and_two_wildcards_only(pattern: str) -> None:
    coverage = Coverage(team=factories.create_team(), expid_pattern=pattern)
    assert "Only a-z and 0-9" in problems(coverage)["expid_pattern"][0]


def test_a_coverage_says_something() -> None:
    coverage = Coverage(team=factories.create_team())
    assert "at least one condition" in str(problems(coverage))
    with pytest.raises(IntegrityError):
        coverage.save()


@pytest.mark.parametrize(
    "name",
    ["", "an a", "-ana", "ana;id", "a" * 33, "ana\n", "#0", "Ana", "root", "daemon", "nobody", "no-such-account"],
)
def test_a_unix_user_has_a_name_that_unix_takes(viewer: User, name: str) -> None:
    account = SiteAccount(user=viewer, site=factories.create_site(), unix_name=name)
    assert "unix_name" in problems(account)


def test_a_token_that_was_made_before_keeps_its_digest() -> None:
    digest = compute_digest("5f0c0ffee")
    assert (len(digest), digest[:16]) == (128, "a8f8f13701ecb326")


def test_a_provider_keeps_rows_of_its_own(viewer: User) -> None:
    team = factories.create_team((viewer, Role.VIEWER))
    Membership.objects.create(team=team, user=viewer, role=Role.MANAGER, source="keycloak")
    with pytest.raises(IntegrityError):
        Membership.objects.create(team=team, user=viewer, role=Role.OPERATOR)


def test_there_are_no_other_roles(viewer: User) -> None:
    with pytest.raises(IntegrityError):
        Membership.objects.create(team=factories.create_team(), user=viewer, role=4)


def test_changes_of_rights_are_in_the_trail(viewer: User) -> None:
    team = factories.create_team((viewer, Role.VIEWER), covers={"owner": "ana"}, slug="ocean")
    SiteRole.objects.create(user=viewer, site=factories.create_site(slug="local"), role=Role.MANAGER)
    team.memberships.update_or_create(user=viewer, defaults={"role": Role.OPERATOR})
    team.delete()
    told = set(AuditEntry.objects.values_list("event", "subject"))
    assert told >= {
        ("team.created", "team ocean"),
        ("membership.created", "membership viewer as viewer of ocean"),
        ("membership.changed", "membership viewer as operator of ocean"),
        ("membership.deleted", "membership viewer as operator of ocean"),
        ("coverage.created", "coverage ocean: owner ana"),
        ("site_role.created", "site_role viewer as manager at local"),
        ("team.deleted", "team ocean"),
    }


def test_the_managers_of_a_portal_that_is_upgraded_manage_teams() -> None:
    Permission.objects.filter(codename="manage_teams").delete()
    synchronise_permissions()
    holders = Group.objects.filter(permissions__codename="manage_teams")
    assert list(holders.values_list("name", flat=True)) == ["Manager"]


def test_a_team_has_one_short_name() -> None:
    factories.create_team(slug="ocean")
    assert "slug" in problems(Team(slug="ocean", name="Ocean"))
