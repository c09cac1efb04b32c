"""The pages of teams and of rights at sites: who changes what."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.models import Coverage, Delegation, Membership, SiteAccount, SitePolicy, SiteRole, Team
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
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
def site_manager(site: Site) -> User:
    """The manager of the site."""
    user = factories.create_user(username="host")
    SiteRole.objects.create(user=user, site=site, role=Role.MANAGER)
    return user


def address(team: Team, page: str = "change", *args: Any) -> str:
    return reverse(f"admin:access_team_{page}", args=[team, *args])


def show(client: Client, team: Team) -> str:
    answer = client.get(address(team))
    assert answer.status_code == 200
    return text_of(answer)


# --- A new team


def test_a_manager_of_all_makes_a_team_and_comes_to_its_page(as_manager: Client, experiment: Experiment) -> None:
    answer = as_manager.post(ADD, {"name": "Ocean Group", "expid_pattern": "a0*"})
    assert answer["Location"] == "/teams/ocean-group/"
    team = Team.objects.get()
    assert (team.slug, team.coverages.get().expid_pattern) == ("ocean-group", "a0*")


def test_a_manager_of_all_makes_a_team_without_coverage(as_manager: Client, site: Site) -> None:
    as_manager.post(ADD, {"name": "Ocean", "slug": "sea"})
    assert Team.objects.get(slug="sea").coverages.count() == 0


def test_a_wrong_condition_is_refused_with_the_remedy(as_manager: Client, site: Site) -> None:
    page = text_of(as_manager.post(ADD, {"name": "Ocean", "expid_pattern": "A%"}))
    assert "Only a-z and 0-9" in page
    assert not Team.objects.exists()


def test_the_manager_of_a_site_makes_teams_of_it(signed_in: SignedIn, site_manager: User, site: Site) -> None:
    assert signed_in(site_manager).post(ADD, {"name": "Ocean", "site": site.pk, "owner": "ana"}).status_code == 302
    assert Coverage.objects.get().site == site


@pytest.mark.parametrize("line", [{"expid_pattern": "*"}, {"site": "elsewhere"}, {}])
def test_the_manager_of_a_site_makes_no_team_of_others(
    signed_in: SignedIn, site_manager: User, line: dict[str, Any]
) -> None:
    elsewhere = factories.create_site()
    sent = line | ({"site": elsewhere.pk} if "site" in line else {})
    assert signed_in(site_manager).post(ADD, {"name": "Ocean", **sent}).status_code == 200
    assert not Team.objects.exists()


# --- Its page and its addresses


def test_a_team_has_an_address_that_people_read_and_that_of_before_leads_there(
    signed_in: SignedIn, chief: User, team: Team, viewer: User
) -> None:
    client = signed_in(chief)
    assert address(team) == "/teams/ocean/"
    for old in ("access/team/{}/change/", "teams/{}/change/", "teams/~{}/"):
        assert client.get("/" + old.format(team.pk))["Location"] == "/teams/ocean/"
    assert signed_in(viewer).get(f"/teams/{team.pk}/change/").status_code == 404


@pytest.mark.parametrize("slug", ["add", "preview", "3"])
def test_a_team_of_any_short_name_has_a_page(as_manager: Client, site: Site, slug: str) -> None:
    assert f'<span class="quiet code">{slug}</span>' in show(as_manager, factories.create_team(slug=slug))


def test_the_page_says_which_experiments_the_team_has_and_leads_to_their_rights(
    as_manager: Client, team: Team, experiment: Experiment
) -> None:
    Coverage.objects.create(team=team, expid_pattern="zz*")
    page = show(as_manager, team)
    assert reverse("admin:experiments_experiment_access", args=[experiment]) in page
    assert 'expid zz*</th><td class="num">0</td>' in page
    assert 'site local, owner ana</th><td class="num">1</td>' in page


def test_the_page_says_who_is_in_the_team_since_when_and_by_whom(as_manager: Client, team: Team, viewer: User) -> None:
    ends_at = timezone.now() + timedelta(days=3)
    Membership.objects.create(team=team, user=viewer, role=Role.VIEWER, source="sso", ends_at=ends_at)
    members = show(as_manager, team).partition('id="members"')[2].partition("</table>")[0]
    assert "<td>Viewer</td>" in members
    assert "just now" in members
    assert f"{ends_at:%Y-%m-%d %H:%M} UTC" in members
    assert "from sso" in members


def test_the_list_counts_people_experiments_and_delegations(
    as_manager: Client, team: Team, chief: User, viewer: User
) -> None:
    Membership.objects.create(team=team, user=viewer, role=Role.VIEWER, ends_at=timezone.now() - timedelta(minutes=1))
    factories.create_delegation(chief, viewer, team=team)
    (row,) = as_manager.get(list_of("access_team")).context["cl"].result_list
    assert (row.number_of_people, row.number_of_experiments, row.number_of_delegations) == (1, 1, 1)
    assert [one.user for one in row.its_managers] == [chief]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_member_sees_the_team_and_changes_nothing(signed_in: SignedIn, team: Team, role: Role) -> None:
    user = factories.create_user()
    row = Membership.objects.create(team=team, user=user, role=role)
    client = signed_in(user)
    assert "Add a person" not in show(client, team)
    sent = {"person": user.username, "role": Role.MANAGER.value}
    assert client.post(address(team, "people"), sent).status_code == 403
    assert client.post(address(team, "people", row.pk)).status_code == 403
    assert client.get(address(team, "offers"), {"q": "u"}).status_code == 403
    assert team.memberships.get().role == role


def test_nobody_sees_teams_of_others(signed_in: SignedIn, chief: User, team: Team) -> None:
    other = factories.create_team(slug="secret")
    client = signed_in(chief)
    assert client.get(address(other)).status_code == 404
    assert client.post(address(other, "people"), {"person": "chief", "role": 3}).status_code == 404
    assert "secret" not in text_of(client.get(list_of("access_team")))


# --- Who is in it


def test_the_manager_of_a_team_adds_somebody_until_a_time(
    signed_in: SignedIn, chief: User, team: Team, viewer: User
) -> None:
    ends_at = (timezone.now() + timedelta(days=7)).replace(second=0, microsecond=0)
    sent = {"person": "viewer", "role": Role.OPERATOR.value, "ends_at": f"{ends_at:%Y-%m-%dT%H:%M}"}
    assert signed_in(chief).post(address(team, "people"), sent)["Location"] == "/teams/ocean/"
    row = team.memberships.get(user=viewer)
    assert (row.role, row.ends_at, row.source) == (Role.OPERATOR, ends_at, "hand")
    assert AuditEntry.objects.filter(event="membership.created", actor_name="chief").count() == 1


def test_somebody_who_is_in_the_team_already_gets_the_other_role(
    signed_in: SignedIn, chief: User, team: Team, viewer: User
) -> None:
    Membership.objects.create(team=team, user=viewer, role=Role.VIEWER, ends_at=timezone.now() + timedelta(days=1))
    signed_in(chief).post(address(team, "people"), {"person": "viewer", "role": Role.MANAGER.value})
    row = team.memberships.get(user=viewer)
    assert (row.role, row.ends_at) == (Role.MANAGER, None)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"person": "nobody"}, "There is no such account"),
        ({"person": "closed"}, "or it is closed"),
        ({"ends_at": "2020-01-01T00:00"}, "This has passed"),
        ({"role": "9"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_with_a_new_person_is_said_on_the_page(
    as_manager: Client, team: Team, viewer: User, wrong: dict[str, str], said: str
) -> None:
    factories.create_user(username="closed", is_active=False)
    page = text_of(as_manager.post(address(team, "people"), {"person": "viewer", "role": "2", **wrong}))
    assert said in page
    assert not team.memberships.exists()


def test_the_manager_of_a_team_takes_somebody_out(signed_in: SignedIn, chief: User, team: Team, viewer: User) -> None:
    row = Membership.objects.create(team=team, user=viewer, role=Role.VIEWER)
    signed_in(chief).post(address(team, "people", row.pk))
    assert not team.memberships.filter(user=viewer).exists()
    assert AuditEntry.objects.filter(event="membership.deleted", actor_name="chief").count() == 1


def test_a_row_of_another_team_is_not_there(signed_in: SignedIn, chief: User, team: Team, viewer: User) -> None:
    other = factories.create_team((viewer, Role.VIEWER))
    assert signed_in(chief).post(address(team, "people", other.memberships.get().pk)).status_code == 404
    assert other.memberships.exists()


def test_the_field_for_a_person_offers_open_accounts_by_both_names(
    signed_in: SignedIn, chief: User, team: Team
) -> None:
    factories.create_user(username="ana", last_name="<Lee>")
    factories.create_user(username="lee", is_active=False)
    for text in ("an", "lee"):
        page = text_of(signed_in(chief).get(address(team, "offers"), {"q": text}))
        assert re.findall('data-value="([^"]+)"', page) == ["ana"]
        assert "&lt;Lee&gt;" in page


def test_a_membership_that_has_ended_gives_no_right(
    signed_in: SignedIn, team: Team, viewer: User, experiment: Experiment
) -> None:
    member = factories.create_user()
    row = Membership.objects.create(team=team, user=member, role=Role.MANAGER)
    assert policy.explain_view(User.objects.get(pk=member.pk), experiment)
    Membership.objects.filter(pk=row.pk).update(ends_at=timezone.now() - timedelta(seconds=1))
    assert not policy.explain_view(User.objects.get(pk=member.pk), experiment)
    assert signed_in(member).get(address(team)).status_code != 200


# --- What it covers


def test_the_manager_of_a_team_changes_nothing_else_about_it(
    signed_in: SignedIn, chief: User, team: Team, experiment: Experiment
) -> None:
    client, line = signed_in(chief), team.coverages.get()
    sent: dict[str, dict[str, Any]] = {
        address(team, "coverage"): {"expid_pattern": "*"},
        address(team, "coverage", line.pk): {},
        address(team, "experiments"): {"experiment": "a000"},
        address(team, "edit"): {"name": "Everything"},
        address(team, "delete"): {"post": "yes"},
        "/teams/preview/": {"expid_pattern": "*"},
    }
    assert {client.post(where, form).status_code for where, form in sent.items()} == {403}
    team.refresh_from_db()
    assert (team.name, team.coverages.get(), team.picked.count()) == ("Ocean", line, 0)
    assert "Suggested" not in show(client, team)


def test_a_line_is_added_changed_and_taken_away(
    signed_in: SignedIn, site_manager: User, team: Team, site: Site
) -> None:
    client = signed_in(site_manager)
    client.post(address(team, "coverage"), {"site": site.pk, "hpc": "MN5"})
    line = team.coverages.get(hpc="MN5")
    assert f'value="{line.pk}"' in text_of(client.get(address(team), {"line": line.pk}))
    client.post(address(team, "coverage"), {"site": site.pk, "hpc": "LUMI", "line": line.pk})
    line.refresh_from_db()
    assert line.hpc == "LUMI"
    client.post(address(team, "coverage", line.pk))
    assert not team.coverages.filter(hpc="LUMI").exists()
    events = AuditEntry.objects.filter(event__startswith="coverage.", actor_name="host").order_by("pk")
    assert [entry.event for entry in events] == ["coverage.created", "coverage.changed", "coverage.deleted"]


@pytest.mark.parametrize("line", [{"expid_pattern": "*"}, {"site": "elsewhere"}])
def test_the_manager_of_a_site_covers_nothing_of_others(
    signed_in: SignedIn, site_manager: User, team: Team, line: dict[str, Any]
) -> None:
    elsewhere = factories.create_site()
    signed_in(site_manager).post(address(team, "coverage"), line | ({"site": elsewhere.pk} if "site" in line else {}))
    assert team.coverages.count() == 1


def test_the_manager_of_a_site_does_not_take_the_last_line_away(
    signed_in: SignedIn, site_manager: User, team: Team
) -> None:
    answer = signed_in(site_manager).post(address(team, "coverage", team.coverages.get().pk), follow=True)
    assert "would lie at no site of yours" in text_of(answer)
    assert team.coverages.count() == 1


def test_the_manager_of_a_site_adds_only_its_experiments(
    signed_in: SignedIn, site_manager: User, team: Team, experiment: Experiment
) -> None:
    elsewhere = factories.create_experiment(expid="b000")
    uncovered = factories.create_experiment(experiment.site, expid="c000")
    client = signed_in(site_manager)
    for one in (elsewhere, uncovered):
        client.post(address(team, "experiments"), {"experiment": one.expid})
    assert [row.experiment for row in team.picked.all()] == [uncovered]
    client.post(address(team, "experiments", team.picked.get().pk))
    assert not team.picked.exists()


def test_the_manager_of_a_site_may_not_change_a_team_that_reaches_further(
    signed_in: SignedIn, site_manager: User, team: Team
) -> None:
    show(signed_in(site_manager), team)
    Coverage.objects.create(team=team, owner="bea")
    assert signed_in(site_manager).get(address(team)).status_code == 404


def test_the_name_of_a_team_is_changed_and_a_team_is_dissolved(as_manager: Client, team: Team) -> None:
    answer = as_manager.post(address(team, "edit"), {"name": "Sea", "slug": "sea", "description": "All of it"})
    assert answer["Location"] == "/teams/sea/"
    assert as_manager.post("/teams/sea/delete/", {"post": "yes"}).status_code == 302
    assert not Team.objects.exists()


# --- How many that would be, and what is suggested


def preview(client: Client, **sent: Any) -> str:
    return text_of(client.post("/teams/preview/", sent))


def test_the_preview_counts_what_a_line_would_cover(as_manager: Client, team: Team, experiment: Experiment) -> None:
    factories.create_experiment(experiment.site, expid="b000", hpc="MN5")
    factories.create_experiment(experiment.site, expid="b001", hpc="MN5", gone_at=timezone.now())
    page = preview(as_manager, team=team.pk, hpc="MN5")
    assert '<b class="num">2</b> experiments now, <b class="num">1</b> of them not of the team yet' in page
    assert "b000" in page


def test_the_preview_says_what_is_wrong(as_manager: Client, site: Site) -> None:
    assert "Only a-z and 0-9" in preview(as_manager, expid_pattern="A%")
    assert "knows no Unix user" in preview(as_manager, owner="nobody-at-all")
    assert "Give conditions" in preview(as_manager)


def test_the_preview_says_that_root_owns_nothing_here(as_manager: Client, site: Site) -> None:
    factories.create_experiment(site, owner="root", owner_uid=0)
    assert "The superuser owns nothing" in preview(as_manager, owner="root")


def test_the_preview_counts_nothing_of_other_sites(signed_in: SignedIn, site_manager: User, site: Site) -> None:
    elsewhere = factories.create_experiment(expid="b000").site
    assert "experiment" not in preview(signed_in(site_manager), site=elsewhere.pk).replace("How many experiments", "")


def test_what_no_team_covers_is_suggested_and_fills_the_form(
    as_manager: Client, team: Team, experiment: Experiment
) -> None:
    for number in range(3):
        factories.create_experiment(experiment.site, expid=f"b00{number}", owner="daemon", hpc="")
    page = show(as_manager, team).partition('id="suggested"')[2]
    assert '<b class="num">3</b> experiments of no team, such as b000' in page
    query = f"?site={experiment.site.pk}&owner=daemon"
    assert query.replace("&", "&amp;") in page
    assert 'name="owner" value="daemon"' in text_of(as_manager.get(address(team) + query))


def test_what_belongs_to_people_of_the_team_is_suggested(
    as_manager: Client, team: Team, chief: User, experiment: Experiment
) -> None:
    factories.create_experiment(experiment.site, expid="b000", owner="daemon")
    SiteAccount.objects.create(user=chief, site=experiment.site, unix_name="daemon")
    assert "experiment of chief, who is in the team, such as b000" in show(as_manager, team)


def test_the_manager_of_a_site_is_suggested_nothing_of_other_sites(
    signed_in: SignedIn, site_manager: User, team: Team
) -> None:
    factories.create_experiment(expid="b000", owner="daemon")
    assert "b000" not in show(signed_in(site_manager), team)


# --- Rights that are lent on it


def test_rights_on_all_experiments_of_a_team_are_given_on_its_page(
    signed_in: SignedIn, chief: User, team: Team, viewer: User
) -> None:
    client = signed_in(chief)
    assert f'<input type="hidden" name="team" value="{team.pk}">' in show(client, team)
    ends_at = timezone.now() + timedelta(days=2)
    sent = {"grantee": "viewer", "role": 2, "reason": "x", "team": team.pk, "ends_at": f"{ends_at:%Y-%m-%dT%H:%M}"}
    client.post(reverse("admin:access_delegation_add"), sent)
    assert Delegation.objects.get().team == team
    assert "viewer</td><td>" in show(client, team).partition('id="lent"')[2]


# --- Rights at sites


@pytest.mark.parametrize(
    "form", [(SiteRole, {"role": 2}), (SiteAccount, {"unix_name": "ana"}), (SitePolicy, {"owner_role": 2})]
)
def test_the_manager_of_a_site_gives_rights_there_and_nowhere_else(
    signed_in: SignedIn, site_manager: User, site: Site, viewer: User, form: Any
) -> None:
    model, values = form
    client, add = signed_in(site_manager), reverse(f"admin:access_{model._meta.model_name}_add")
    values = values if model is SitePolicy else {"user": viewer.pk, **values}
    before = model.objects.count()
    assert client.post(add, {"site": factories.create_site().pk, **values}).status_code == 200
    assert client.post(add, {"site": site.pk, **values}).status_code == 302
    assert model.objects.count() == before + 1


def test_rights_at_other_sites_are_not_there(signed_in: SignedIn, site_manager: User, viewer: User) -> None:
    row = SiteAccount.objects.create(user=viewer, site=factories.create_site(), unix_name="bea")
    client = signed_in(site_manager)
    assert client.get(page_of("access_siteaccount", row.pk)).status_code == 404
    assert "bea" not in text_of(client.get(list_of("access_siteaccount")))


def test_the_list_of_teams_leads_to_the_rights_at_sites(as_manager: Client, as_viewer: Client, team: Team) -> None:
    Membership.objects.create(team=team, user=User.objects.get(username="viewer"), role=Role.VIEWER)
    rights = list_of("access_siterole")
    assert rights in text_of(as_manager.get(list_of("access_team")))
    assert rights not in text_of(as_viewer.get(list_of("access_team")))
