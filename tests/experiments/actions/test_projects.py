"""Operational experiments whose projects are not pushed: told, warned of or refused, as their site chooses."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments import reads
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.execute import execute
from experiments.actions.preview import preview_action
from experiments.actions.refusals import Conflict
from experiments.autosubmit.store import BrokenStore
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.models import Experiment, State
from experiments.models.site import Unpushed
from tests.support import factories

pytestmark = pytest.mark.django_db
FILES = [f"{number}.sh" for number in range(7)]


class Project:
    """What the agent answers of it; each answer is counted."""

    def __init__(self) -> None:
        self.answer: Any = {"changed": [], "commits": []}
        self.asked = 0

    def read(self, _experiment: Experiment, what: str, _arguments: dict[str, Any]) -> Any:
        assert what == "project"
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer, b""


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project()
    monkeypatch.setattr(reads, "read", made.read)
    return made


def make_request(actor: User, expid: str, unpushed: Unpushed, kind: str = "run") -> ActionRequest:
    site = factories.create_site(unpushed=unpushed, autosubmit="/bin/true")
    experiment = factories.create_experiment(site, expid=expid, total_jobs=1)
    origin = Origin.make(actor, door=Door.API)
    return ActionRequest(
        actor=actor, origin=origin, kind=CATALOGUE[kind], site=site, experiment=experiment, parameters={}
    )


@pytest.mark.parametrize("kind", ["run", "restart"])
def test_a_dry_run_warns_of_what_is_not_pushed(operator: User, project: Project, kind: str) -> None:
    project.answer = {"changed": FILES, "commits": ["abc1234"]}
    foreseen = preview_action(make_request(operator, "o001", Unpushed.WARN, kind)).foreseen
    assert foreseen == (
        "The project of o001 has files that are not committed (0.sh, 1.sh, 2.sh, 3.sh, 4.sh and 2 or more others) and "
        "commits that are not pushed (abc1234)."
    )


def test_a_warning_holds_up_nothing(operator: User, project: Project) -> None:
    project.answer = {"changed": ["a"], "commits": []}
    assert request_action(make_request(operator, "o001", Unpushed.WARN)).state == State.QUEUED


def test_a_site_refuses_what_is_not_pushed_and_the_trail_has_it(operator: User, project: Project) -> None:
    project.answer = {"changed": ["a"], "commits": []}
    with pytest.raises(Conflict, match=r"not committed \(a\)\. The site .* refuses to run that"):
        request_action(make_request(operator, "o001", Unpushed.REFUSE))
    assert AuditEntry.objects.get(event="action.refused").expid == "o001"


def test_what_is_changed_while_a_start_waits_is_refused_before_it(
    operator: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "adopt", lambda *_: None)
    action = request_action(make_request(operator, "o001", Unpushed.REFUSE))
    project.answer = {"changed": [], "commits": ["abc1234"]}
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, "commits that are not pushed (abc1234)" in action.message) == (State.FAILED, True)


@pytest.mark.parametrize(
    ("expid", "kind", "unpushed"),
    [("a001", "run", Unpushed.REFUSE), ("o001", "generate", Unpushed.REFUSE), ("o001", "run", Unpushed.IGNORE)],
)
def test_nobody_looks_at_a_project_without_need(
    manager: User, project: Project, expid: str, kind: str, unpushed: Unpushed
) -> None:
    preview_action(make_request(manager, expid, unpushed, kind))
    assert project.asked == 0


@pytest.mark.parametrize(
    "answer", [BrokenStore("The host is away."), {"changed": "all", "commits": []}, {"changed": []}, {"changed": [1]}]
)
def test_what_cannot_be_told_is_refused_where_a_site_refuses(operator: User, project: Project, answer: Any) -> None:
    project.answer = answer
    with pytest.raises(Conflict, match=r"Whether the project of o001 is pushed cannot be told"):
        request_action(make_request(operator, "o001", Unpushed.REFUSE))
