"""Rights that are lent: what a colleague may do with them, what they may not, and how they end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from autosubmit_portal.access.models import Delegation, Membership, Scope, Team, TeamExperiment
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.delegations import (
    AlreadyOver,
    DelegationRequest,
    Unacceptable,
    delegate,
    filter_delegations,
    revoke,
)
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.action_request import ActionRequest
from experiments.actions.approve import approve
from experiments.actions.batches import request_action
from experiments.actions.refusals import NotASecondPerson
from experiments.catalogue.kinds import CATALOGUE, CREATE, GENERATE, RUN
from experiments.models import Action, Experiment, Site
from tests.support import factories

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def origin(user: User) -> Origin:
    return Origin.make(user, door=Door.API)


def fresh(user: User) -> User:
    """The account as the next request has it: nothing that was read before is kept."""
    return User.objects.get(pk=user.pk)


def decide(user: User, kind: Any, experiment: Experiment) -> policy.Decision:
    return policy.decide(fresh(user), kind, site=experiment.site, experiment=experiment)


def ask(actor: User, kind: str, experiment: Experiment) -> Action:
    return request_action(
        ActionRequest(
            actor=fresh(actor),
            origin=origin(actor),
            kind=CATALOGUE[kind],
            site=experiment.site,
            experiment=experiment,
            parameters={},
        )
    )


@pytest.fixture
def ready() -> Experiment:
    experiment = factories.create_experiment(expid="a000")
    factories.create_job(experiment)
    return experiment


@pytest.fixture
def colleague(actor: Callable[..., User]) -> User:
    """Somebody without any right."""
    return actor(username="colleague")


@pytest.fixture
def lend(operator: User, colleague: User) -> Callable[..., Delegation]:
    """Lend what the operator may to the colleague."""

    def lent(**values: Any) -> Delegation:
        return factories.create_delegation(**{"grantor": operator, "grantee": colleague} | values)

    return lent


def test_a_colleague_acts_for_the_grantor(
    lend: Callable[..., Delegation], operator: User, colleague: User, ready: Experiment
) -> None:
    assert not decide(colleague, RUN, ready).allowed
    lend()
    decision = decide(colleague, RUN, ready)
    assert (decision.allowed, decision.on_behalf_of) == (True, operator)
    assert "for operator" in decision.reason


def test_own_rights_come_first(
    lend: Callable[..., Delegation], colleague: User, ready: Experiment, actor: Callable[..., User]
) -> None:
    able = actor(Role.OPERATOR)
    lend(grantee=able)
    assert decide(able, RUN, ready).on_behalf_of is None


def test_the_trail_says_who_for_whom(lend: Callable[..., Delegation], colleague: User, ready: Experiment) -> None:
    lend()
    action = ask(colleague, "run", ready)
    entry = AuditEntry.objects.get(event="action.requested")
    assert (entry.actor_name, entry.on_behalf_of) == ("colleague", "operator")
    assert (action.actor_name, action.on_behalf_of) == ("colleague", "operator")


def test_a_role_bounds_what_is_lent(lend: Callable[..., Delegation], colleague: User, ready: Experiment) -> None:
    lend(role=Role.VIEWER)
    assert not decide(colleague, RUN, ready).allowed
    assert Experiment.objects.visible_to(fresh(colleague)).get() == ready


def test_never_more_than_the_grantor_has(
    lend: Callable[..., Delegation], operator: User, colleague: User, ready: Experiment
) -> None:
    lend(role=Role.MANAGER)
    assert decide(colleague, RUN, ready).allowed
    assert not decide(colleague, GENERATE, ready).allowed
    operator.groups.clear()
    assert not decide(colleague, RUN, ready).allowed
    assert not Experiment.objects.visible_to(fresh(colleague)).exists()


def test_a_closed_account_lends_nothing(
    lend: Callable[..., Delegation], operator: User, colleague: User, ready: Experiment
) -> None:
    lend()
    User.objects.filter(pk=operator.pk).update(is_active=False)
    assert not decide(colleague, RUN, ready).allowed


@pytest.mark.parametrize(
    "times",
    [
        {"starts_at": timezone.now() + DAY / 2},
        {"starts_at": timezone.now() - 2 * DAY, "ends_at": timezone.now() - DAY},
        {"revoked_at": timezone.now(), "revoked_by_name": "operator"},
    ],
    ids=["not yet", "over", "revoked"],
)
def test_it_holds_in_its_time_only(
    times: dict[str, Any], lend: Callable[..., Delegation], colleague: User, ready: Experiment
) -> None:
    lend(**times)
    assert not decide(colleague, RUN, ready).allowed


def test_what_was_lent_is_not_lent_on(
    lend: Callable[..., Delegation], actor: Callable[..., User], colleague: User, ready: Experiment
) -> None:
    third = actor()
    lend()
    lend(grantor=colleague, grantee=third)
    assert not decide(third, RUN, ready).allowed


def test_one_experiment_is_lent_and_no_other(
    lend: Callable[..., Delegation], colleague: User, ready: Experiment
) -> None:
    other = factories.create_experiment(ready.site)
    lend(experiment=ready)
    assert decide(colleague, RUN, ready).allowed
    assert not decide(colleague, RUN, other).allowed
    assert list(Experiment.objects.visible_to(fresh(colleague))) == [ready]


def test_the_experiments_of_a_team_are_lent_and_no_others(
    lend: Callable[..., Delegation], colleague: User, ready: Experiment
) -> None:
    other = factories.create_experiment(ready.site)
    team = Team.objects.create(slug="ocean", name="Ocean")
    TeamExperiment.objects.create(team=team, experiment=ready)
    lend(team=team)
    assert decide(colleague, RUN, ready).allowed
    assert not decide(colleague, RUN, other).allowed
    assert list(Experiment.objects.visible_to(fresh(colleague))) == [ready]


def test_a_role_in_a_team_is_lent_for_what_the_team_covers(
    actor: Callable[..., User], lend: Callable[..., Delegation], colleague: User, ready: Experiment
) -> None:
    member, team = actor(), Team.objects.create(slug="ocean", name="Ocean")
    Membership.objects.create(team=team, user=member, role=Role.OPERATOR)
    TeamExperiment.objects.create(team=team, experiment=ready)
    other = factories.create_experiment(ready.site)
    lend(grantor=member)
    assert decide(colleague, RUN, ready).on_behalf_of == member
    assert not decide(colleague, RUN, other).allowed


def test_an_experiment_lent_lets_nobody_create_others(
    lend: Callable[..., Delegation], manager: User, colleague: User, ready: Experiment
) -> None:
    lend(grantor=manager, role=Role.MANAGER, experiment=ready)
    assert not policy.decide(fresh(colleague), CREATE, site=ready.site).allowed
    lend(grantor=manager, role=Role.MANAGER)
    assert policy.decide(fresh(colleague), CREATE, site=ready.site).allowed


def test_a_limited_credential_is_limited_here_too(
    lend: Callable[..., Delegation], colleague: User, ready: Experiment
) -> None:
    lend()
    limited = fresh(colleague)
    limited.scope = Scope(kinds=frozenset({"stop"}))  # type: ignore[attr-defined]
    assert not policy.decide(limited, RUN, site=ready.site, experiment=ready).allowed


@pytest.mark.parametrize("approver", ["operator", "third"])
def test_nobody_in_whose_name_it_was_asked_is_a_second_person(
    approver: str, lend: Callable[..., Delegation], colleague: User, ready: Experiment
) -> None:
    """Neither the grantor, nor somebody else who acts for the grantor."""
    Site.objects.update(approval_kinds=["run"])
    ready.site.refresh_from_db()
    lend()
    lend(grantee=factories.create_user(username="third"))
    action = ask(colleague, "run", ready)
    second = User.objects.get(username=approver)
    with pytest.raises(NotASecondPerson):
        approve(action, actor=second, origin=origin(second))


def test_somebody_who_acts_for_the_requester_is_no_second_person(
    lend: Callable[..., Delegation], operator: User, colleague: User, ready: Experiment
) -> None:
    Site.objects.update(approval_kinds=["run"])
    ready.site.refresh_from_db()
    action = ask(operator, "run", ready)
    lend()
    with pytest.raises(NotASecondPerson, match="for operator"):
        approve(action, actor=fresh(colleague), origin=origin(colleague))


def wanted(to: User, **values: Any) -> DelegationRequest:
    defaults: dict[str, Any] = {
        "grantee": to,
        "role": Role.OPERATOR,
        "ends_at": timezone.now() + DAY,
        "reason": "Holidays",
    }
    return DelegationRequest(**defaults | values)


def test_who_lends_is_in_the_trail(operator: User, colleague: User, ready: Experiment) -> None:
    delegate(wanted(colleague, experiment=ready), grantor=operator, origin=origin(operator))
    entry = AuditEntry.objects.get(event="delegation.made")
    assert (entry.actor_name, entry.expid, entry.details["grantee"]) == ("operator", "a000", "colleague")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"grantee": None}, "grantee"),
        ({"role": Role.MANAGER}, "role"),
        ({"ends_at": timezone.now() + 91 * DAY}, "ends_at"),
        ({"ends_at": timezone.now() - DAY}, "ends_at"),
        ({"starts_at": timezone.now() + 2 * DAY}, "ends_at"),
        ({"starts_at": timezone.now() - timedelta(hours=1)}, "starts_at"),
        ({"starts_at": timezone.now() - 100 * DAY}, "starts_at"),
        ({"reason": " "}, "reason"),
    ],
)
def test_what_may_not_be_lent_is_refused_and_recorded(
    wrong: dict[str, Any], field: str, operator: User, colleague: User
) -> None:
    with pytest.raises(Unacceptable) as refusal:
        delegate(wanted(colleague, **wrong), grantor=operator, origin=origin(operator))
    assert refusal.value.errors.keys() == {field}
    assert AuditEntry.objects.filter(event="delegation.refused").exists()


def test_what_began_a_moment_ago_begins_now(operator: User, colleague: User) -> None:
    asked = timezone.now() - timedelta(seconds=70)
    made = delegate(wanted(colleague, starts_at=asked), grantor=operator, origin=origin(operator))
    assert made.starts_at > asked + timedelta(seconds=60)


def test_the_last_hour_of_all_is_no_failure(operator: User, colleague: User) -> None:
    last = datetime(9999, 12, 31, 23, tzinfo=UTC)
    times = {"starts_at": last, "ends_at": last + timedelta(minutes=1)}
    made = delegate(wanted(colleague, **times), grantor=operator, origin=origin(operator))
    assert made.starts_at == last


def test_a_limited_credential_lends_nothing(operator: User, colleague: User) -> None:
    operator.scope = Scope(kinds=frozenset())  # type: ignore[attr-defined]
    with pytest.raises(policy.Forbidden, match="limited"):
        delegate(wanted(colleague), grantor=operator, origin=origin(operator))


@pytest.mark.parametrize("scope", [Scope(kinds=frozenset()), Scope(kinds=frozenset(["run"])), Scope(teams=frozenset())])
def test_a_limited_credential_takes_nothing_back(scope: Scope, operator: User, lend: Callable[..., Delegation]) -> None:
    made = lend()
    operator.scope = scope  # type: ignore[attr-defined]
    with pytest.raises(policy.Forbidden, match="limited"):
        revoke(made, actor=operator, origin=origin(operator))
    assert AuditEntry.objects.filter(event="delegation.refused").exists()


def test_a_credential_that_is_only_to_read_shows_a_manager_their_own(
    manager: User, lend: Callable[..., Delegation]
) -> None:
    lend()
    assert filter_delegations(manager).count() == 1
    manager.scope = Scope(kinds=frozenset())  # type: ignore[attr-defined]
    assert not filter_delegations(manager).exists()


def test_a_credential_of_a_team_shows_what_is_about_the_team(operator: User, colleague: User) -> None:
    experiment = factories.create_experiment(expid="b000")
    team = factories.create_team(covers={"expid_pattern": "b*"})
    theirs = [
        factories.create_delegation(operator, colleague, team=team),
        factories.create_delegation(operator, colleague, experiment=experiment),
    ]
    factories.create_delegation(operator, colleague)
    factories.create_delegation(operator, colleague, experiment=factories.create_experiment(expid="a001"))
    operator.scope = Scope(teams=frozenset([team.pk]))  # type: ignore[attr-defined]
    assert set(filter_delegations(operator)) == set(theirs)


def test_who_has_nothing_lends_nothing_and_learns_no_names(colleague: User) -> None:
    with pytest.raises(Unacceptable) as refusal:
        delegate(wanted(colleague, grantee=None), grantor=colleague, origin=origin(colleague))
    assert refusal.value.errors.keys() == {"role"}


def test_nobody_lends_to_themselves(operator: User) -> None:
    with pytest.raises(Unacceptable, match="Choose somebody else"):
        delegate(wanted(operator), grantor=operator, origin=origin(operator))


@pytest.mark.parametrize("who", ["operator", "manager"])
def test_the_grantor_or_a_manager_revokes_once(
    who: str, lend: Callable[..., Delegation], request: pytest.FixtureRequest, colleague: User, ready: Experiment
) -> None:
    made, revoker = lend(), request.getfixturevalue(who)
    revoke(made, actor=revoker, origin=origin(revoker))
    assert AuditEntry.objects.get(event="delegation.revoked").actor_name == who
    assert not decide(colleague, RUN, ready).allowed
    with pytest.raises(AlreadyOver):
        revoke(made, actor=revoker, origin=origin(revoker))


def test_the_grantee_does_not_revoke(lend: Callable[..., Delegation], colleague: User) -> None:
    with pytest.raises(policy.Forbidden):
        revoke(lend(), actor=colleague, origin=origin(colleague))


@pytest.mark.parametrize("wrong", [{"ends_at": timezone.now() - 2 * DAY}, {"revoked_at": timezone.now()}])
def test_the_database_refuses_what_makes_no_sense(wrong: dict[str, Any], lend: Callable[..., Delegation]) -> None:
    with pytest.raises(IntegrityError):
        lend(**wrong)
