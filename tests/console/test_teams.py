"""The pages of teams and of rights at sites: who changes what."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from autosubmit_portal.access.models import Coverage, Membership, SiteAccount, SitePolicy, SiteRole, Team
from autosubmit_portal.access.roles import Role
from experiments.models import Experiment, Site
from tests.console.pages import list_of, page_of, text_of
from tests.support import factories

SignedIn = Callable[[User], Client]
ADD = "/teams/add/"


@pytest.fixture
def team(experiment: Experiment) -> Team:
    """A team at the site local."""
    return factories.create_team(covers={"site": experiment.site, "owner": "ana"}, slug="ocean", name="Ocean")


@pytest.fixture
def chief(team: Team) -> User:
    """The manager of the team."""
    user = factories.create_user(username="chief")
    Membership.objects.create(team=team, user=user, role=Role.MANAGER)
    return user


@pytest.fixture
def host(site: Site) -> User:
    """The manager of the site."""
    user = factories.create_user(username="host")
    SiteRole.objects.create(user=user, site=site, role=Role.MANAGER)
    return user


def form_of(team: Team | None = None, **inlines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the form of a team as a browser sends it, with these lines besides those that there are."""
    sent: dict[str, Any] = {"name": "Ocean", "slug": "ocean", "description": ""}
    for prefix in ("memberships", "coverages", "picked"):
        rows = list(getattr(team, prefix).all()) if team else []
        lines = [_line(prefix, row) for row in rows] + inlines.get(prefix, [])
        sent |= {f"{prefix}-TOTAL_FORMS": len(lines), f"{prefix}-INITIAL_FORMS": len(rows)}
        for number, line in enumerate(lines):
            sent |= {f"{prefix}-{number}-{name}": value for name, value in line.items()}
    return sent


def _line(prefix: str, row: Any) -> dict[str, Any]:
    fields = {
        "memberships": ("user_id", "role"),
        "coverages": ("site_id", "owner", "hpc", "expid_pattern"),
        "picked": ("experiment_id",),
    }
    values = {name.removesuffix("_id"): getattr(row, name) or "" for name in fields[prefix]}
    return {"id": row.pk, "team": row.team_id, **values}


def test_a_manager_of_all_makes_a_team(as_manager: Client, experiment: Experiment, viewer: User) -> None:
    form = form_of(
        memberships=[{"user": viewer.pk, "role": Role.OPERATOR}],
        coverages=[{"expid_pattern": "a0*"}],
        picked=[{"experiment": experiment.pk}],
    )
    assert as_manager.post(ADD, form).status_code == 302
    team = Team.objects.get(slug="ocean")
    assert (team.memberships.get().user, team.coverages.get().expid_pattern) == (viewer, "a0*")
    assert list(team.experiments.all()) == [experiment]


def test_an_empty_condition_is_refused_with_the_remedy(as_manager: Client, site: Site) -> None:
    page = text_of(as_manager.post(ADD, form_of(coverages=[{"expid_pattern": "A%"}])))
    assert "Only a-z and 0-9" in page
    assert not Team.objects.exists()


def test_the_page_says_how_many_experiments_a_team_covers(as_manager: Client, team: Team) -> None:
    page = text_of(as_manager.get(page_of("access_team", team.pk)))
    assert "1: <a href=" in page
    assert ">a000</a>" in page


def test_the_manager_of_a_team_changes_who_is_in_it(signed_in: SignedIn, chief: User, team: Team, viewer: User) -> None:
    form = form_of(team, memberships=[{"user": viewer.pk, "role": Role.MANAGER}])
    assert signed_in(chief).post(page_of("access_team", team.pk), form).status_code == 302
    assert team.memberships.get(user=viewer).role == Role.MANAGER


