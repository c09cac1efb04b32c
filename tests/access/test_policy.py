"""Where a role on an experiment comes from, and what it allows. The whole table is in test_matrix.py."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autosubmit_portal.access.models import Scope, SiteAccount, SitePolicy, SiteRole
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.roles import Role
from experiments.catalogue.kinds import CREATE, GENERATE, RUN, STOP
from experiments.models import Action, Experiment, Site
from jobs.models import Job
from tests.support import factories

pytestmark = pytest.mark.django_db
Actor = Callable[..., User]


@pytest.fixture
def experiment() -> Experiment:
    """An experiment of ana on MN5 at the site local."""
    site = factories.create_site(slug="local")
    return factories.create_experiment(site, expid="a000", owner="ana", hpc="MN5")


def anew(user: User, scope: Scope | None = None) -> Any:
    """Return the account as the next request has it."""
    read: Any = User.objects.get(pk=user.pk)
    read.scope = scope
    return read


def runs(user: User, experiment: Experiment, scope: Scope | None = None) -> bool:
    return policy.may_request(anew(user, scope), RUN, site=experiment.site, experiment=experiment)


def sees(user: User, scope: Scope | None = None) -> set[str]:
    return set(Experiment.objects.visible_to(anew(user, scope)).values_list("expid", flat=True))


@pytest.mark.parametrize(
    ("conditions", "is_covered"),
    [
        ({"owner": "ana"}, True),
        ({"owner": "an"}, False),
        ({"hpc": "MN5"}, True),
        ({"hpc": "mn5"}, False),
        ({"expid_pattern": "a0*"}, True),
        ({"expid_pattern": "a00?"}, True),
        ({"expid_pattern": "a00"}, False),
        ({"expid_pattern": "*0"}, True),
        ({"expid_pattern": "b*"}, False),
        ({"owner": "ana", "hpc": "LUMI"}, False),
        ({"owner": "ana", "hpc": "MN5", "expid_pattern": "a*"}, True),
    ],
)
def test_a_team_covers_what_meets_all_its_conditions(
    actor: Actor, experiment: Experiment, conditions: dict[str, str], is_covered: bool
) -> None:
    user = actor()
    factories.create_team((user, Role.OPERATOR), covers=conditions)
    assert runs(user, experiment) is is_covered
    assert sees(user) == ({"a000"} if is_covered else set())


def test_a_team_covers_a_site_and_nothing_elsewhere(actor: Actor, experiment: Experiment) -> None:
    user, elsewhere = actor(), factories.create_experiment(expid="a001")
    factories.create_team((user, Role.OPERATOR), covers={"site": experiment.site})
    assert (runs(user, experiment), runs(user, elsewhere), sees(user)) == (True, False, {"a000"})


def test_a_team_has_what_was_added_by_hand(actor: Actor, experiment: Experiment) -> None:
    user = actor()
    team = factories.create_team((user, Role.OPERATOR))
    assert not runs(user, experiment)
    team.experiments.add(experiment)
    assert runs(user, experiment)
    assert sees(user) == {"a000"}


def test_of_several_teams_the_highest_role_counts(actor: Actor, experiment: Experiment) -> None:
    user = actor()
    for role in (Role.VIEWER, Role.MANAGER, Role.OPERATOR):
        factories.create_team((user, role), covers={"owner": "ana"})
    assert policy.may_request(user, GENERATE, experiment=experiment)


def test_a_role_at_a_site_holds_on_all_its_experiments(actor: Actor, experiment: Experiment) -> None:
    user, elsewhere = actor(), factories.create_experiment()
    SiteRole.objects.create(user=user, site=experiment.site, role=Role.OPERATOR)
    assert (runs(user, experiment), runs(user, elsewhere)) == (True, False)


@pytest.mark.parametrize(("granted", "expected"), [(None, False), (Role.VIEWER, False), (Role.OPERATOR, True)])
def test_an_owner_has_the_role_that_the_site_grants(
    actor: Actor, experiment: Experiment, granted: Role | None, expected: bool
) -> None:
    user = actor()
    SiteAccount.objects.create(user=user, site=experiment.site, unix_name="ana")
    SitePolicy.objects.create(site=experiment.site, owner_role=granted)
    assert runs(user, experiment) is expected
    assert sees(user) == ({"a000"} if granted else set())


def test_an_owner_elsewhere_is_a_stranger_here(actor: Actor, experiment: Experiment) -> None:
    user, elsewhere = actor(), factories.create_site()
    SiteAccount.objects.create(user=user, site=elsewhere, unix_name="ana")
    for site in (experiment.site, elsewhere):
        SitePolicy.objects.create(site=site, owner_role=Role.MANAGER)
    assert not runs(user, experiment)


def test_a_single_permission_of_an_account_holds_everywhere(actor: Actor, experiment: Experiment) -> None:
    user = actor()
    user.user_permissions.add(Permission.objects.get(codename=RUN.permission))
    assert (runs(user, experiment), policy.may_request(anew(user), STOP)) == (True, False)


def test_nobody_and_closed_accounts_may_nothing(actor: Actor, experiment: Experiment) -> None:
    closed = [actor(is_active=False), actor(is_active=False, is_superuser=True)]
    factories.create_team(*((user, Role.MANAGER) for user in closed), covers={"owner": "ana"})
    nobodies: list[policy.Actor] = [AnonymousUser(), *closed]
    for nobody in nobodies:
        assert not policy.may_request(nobody, RUN, experiment=experiment)
        assert not policy.may_enter(nobody)
        assert not Experiment.objects.visible_to(nobody).exists()


def test_a_closed_account_is_told_that_it_is_closed(actor: Actor, experiment: Experiment) -> None:
    for closed in (actor(Role.MANAGER, is_active=False), actor(is_active=False, is_superuser=True)):
        for decision in (
            policy.decide(closed, RUN, experiment=experiment),
            policy.decide_again(closed, RUN, experiment=experiment),
        ):
            assert (decision.allowed, "the account is closed" in decision.reason) == (False, True)


def test_a_refusal_names_the_role_and_the_permission(actor: Actor, experiment: Experiment) -> None:
    user = actor(username="ben")
    with pytest.raises(policy.Forbidden) as refusal:
        policy.require_request(user, RUN, site=experiment.site, experiment=experiment)
    assert "the role operator in a team that covers a000 or at the site local" in str(refusal.value)
    assert refusal.value.permission == "experiments.request_run"


def test_a_decision_says_where_the_role_comes_from(actor: Actor, experiment: Experiment) -> None:
    user = actor()
    factories.create_team((user, Role.OPERATOR), covers={"owner": "ana"}, slug="ocean")
    decision = policy.decide(user, RUN, experiment=experiment)
    assert (decision.allowed, decision.via) == (True, "operator in the team ocean")


# --- Creating


@pytest.mark.parametrize("conditions", [{}, {"hpc": "LUMI"}])
def test_a_team_creates_where_its_coverage_names_the_site(
    actor: Actor, experiment: Experiment, conditions: dict[str, str]
) -> None:
    user, site = actor(), experiment.site
    team = factories.create_team((user, Role.MANAGER), covers={"site": site, **conditions})
    assert policy.may_request(user, CREATE, site=site)
    assert not policy.may_request(user, CREATE, site=factories.create_site())
    assert policy.find_teams_of_new(user, CREATE, site) == {team.pk}


def test_a_team_creates_where_it_has_an_experiment(actor: Actor, experiment: Experiment) -> None:
    user = actor()
    team = factories.create_team((user, Role.MANAGER))
    assert not policy.may_request(user, CREATE, site=experiment.site)
    team.experiments.add(experiment)
    assert policy.may_request(user, CREATE, site=experiment.site)


def test_who_may_create_at_the_site_anyhow_creates_for_no_team(actor: Actor, experiment: Experiment) -> None:
    user, site = actor(), experiment.site
    factories.create_team((user, Role.MANAGER), covers={"site": site})
    SiteRole.objects.create(user=user, site=site, role=Role.MANAGER)
    assert policy.find_teams_of_new(user, CREATE, site) == set()


def test_an_owner_creates_nothing_by_that(actor: Actor, experiment: Experiment) -> None:
    user, site = actor(), experiment.site
    SiteAccount.objects.create(user=user, site=site, unix_name="ana")
    SitePolicy.objects.create(site=site, owner_role=Role.MANAGER)
    assert not policy.may_request(user, CREATE, site=site)


# --- What a credential is limited to


def test_a_credential_does_only_its_kinds(operator: User, experiment: Experiment) -> None:
    limited = anew(operator, Scope(kinds=frozenset({"stop"})))
    assert policy.may_request(limited, STOP, experiment=experiment)
    decision = policy.decide(limited, RUN, experiment=experiment)
    assert (decision.allowed, "limited to stop" in decision.reason) == (False, True)


@pytest.mark.parametrize("who", ["operator", "administrator", "member"])
def test_a_credential_reaches_only_its_teams(actor: Actor, experiment: Experiment, who: str) -> None:
    user = actor(*([Role.OPERATOR] if who == "operator" else []), is_superuser=who == "administrator")
    members = [(user, Role.OPERATOR)] if who == "member" else []
    team = factories.create_team(*members, covers={"owner": "ana"})
    other = factories.create_experiment(experiment.site, expid="b000")
    factories.create_team(*members, covers={"expid_pattern": "b*"})
    scope = Scope(teams=frozenset({team.pk}))
    assert (runs(user, other), runs(user, other, scope), runs(user, experiment, scope)) == (True, False, True)
    assert (sees(user), sees(user, scope)) == ({"a000", "b000"}, {"a000"})


def test_a_credential_gives_no_rights_in_teams_of_others(actor: Actor, experiment: Experiment) -> None:
    user = actor()
    team = factories.create_team(covers={"owner": "ana"})
    scope = Scope(teams=frozenset({team.pk}))
    assert (runs(user, experiment, scope), sees(user, scope)) == (False, set())
    assert not Site.objects.visible_to(anew(user, scope)).exists()


def test_what_a_limited_credential_creates_is_of_its_team(actor: Actor, experiment: Experiment) -> None:
    user, site = actor(), experiment.site
    teams = [factories.create_team((user, Role.MANAGER), covers={"site": site}) for _ in range(2)]
    limited = anew(user, Scope(teams=frozenset({teams[0].pk})))
    assert policy.find_teams_of_new(limited, CREATE, site) == {teams[0].pk}
    assert policy.find_teams_of_new(anew(user), CREATE, site) == {team.pk for team in teams}


def test_a_limited_credential_of_somebody_free_creates_for_its_team(manager: User, experiment: Experiment) -> None:
    team = factories.create_team(covers={"site": experiment.site})
    limited = anew(manager, Scope(teams=frozenset({team.pk})))
    assert policy.find_teams_of_new(limited, CREATE, experiment.site) == {team.pk}


# --- Cost


def queries(ask: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        ask()
    return len(captured)


def test_who_has_a_role_everywhere_pays_one_query(operator: User, experiment: Experiment) -> None:
    user = anew(operator)
    assert queries(lambda: policy.decide(user, RUN, site=experiment.site, experiment=experiment)) == 1
    assert queries(lambda: Experiment.objects.visible_to(user)) == 0


@pytest.mark.parametrize("right", [SiteRole, SiteAccount])
def test_a_page_of_jobs_is_not_made_of_all_jobs_of_the_site(actor: Actor, experiment: Experiment, right: Any) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("other databases have statistics")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sqlite_schema")  # forget what a test before this one had counted
    user, site = actor(), experiment.site
    values = {"role": Role.VIEWER} if right is SiteRole else {"unix_name": "ana"}
    right.objects.create(user=user, site=site, **values)
    SitePolicy.objects.create(site=site, owner_role=Role.VIEWER)
    page = Job.objects.visible_to(user).select_related("experiment__site").order_by("-pk")[:100]
    assert "ORDER BY" not in page.explain()


def test_decisions_about_many_experiments_read_the_grants_once(actor: Actor, experiment: Experiment) -> None:
    member = actor()
    factories.create_team((member, Role.OPERATOR), covers={"site": experiment.site})
    others = [factories.create_experiment(experiment.site) for _ in range(5)]
    user = anew(member)
    assert queries(lambda: [policy.decide(user, RUN, experiment=other) for other in others]) == 2
    assert queries(lambda: list(Job.objects.visible_to(user))) == 1
    assert queries(lambda: list(Action.objects.visible_to(user))) == 1
