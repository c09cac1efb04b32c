"""What a team creates is its own."""

import pytest
from django.contrib.auth.models import User

from autosubmit_portal.access.models import ExpectedExperiment, Team
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.finish import finish
from experiments.autosubmit.output import Outcome
from experiments.catalogue.kinds import CREATE
from experiments.models import Action, Experiment, Site, State
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def site() -> Site:
    """A site with nothing at it yet."""
    return factories.create_site(slug="local")


@pytest.fixture
def member() -> User:
    """Somebody who creates experiments as a manager of teams only."""
    return factories.create_user(username="ben")


def created(user: User, site: Site, monkeypatch: pytest.MonkeyPatch, **values: str) -> Experiment:
    """Ask for an experiment and let the command have made it."""
    made = factories.create_experiment(site, **values)
    monkeypatch.setattr("experiments.mirror.sync.adopt", lambda site, expid: made)
    origin = Origin.make(user, door=Door.API)
    asked = ActionRequest(actor=user, origin=origin, kind=CREATE, site=site, parameters={"description": "x"})
    action = request_action(asked)
    Action.objects.update(state=State.RUNNING)
    action.refresh_from_db()
    finish(action, Outcome(succeeded=True, message="", expid=made.expid), 0)
    return made


def test_an_experiment_that_no_coverage_has_is_added_by_hand(
    member: User, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = factories.create_team((member, Role.MANAGER), covers={"site": site, "owner": "nobody"}, slug="ocean")
    made = created(member, site, monkeypatch, owner="autosubmit")
    assert list(team.experiments.all()) == [made]
    assert made in Experiment.objects.visible_to(member)
    entry = AuditEntry.objects.get(event="team.experiment_added")
    assert (entry.actor_name, entry.subject, entry.expid) == ("ben", "team ocean", made.expid)


def test_an_experiment_that_the_coverage_has_is_left_to_it(
    member: User, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = factories.create_team((member, Role.MANAGER), covers={"site": site})
    created(member, site, monkeypatch)
    assert not team.experiments.exists()


def test_it_is_not_of_teams_in_which_one_may_not_create(
    member: User, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions = {"site": site, "owner": "nobody"}
    own = factories.create_team((member, Role.MANAGER), covers=conditions)
    factories.create_team((member, Role.OPERATOR), covers=conditions)
    factories.create_team(covers=conditions)
    made = created(member, site, monkeypatch)
    assert list(Team.objects.filter(experiments=made)) == [own]


def test_what_a_manager_of_all_creates_is_of_no_team(
    manager: User, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.create_team((manager, Role.MANAGER), covers={"site": site, "owner": "nobody"})
    created(manager, site, monkeypatch)
    assert not ExpectedExperiment.objects.exists()
    assert not Team.objects.filter(experiments__isnull=False).exists()
