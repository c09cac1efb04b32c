"""What follows from an entry of the catalogue alone: route, document, button, forms, text of the trail."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target
from experiments.models import Action
from jobs.models import Job
from tests.api.test_schema import document
from tests.console.pages import form_of, make_possible, page_of, text_of
from tests.support import factories
from tests.support.kinds import body_of, route_of

pytestmark = [
    pytest.mark.one_database,
    pytest.mark.django_db,
    pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE),
]


@pytest.fixture
def job(kind: ActionKind) -> Job:
    """A job of an experiment that the kind can be done to."""
    site = factories.create_site(slug="local", is_default=True)
    experiment = factories.create_experiment(site, expid="a000")
    job = factories.create_job(experiment, "a000_SIM")
    make_possible(kind, experiment)
    return job


@pytest.fixture
def asker(kind: ActionKind, actor: Callable[..., User]) -> User:
    """Somebody with the least role that may do it."""
    return actor(kind.role)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def console(asker: User) -> Client:
    """The browser in which they have signed in."""
    return signed_in(asker)


@pytest.fixture
def as_manager(actor: Callable[..., User]) -> Client:
    """A browser of somebody who may see the trail."""
    return signed_in(actor(Role.MANAGER))


def ask(api: Callable[..., APIClient], asker: User, kind: ActionKind) -> Any:
    method, address = route_of(kind)
    return getattr(api(asker), method)(address, body_of(kind, ["a000_SIM"]) | {"reason": "A test"}, format="json")


def test_the_route_makes_its_action(api: Callable[..., APIClient], asker: User, job: Job, kind: ActionKind) -> None:
    assert ask(api, asker, kind).status_code == 202
    assert Action.objects.get().kind == kind.name


def test_the_document_explains_it_at_its_route(kind: ActionKind) -> None:
    method, address = route_of(kind, "{expid}")
    described = str(document()["paths"][address.partition("?")[0]][method])
    assert kind.title in described  # an example of the body
    assert kind.help in str(document()["components"]["schemas"])


def test_the_console_has_its_button_and_a_field_for_each_option(console: Client, job: Job, kind: ActionKind) -> None:
    pages = {
        Target.SITE: reverse("admin:experiments_experiment_changelist"),
        Target.EXPERIMENT: page_of("experiments_experiment", job.experiment.pk),
        Target.JOBS: page_of("jobs_job", job.pk),
    }
    assert f'href="{form_of(kind, job)}"' in text_of(console.get(pages[kind.target]))
    fields = set(re.findall(r'name="(\w+)"', text_of(console.get(form_of(kind, job)))))
    fixed = {option.name for option in kind.options if option.choose}  # the page says of which job
    fixed |= {option.name for option in kind.options if option.names_program}  # this site has one
    fixed |= {name for question in kind.questions for name in question.replaced}
    asked = {question.name for question in kind.questions}
    assert fields >= {option.name for option in kind.options} - fixed | asked | {"reason"}


def test_the_pages_of_the_api_have_its_form_with_a_field_for_each_option(
    console: Client, job: Job, kind: ActionKind
) -> None:
    page = text_of(console.get(route_of(kind)[1].partition("?")[0], headers={"accept": "text/html"}))
    form = re.search(rf'<details class="said" id="\w+-{kind.name}".*?</details>', page, re.DOTALL)
    assert form
    fields = set(re.findall(r'name="(\w+)"', form[0]))
    assert fields >= {option.name for option in kind.options} | {"reason", "dry_run"}


def test_the_trail_says_who_asked_for_it(
    api: Callable[..., APIClient], asker: User, as_manager: Client, job: Job, kind: ActionKind
) -> None:
    ask(api, asker, kind)
    entry = AuditEntry.objects.get(event="action.requested")
    page = text_of(as_manager.get(page_of("audit_auditentry", entry.pk)))
    assert f"{kind.title} #{entry.action_id}" in page
    assert asker.get_username() in page