def test_the_manager_of_a_team_changes_nothing_else_about_it(
    signed_in: SignedIn, chief: User, team: Team, experiment: Experiment
) -> None:
    other = factories.create_experiment(experiment.site)
    form = form_of(team, coverages=[{"expid_pattern": "*"}], picked=[{"experiment": other.pk}])
    form |= {"name": "Everything", "coverages-0-owner": "bea"}
    signed_in(chief).post(page_of("access_team", team.pk), form)
    team.refresh_from_db()
    assert (team.name, team.coverages.get().owner, team.picked.count()) == ("Ocean", "ana", 0)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_member_sees_the_team_and_changes_nothing(signed_in: SignedIn, team: Team, role: Role) -> None:
    user = factories.create_user()
    Membership.objects.create(team=team, user=user, role=role)
    client = signed_in(user)
    assert client.get(page_of("access_team", team.pk)).status_code == 200
    form = form_of(team) | {"memberships-0-role": Role.MANAGER}
    assert client.post(page_of("access_team", team.pk), form).status_code == 403
    assert team.memberships.get().role == role


def test_nobody_sees_teams_of_others(signed_in: SignedIn, chief: User, team: Team) -> None:
    other = factories.create_team(slug="secret")
    client = signed_in(chief)
    assert client.get(page_of("access_team", other.pk)).status_code == 404
    assert "secret" not in text_of(client.get(list_of("access_team")))


def test_the_manager_of_a_site_makes_teams_of_it(signed_in: SignedIn, host: User, site: Site) -> None:
    form = form_of(coverages=[{"site": site.pk, "owner": "ana"}])
    assert signed_in(host).post(ADD, form).status_code == 302
    assert Coverage.objects.get().site == site


@pytest.mark.parametrize("line", [{"expid_pattern": "*"}, {"site": "elsewhere"}, None])
def test_the_manager_of_a_site_makes_no_team_of_others(
    signed_in: SignedIn, host: User, line: dict[str, Any] | None
) -> None:
    elsewhere = factories.create_site()
    lines = [] if line is None else [line | ({"site": elsewhere.pk} if "site" in line else {})]
    assert signed_in(host).post(ADD, form_of(coverages=lines)).status_code == 200
    assert not Team.objects.exists()


def test_the_manager_of_a_site_adds_only_its_experiments(signed_in: SignedIn, host: User, site: Site) -> None:
    elsewhere = factories.create_experiment()
    form = form_of(coverages=[{"site": site.pk}], picked=[{"experiment": elsewhere.pk}])
    assert signed_in(host).post(ADD, form).status_code == 200
    assert not Team.objects.exists()


def test_the_manager_of_a_site_may_not_change_a_team_that_reaches_further(
    signed_in: SignedIn, host: User, team: Team
) -> None:
    assert signed_in(host).get(page_of("access_team", team.pk)).status_code == 200
    Coverage.objects.create(team=team, owner="bea")
    assert signed_in(host).get(page_of("access_team", team.pk)).status_code == 404


@pytest.mark.parametrize(
    "form", [(SiteRole, {"role": 2}), (SiteAccount, {"unix_name": "ana"}), (SitePolicy, {"owner_role": 2})]
)
def test_the_manager_of_a_site_gives_rights_there_and_nowhere_else(
    signed_in: SignedIn, host: User, site: Site, viewer: User, form: Any
) -> None:
    model, values = form
    client, add = signed_in(host), reverse(f"admin:access_{model._meta.model_name}_add")
    values = values if model is SitePolicy else {"user": viewer.pk, **values}
    before = model.objects.count()
    assert client.post(add, {"site": factories.create_site().pk, **values}).status_code == 200
    assert client.post(add, {"site": site.pk, **values}).status_code == 302
    assert model.objects.count() == before + 1


def test_rights_at_other_sites_are_not_there(signed_in: SignedIn, host: User, viewer: User) -> None:
    row = SiteAccount.objects.create(user=viewer, site=factories.create_site(), unix_name="bea")
    client = signed_in(host)
    assert client.get(page_of("access_siteaccount", row.pk)).status_code == 404
    assert "bea" not in text_of(client.get(list_of("access_siteaccount")))


def test_the_list_of_teams_leads_to_the_rights_at_sites(as_manager: Client, as_viewer: Client, team: Team) -> None:
    Membership.objects.create(team=team, user=User.objects.get(username="viewer"), role=Role.VIEWER)
    address = list_of("access_siterole")
    assert address in text_of(as_manager.get(list_of("access_team")))
    assert address not in text_of(as_viewer.get(list_of("access_team")))
