"""Fixtures of the console's tests: rows and Django's client. What needs a browser is tested in tests/system."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from autosubmit_portal.access.roles import Role
from experiments.models import Experiment, Site
from jobs.models import Job
from tests.support import factories


@pytest.fixture
def site(db: None) -> Site:
    """The default site; no Autosubmit is behind it."""
    return factories.create_site(slug="local", name="Local", is_default=True)


@pytest.fixture
def experiment(site: Site) -> Experiment:
    """An experiment with three jobs, of which one has failed: INI, then SIM, then POST."""
    made = factories.create_experiment(site, expid="a000", description="Control run", owner="ana", hpc="MN5")
    ini = factories.create_job(made, "a000_INI", section="INI", status="COMPLETED")
    sim = factories.create_job(made, "a000_SIM", status="FAILED", chunk=1)
    post = factories.create_job(made, "a000_POST", section="POST")
    factories.create_dependency(ini, sim)
    factories.create_dependency(sim, post)
    return made


@pytest.fixture
def job(experiment: Experiment) -> Job:
    """The simulation of the experiment."""
    return experiment.jobs.get(section="SIM")


@pytest.fixture
def signed_in(db: None) -> Callable[[User], Client]:
    """Make clients that have signed in, and that check the CSRF token only if told to."""

    def client(user: User, *, enforce_csrf_checks: bool = False) -> Client:
        made = Client(enforce_csrf_checks=enforce_csrf_checks)
        made.force_login(user)
        return made

    return client


@pytest.fixture
def as_role(signed_in: Callable[[User], Client], actor: Callable[..., User]) -> Callable[[Role], Client]:
    """Make clients of somebody in the group of a role."""
    return lambda role: signed_in(actor(role))


@pytest.fixture
def as_viewer(signed_in: Callable[[User], Client], viewer: User) -> Client:
    """Somebody who may look, at the console."""
    return signed_in(viewer)


@pytest.fixture
def as_operator(signed_in: Callable[[User], Client], operator: User) -> Client:
    """Somebody who may start and stop, at the console."""
    return signed_in(operator)


@pytest.fixture
def as_manager(signed_in: Callable[[User], Client], manager: User) -> Client:
    """Somebody who may do everything that a role allows, at the console."""
    return signed_in(manager)


@pytest.fixture
def as_admin(signed_in: Callable[[User], Client], admin_user: User) -> Client:
    """The first account, at the console."""
    return signed_in(admin_user)
