"""What was asked for with a right that is gone: it is not done, and what waits is called off."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from autosubmit_portal.access.models import ApiToken, Coverage, Delegation, Membership, SiteRole, Team
from autosubmit_portal.access.rights.delegations import revoke
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in.bearer import read_person
from autosubmit_portal.access.sign_in.provision import provide_at_sign_in
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions import start
from experiments.actions.action_request import ActionRequest
from experiments.actions.approve import approve
from experiments.actions.batches import request_action
from experiments.actions.execute import execute
from experiments.actions.recheck import find_lost_right
from experiments.actions.refusals import Conflict
from experiments.actions.supervise import supervise
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, Experiment, Site, State
from tests.support import factories
from tests.support.identity_provider import Provider

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def ready() -> Experiment:
    """An experiment with a job list, of Ana."""
    experiment = factories.create_experiment(expid="a000", owner="ana")
    factories.create_job(experiment, "a000_SIM", status="FAILED")
    return experiment


@pytest.fixture
def ana(ready: Experiment) -> User:
    """Somebody who has no right yet."""
    return factories.create_user(username="ana")


def ask(actor: User, experiment: Experiment, kind: str = "run", token: ApiToken | None = None) -> Action:
    """Ask as the next request of the account does, with a token as the API does."""
    actor = User.objects.get(pk=actor.pk)
    if token:
        actor.scope, actor.token_digest = token.make_scope(), token.pk  # type: ignore[attr-defined]
    return request_action(
        ActionRequest(
            actor=actor,
            origin=Origin.make(actor, door=Door.API),
            kind=CATALOGUE[kind],
            site=experiment.site,
            experiment=experiment,
            parameters={},
        )
    )


def lend(lender: User, ana: User) -> Delegation:
    return factories.create_delegation(lender, ana)


def by_team(ana: User, experiment: Experiment) -> None:
    factories.create_team((ana, Role.OPERATOR), covers={"owner": "ana"})


def by_group(ana: User, experiment: Experiment) -> None:
    ana.groups.add(Group.objects.get(name="Operator"))


def by_site(ana: User, experiment: Experiment) -> None:
    SiteRole.objects.create(user=ana, site=experiment.site, role=Role.OPERATOR)


def by_superuser(ana: User, experiment: Experiment) -> None:
    User.objects.filter(pk=ana.pk).update(is_superuser=True)


def by_loan(ana: User, experiment: Experiment) -> None:
    lend(factories.create_user(Role.OPERATOR, username="lender"), ana)


def demote(ana: User) -> None:
    account = User.objects.get(pk=ana.pk)
    account.is_superuser = False
    account.save()


def close(name: str) -> None:
    account = User.objects.get(username=name)
    account.is_active = False
    account.save()


def lower_the_membership(ana: User) -> None:
    membership = Membership.objects.get()
    membership.role = Role.VIEWER
    membership.save()


def give_back(ana: User) -> None:
    lender = User.objects.get(username="lender")
    revoke(Delegation.objects.get(), actor=lender, origin=Origin.make(lender, door=Door.ADMIN))


class Loss(NamedTuple):
    """A right: how somebody gets it and loses it, and what is told then."""

    give: Callable[[User, Experiment], None]
    take: Callable[[User], Any]
    why: str


LOSSES = [
    Loss(by_team, lambda ana: close("ana"), "account is closed"),
    Loss(by_team, lambda ana: ana.delete(), "account of ana is gone"),
    Loss(by_team, lambda ana: Membership.objects.get().delete(), "role operator"),
    Loss(by_team, lower_the_membership, "role operator"),
    Loss(by_team, lambda ana: Coverage.objects.get().delete(), "role operator"),
    Loss(by_team, lambda ana: Team.objects.get().delete(), "role operator"),
    Loss(by_group, lambda ana: ana.groups.clear(), "role operator"),
    Loss(by_group, lambda ana: Group.objects.get(name="Operator").permissions.clear(), "role operator"),
    Loss(by_site, lambda ana: SiteRole.objects.get().delete(), "role operator"),
    Loss(by_superuser, demote, "role operator"),
    Loss(by_loan, give_back, "nothing that lender lends"),
    Loss(by_loan, lambda ana: close("lender"), "nothing that lender lends"),
    Loss(by_loan, lambda ana: User.objects.get(username="lender").groups.clear(), "nothing that lender lends"),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_worker_does_not_do_what_somebody_has_lost_the_right_to(loss: Loss, ana: User, ready: Experiment) -> None:
    loss.give(ana, ready)
    action = ask(ana, ready)
    loss.take(ana)
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, action.step_started_at) == (State.CANCELLED, None)
    assert loss.why in action.message
    assert loss.why in AuditEntry.objects.get(event="action.cancelled").message


@pytest.mark.parametrize("loss", LOSSES)
def test_who_loses_a_right_has_what_waits_called_off(
    loss: Loss, ana: User, ready: Experiment, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    loss.give(ana, ready)
    action = ask(ana, ready)
    with django_capture_on_commit_callbacks(execute=True):
        loss.take(ana)
    action.refresh_from_db()
    assert action.state == State.CANCELLED
    assert loss.why in AuditEntry.objects.get(event="action.cancelled").message


@pytest.mark.parametrize("loss", LOSSES)
def test_nobody_approves_what_somebody_has_lost_the_right_to(loss: Loss, ana: User, ready: Experiment) -> None:
    Site.objects.update(approval_kinds=["run"])
    ready.site.refresh_from_db()
    loss.give(ana, ready)
    action = ask(ana, ready)
    loss.take(ana)
    second = factories.create_user(is_superuser=True)
    with pytest.raises(Conflict, match=loss.why):
        approve(Action.objects.get(pk=action.pk), actor=second, origin=Origin.make(second, door=Door.ADMIN))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_restart_does_not_run_when_the_right_was_lost_while_it_recovered(
    loss: Loss, ana: User, ready: Experiment
) -> None:
    loss.give(ana, ready)
    action = ask(ana, ready, "restart")
    Action.objects.update(state=State.RUNNING, step_started_at=timezone.now())
    action = Action.objects.get(pk=action.pk)
    loss.take(ana)
    assert start.go_on(action, 0)
    action.refresh_from_db()
    assert (action.state, action.step) == (State.CANCELLED, 0)
    assert loss.why in action.message


def token_of(ana: User, **values: Any) -> ApiToken:
    factories.create_token(ana, **values)
    token: ApiToken = ApiToken.objects.get()
    return token


def test_a_revoked_token_has_what_it_asked_for_called_off(
    ana: User, ready: Experiment, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    by_group(ana, ready)
    token = token_of(ana)
    action = ask(ana, ready, token=token)
    with django_capture_on_commit_callbacks(execute=True):
        token.delete()
    action.refresh_from_db()
    assert (action.state, "API token of ana" in action.message) == (State.CANCELLED, True)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"expiry": timezone.now() - timedelta(1)}, "has expired"), ({"kinds": ["stop"]}, "limited to stop")],
)
def test_a_token_that_allows_it_no_more_starts_nothing(
    change: dict[str, Any], why: str, ana: User, ready: Experiment
) -> None:
    by_group(ana, ready)
    action = ask(ana, ready, token=token_of(ana))
    ApiToken.objects.update(**change)
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, why in action.message) == (State.CANCELLED, True)


def test_a_token_that_another_one_revokes_calls_nothing_off(ana: User, ready: Experiment) -> None:
    by_group(ana, ready)
    action = ask(ana, ready, token=token_of(ana))
    factories.create_token(factories.create_user(), name="another")
    ApiToken.objects.get(name="another").delete()
    supervise(ready.site.queue)
    assert Action.objects.get(pk=action.pk).state == State.QUEUED


def test_a_loan_that_has_ended_by_itself_is_noticed_by_the_supervisor(ana: User, ready: Experiment) -> None:
    by_loan(ana, ready)
    action = ask(ana, ready)
    Delegation.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
    supervise(ready.site.queue)
    action.refresh_from_db()
    assert action.state == State.CANCELLED


def test_a_right_of_ones_own_does_not_take_the_place_of_a_lent_one(ana: User, ready: Experiment) -> None:
    by_loan(ana, ready)
    action = ask(ana, ready)
    give_back(ana)
    by_group(ana, ready)
    execute(action.pk)
    action.refresh_from_db()
    assert action.state == State.CANCELLED


def give_the_name_away(lender: User) -> None:
    """Rename an account and give its name to another one that may do, and lends, the same."""
    User.objects.filter(pk=lender.pk).update(username="renamed")
    factories.create_user(Role.OPERATOR, username="lender")


def test_a_lender_who_was_renamed_still_lends(ana: User, ready: Experiment) -> None:
    by_loan(ana, ready)
    action = ask(ana, ready)
    give_the_name_away(User.objects.get(username="lender"))
    assert find_lost_right(Action.objects.get(pk=action.pk)) == ""


@pytest.mark.parametrize("take", [lambda lender: lender.delete(), lambda lender: Delegation.objects.get().delete()])
def test_another_account_with_the_name_of_the_lender_does_not_take_their_place(
    take: Callable[[User], Any], ana: User, ready: Experiment
) -> None:
    by_loan(ana, ready)
    action, lender = ask(ana, ready), User.objects.get(username="lender")
    give_the_name_away(lender)
    take(User.objects.get(pk=lender.pk))
    lend(User.objects.get(username="lender"), ana)
    assert "nothing that lender lends" in find_lost_right(Action.objects.get(pk=action.pk))


def test_what_an_access_token_asked_for_is_called_off_when_the_claims_grant_it_no_more(
    provider: Provider, ready: Experiment, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {provider.robot_token()}")
    assert client.post("/v4/experiments/a000?action=run").status_code == 202
    account = SocialAccount.objects.get()
    with django_capture_on_commit_callbacks(execute=True):
        claims = {"sub": account.uid, "iat": timezone.now().timestamp() + 1, "groups": []}
        provide_at_sign_in(account, read_person(provider.settings, claims))
    assert Action.objects.get().state == State.CANCELLED


def test_an_approval_of_a_closed_account_starts_nothing(ana: User, ready: Experiment) -> None:
    by_group(ana, ready)
    action = ask(ana, ready)
    second = factories.create_user(Role.OPERATOR, username="second")
    Action.objects.update(approved_by=second, approved_by_name="second", approved_at=timezone.now())
    close("second")
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, "second may not" in action.message) == (State.CANCELLED, True)


def test_a_run_that_lives_goes_on_when_its_person_loses_every_right(
    ana: User, ready: Experiment, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    by_group(ana, ready)
    action = ask(ana, ready)
    Action.objects.update(state=State.RUNNING, step_started_at=timezone.now())
    with django_capture_on_commit_callbacks(execute=True):
        close("ana")
    supervise(ready.site.queue)
    assert Action.objects.get(pk=action.pk).state == State.RUNNING


def test_a_kind_that_was_switched_off_meanwhile_is_not_started(ana: User, ready: Experiment) -> None:
    by_group(ana, ready)
    action = ask(ana, ready)
    Site.objects.update(disabled_kinds=["run"])
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, "switched off" in action.message) == (State.CANCELLED, True)
