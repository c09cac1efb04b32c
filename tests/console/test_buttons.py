"""Which buttons somebody sees, held against every entry of the catalogue."""

from collections.abc import Callable

import pytest
from django.test import Client

from autosubmit_portal.access.roles import Role
from experiments.catalogue.kinds import CATALOGUE, SET_STATUS, SET_STATUS_LIVE, ActionKind, Target
from experiments.models import Experiment, Site, State
from jobs.models import Job
from tests.console.pages import form_of, list_of, make_possible, page_of, text_of
from tests.support import factories

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

KINDS = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
PAGES = {
    Target.SITE: lambda job: list_of("experiments_experiment"),
    Target.EXPERIMENT: lambda job: page_of("experiments_experiment", job.experiment.pk),
    Target.JOBS: lambda job: page_of("jobs_job", job.pk),
}


@KINDS
@pytest.mark.parametrize("role", Role)
def test_a_role_has_the_buttons_of_its_kinds(
    as_role: Callable[[Role], Client], job: Job, role: Role, kind: ActionKind
) -> None:
    make_possible(kind, job.experiment)
    page = text_of(as_role(role).get(PAGES[kind.target](job)))
    assert (f'href="{form_of(kind, job)}"' in page) is (role >= kind.role)


@KINDS
@pytest.mark.parametrize("role", Role)
def test_a_form_opens_for_the_roles_of_its_kind(
    as_role: Callable[[Role], Client], job: Job, role: Role, kind: ActionKind
) -> None:
    code = as_role(role).get(form_of(kind, job)).status_code
    assert code == (200 if role >= kind.role else 403)


@pytest.mark.parametrize("role", Role)
def test_the_menu_of_the_jobs_has_the_kinds_of_the_role(
    as_role: Callable[[Role], Client], job: Job, role: Role
) -> None:
    page = text_of(as_role(role).get(list_of("jobs_job")))
    names = {kind.name for kind in CATALOGUE.values() if kind.target is Target.JOBS and role >= kind.role}
    assert {name for name in CATALOGUE if f'<option value="{name}">' in page} == names


def test_a_button_that_is_not_possible_says_why(as_operator: Client, experiment: Experiment) -> None:
    page = text_of(as_operator.get(page_of("experiments_experiment", experiment.pk)))
    assert "not now. a000 is not running (no run was seen)." in page


def test_a_button_names_the_action_in_the_way(as_operator: Client, experiment: Experiment) -> None:
    action = factories.create_action(experiment)
    page = text_of(as_operator.get(page_of("experiments_experiment", experiment.pk)))
    assert f"Action {action.pk} is active on a000. Wait for it, or cancel it." in page


def test_the_buttons_of_a_sick_site_say_what_is_wrong(as_operator: Client, experiment: Experiment) -> None:
    Site.objects.update(problem="The program is gone.")
    page = text_of(as_operator.get(page_of("experiments_experiment", experiment.pk)))
    assert 'title="The site local is unhealthy: The program is gone."' in page


def test_a_kind_that_is_switched_off_says_so(as_operator: Client, experiment: Experiment) -> None:
    Site.objects.update(disabled_kinds=["run"])
    page = text_of(as_operator.get(page_of("experiments_experiment", experiment.pk)))
    assert "“Start” is switched off at the site local." in page


@pytest.mark.parametrize("name", ["experiments_experiment", "jobs_job"])
@pytest.mark.parametrize(("is_running", "offered"), [(False, SET_STATUS), (True, SET_STATUS_LIVE)])
def test_one_button_sets_a_status_and_asks_the_run_if_there_is_one(
    as_operator: Client, job: Job, name: str, is_running: bool, offered: ActionKind
) -> None:
    Experiment.objects.update(is_running=is_running)
    pk = job.pk if name == "jobs_job" else job.experiment.pk
    page = text_of(as_operator.get(page_of(name, pk)))
    shown = {kind for kind in (SET_STATUS, SET_STATUS_LIVE) if f"/{kind.name}/" in page}
    assert shown == {offered}


def test_what_nobody_can_do_now_has_one_button_too(as_operator: Client, job: Job) -> None:
    Site.objects.update(problem="The program is gone.")
    page = text_of(as_operator.get(page_of("jobs_job", job.pk)))
    assert (page.count(SET_STATUS.title), SET_STATUS_LIVE.title in page) == (1, False)


def test_the_form_of_what_is_not_possible_offers_what_is(as_operator: Client, job: Job) -> None:
    Experiment.objects.update(is_running=True)
    page = text_of(as_operator.get(form_of(SET_STATUS, job)))
    assert "Not possible now." in page
    assert f'href="{form_of(SET_STATUS_LIVE, job)}"' in page


def test_a_starting_run_can_be_stopped(as_operator: Client, job: Job) -> None:
    factories.create_action(job.experiment, state=State.RUNNING)
    page = text_of(as_operator.get(page_of("experiments_experiment", job.experiment.pk)))
    assert f'href="{form_of(CATALOGUE["stop"], job)}"' in page
