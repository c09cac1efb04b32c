"""The second person: who that may be, what is checked again, and what becomes of what nobody approves."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from autosubmit_portal import health
from autosubmit_portal.access.rights.policy import Forbidden
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.action_request import ActionRequest
from experiments.actions.approve import approve, reject
from experiments.actions.batches import request_action
from experiments.actions.cancel import cancel_action
from experiments.actions.execute import execute
from experiments.actions.refusals import Conflict, InvalidParameters, NotASecondPerson
from experiments.actions.supervise import supervise
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, Experiment, Site, State
from tests.support import factories

pytestmark = pytest.mark.django_db


def ask(actor: User, kind: str, experiment: Experiment, **parameters: Any) -> Action:
    return request_action(
        ActionRequest(
            actor=actor,
            origin=Origin.make(actor, door=Door.API),
            kind=CATALOGUE[kind],
            site=experiment.site,
            experiment=experiment,
            parameters=parameters,
        )
    )


def approved(action: Action, actor: User) -> Action:
    approve(action, actor=actor, origin=Origin.make(actor, door=Door.ADMIN))
    return action


def rejected(action: Action, actor: User, reason: str = "Too early") -> Action:
    reject(action, actor=actor, origin=Origin.make(actor, door=Door.ADMIN), reason=reason)
    return action


@pytest.fixture
def ready() -> Experiment:
    """An experiment with a job list at a site where starting, stopping and setting status want a second person."""
    site = factories.create_site(approval_kinds=["run", "stop", "set_status"])
    experiment = factories.create_experiment(site, expid="a000")
    factories.create_job(experiment, "a000_SIM", status="FAILED")
    return experiment


@pytest.fixture
def second(actor: Callable[..., User]) -> User:
    """Another operator."""
    return actor(Role.OPERATOR, username="second")


@pytest.fixture
def waiting(operator: User, ready: Experiment) -> Action:
    return ask(operator, "run", ready)


def test_an_action_waits_where_a_second_person_is_wanted(waiting: Action) -> None:
    assert waiting.state == State.AWAITING_APPROVAL
    assert AuditEntry.objects.get(event="action.requested").details["awaits_approval"]


def test_a_kind_that_needs_no_approval_is_queued(operator: User, ready: Experiment) -> None:
    assert ask(operator, "update_description", ready, description="x").state == State.QUEUED


def test_a_restart_waits_where_a_start_does(operator: User, ready: Experiment) -> None:
    Site.objects.update(approval_kinds=["run"])
    ready.site.refresh_from_db()
    assert ask(operator, "restart", ready).state == State.AWAITING_APPROVAL


@pytest.mark.parametrize(
    ("chosen", "kind", "is_covered"),
    [
        ("run", "restart", True),
        ("restart", "run", False),
        ("run", "reset_and_start", True),
        ("set_status", "reset_and_start", True),
        ("reset_and_start", "set_status", False),
        ("set_status", "set_status_live", True),
        ("set_status_live", "set_status", False),
        ("run", "generate", False),
    ],
)
def test_a_kind_that_contains_a_chosen_one_is_covered(chosen: str, kind: str, is_covered: bool) -> None:
    site = Site(slug="local", approval_kinds=[chosen], disabled_kinds=[chosen])
    assert site.needs_approval(CATALOGUE[kind]) == is_covered
    assert bool(site.explain_switched_off(CATALOGUE[kind])) == is_covered
    assert (kind not in site.enabled_kinds) == is_covered


def test_a_dry_run_of_a_restart_starts_nothing_and_is_not_switched_off_with_start() -> None:
    assert not Site(slug="local", disabled_kinds=["run"]).explain_switched_off(CATALOGUE["restart"].as_dry_run)


def test_a_stop_never_waits_for_approval(operator: User, ready: Experiment, waiting: Action) -> None:
    Experiment.objects.update(is_running=True)
    assert ask(operator, "stop", ready).state == State.QUEUED


def test_a_dry_run_needs_no_approval(ready: Experiment) -> None:
    assert not ready.site.needs_approval(CATALOGUE["set_status"].as_dry_run)


def test_a_waiting_action_is_in_the_way_of_others(operator: User, ready: Experiment, waiting: Action) -> None:
    with pytest.raises(Conflict) as refusal:
        ask(operator, "restart", ready)
    assert refusal.value.action_id == waiting.pk


def test_no_worker_takes_what_nobody_has_approved(waiting: Action) -> None:
    execute(waiting.pk)
    waiting.refresh_from_db()
    assert waiting.state == State.AWAITING_APPROVAL


def test_a_second_person_approves(second: User, waiting: Action) -> None:
    approved(waiting, second)
    assert (waiting.state, waiting.approved_by, waiting.approved_by_name) == (State.QUEUED, second, "second")


def test_both_people_are_in_the_trail(operator: User, second: User, waiting: Action) -> None:
    approved(waiting, second)
    entry = AuditEntry.objects.get(event="action.approved")
    assert (entry.actor_name, entry.details["approved_by"]) == ("second", "second")
    assert AuditEntry.objects.get(event="action.requested").actor_name == "operator"


def test_the_requester_does_not_approve_and_the_attempt_is_recorded(operator: User, waiting: Action) -> None:
    with pytest.raises(NotASecondPerson, match="another person"):
        approved(waiting, operator)
    assert AuditEntry.objects.get(event="action.approval_refused").actor_name == "operator"


def test_the_requester_does_not_approve_under_another_name(operator: User, waiting: Action) -> None:
    User.objects.filter(pk=operator.pk).update(username="renamed")
    renamed = User.objects.get(pk=operator.pk)
    with pytest.raises(NotASecondPerson):
        approved(waiting, renamed)
    with pytest.raises(NotASecondPerson):
        rejected(waiting, renamed)


def test_another_person_who_was_given_the_name_of_the_requester_is_a_second_person(
    operator: User, second: User, waiting: Action
) -> None:
    User.objects.filter(pk=operator.pk).update(username="renamed")
    User.objects.filter(pk=second.pk).update(username="operator")
    assert approved(waiting, User.objects.get(pk=second.pk)).state == State.QUEUED


def test_a_lender_who_was_renamed_does_not_approve_what_was_asked_for_them(
    operator: User, second: User, ready: Experiment
) -> None:
    borrower = factories.create_user(username="borrower")
    factories.create_delegation(operator, borrower)
    waiting = ask(borrower, "run", ready)
    User.objects.filter(pk=operator.pk).update(username="renamed")
    with pytest.raises(NotASecondPerson):
        approved(waiting, User.objects.get(pk=operator.pk))


def test_not_even_a_superuser_approves_their_own(admin_user: User, ready: Experiment) -> None:
    with pytest.raises(NotASecondPerson):
        approved(ask(admin_user, "run", ready), admin_user)


def test_who_may_not_ask_for_it_does_not_approve(viewer: User, waiting: Action) -> None:
    with pytest.raises(Forbidden, match=r"experiments\.request_run"):
        approved(waiting, viewer)


def test_two_who_approve_at_once_queue_it_once(actor: Callable[..., User], waiting: Action) -> None:
    copy = Action.objects.get(pk=waiting.pk)
    approved(waiting, actor(Role.OPERATOR))
    with pytest.raises(Conflict, match="is queued"):
        approved(copy, actor(Role.OPERATOR))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda action: Experiment.objects.update(is_running=True), "Stop it first"),
        (lambda action: Site.objects.update(disabled_kinds=["run"]), "switched off"),
        (lambda action: Site.objects.update(problem="The disk is gone."), "The disk is gone"),
        (lambda action: Site.objects.update(autosubmit="/opt/other/autosubmit"), "other commands"),
        (lambda action: action.actor.groups.clear(), r"experiments\.request_run"),
        (lambda action: User.objects.filter(pk=action.actor.pk).update(is_active=False), "is closed"),
        (lambda action: Action.objects.update(approval_expires_at=timezone.now()), "too long"),
    ],
)
def test_what_could_not_be_asked_for_any_more_is_not_approved(
    change: Callable[[Action], Any], reason: str, second: User, waiting: Action
) -> None:
    change(waiting)
    fresh = Action.objects.get(pk=waiting.pk)
    with pytest.raises(Conflict, match=reason):
        approved(fresh, second)
    assert Action.objects.get().state == State.AWAITING_APPROVAL


def test_a_second_person_rejects_and_says_why(second: User, waiting: Action) -> None:
    rejected(waiting, second)
    assert (waiting.state, waiting.message) == (State.CANCELLED, "Rejected by second: Too early")
    assert AuditEntry.objects.get(event="action.rejected").actor_name == "second"


def test_nobody_rejects_without_a_reason(second: User, waiting: Action) -> None:
    with pytest.raises(InvalidParameters, match="reason"):
        rejected(waiting, second, " ")


def test_the_requester_takes_it_back(operator: User, waiting: Action) -> None:
    cancel_action(waiting, actor=operator, origin=Origin.make(operator, door=Door.API))
    assert waiting.state == State.CANCELLED


def test_what_nobody_approves_in_time_is_cancelled(waiting: Action) -> None:
    Action.objects.update(approval_expires_at=timezone.now() - timedelta(seconds=1))
    supervise(waiting.site.queue)
    waiting.refresh_from_db()
    assert waiting.state == State.CANCELLED
    assert waiting.message.startswith("Nobody approved it until")
    assert AuditEntry.objects.get(event="action.expired").door == Door.WORKER


def test_what_may_still_be_approved_waits_on(waiting: Action) -> None:
    supervise(waiting.site.queue)
    waiting.refresh_from_db()
    assert waiting.state == State.AWAITING_APPROVAL


def test_the_site_says_how_long_it_waits(operator: User, ready: Experiment) -> None:
    ready.site.approval_hours = 2
    expires_at = ask(operator, "run", ready).approval_expires_at
    assert expires_at is not None
    assert timedelta(minutes=119) < expires_at - timezone.now() < timedelta(minutes=121)


def test_the_wait_for_approval_is_no_wait_for_a_worker(second: User, waiting: Action) -> None:
    Action.objects.update(requested_at=timezone.now() - timedelta(hours=5))
    approved(waiting, second)
    assert health.find_oldest_queued()[waiting.site.queue] == waiting.approved_at


def test_the_database_wants_a_name_with_every_approval(waiting: Action) -> None:
    with pytest.raises(IntegrityError):
        Action.objects.update(approved_at=timezone.now())
