"""Fixtures of the API's tests: rows only. What needs the real Autosubmit is tested in tests/system."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from experiments.models import Experiment, Site
from jobs.models import Job
from tests.support import factories

# What a browser asks for.
PAGE = "text/html,application/xhtml+xml,*/*;q=0.8"
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "peer-4.2.0"


@pytest.fixture
def site(db: None) -> Site:
    """The default site; no Autosubmit is behind it."""
    return factories.create_site(slug="local", is_default=True)


@pytest.fixture
def experiment(site: Site) -> Experiment:
    """An experiment with three jobs, of which one has failed: INI, then SIM, then POST."""
    made = factories.create_experiment(site, expid="a000", description="Control run", owner="ana", hpc="MN5")
    ini = factories.create_job(made, "a000_20000101_fc0_INI", section="INI", status="COMPLETED", member="fc0")
    sim = factories.create_job(made, "a000_20000101_fc0_1_SIM", status="FAILED", member="fc0", chunk=1)
    post = factories.create_job(made, "a000_POST", section="POST")
    factories.create_dependency(ini, sim)
    factories.create_dependency(sim, post)
    return made


@pytest.fixture
def job(experiment: Experiment) -> Job:
    """The simulation of the experiment."""
    return experiment.jobs.get(section="SIM")


@pytest.fixture
def as_viewer(api: Callable[..., APIClient], viewer: User) -> APIClient:
    """A client with the token of somebody who may look."""
    return api(viewer)


@pytest.fixture
def as_operator(api: Callable[..., APIClient], operator: User) -> APIClient:
    """A client with the token of somebody who may start and stop."""
    return api(operator)


@pytest.fixture
def as_manager(api: Callable[..., APIClient], manager: User) -> APIClient:
    """A client with the token of somebody who may do everything that a role allows."""
    return api(manager)


@pytest.fixture
def as_person() -> Callable[[User], Client]:
    """Return a browser in which somebody has signed in, and which checks where a form comes from."""

    def sign_in(user: User) -> Client:
        client = Client(enforce_csrf_checks=True, headers={"accept": PAGE})
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def recorded() -> Callable[[str], Any]:
    """Return what Autosubmit API 4.2.0 answered to a path; without the recordings the test is skipped."""
    if not RECORDED.exists():
        pytest.skip("the recorded answers of Autosubmit API are not here")
    cases = json.loads((RECORDED / "manifest.json").read_text())["cases"]
    files = {case["path"]: case["file"] for case in cases}
    return lambda path: json.loads((RECORDED / "responses" / files[path]).read_text())
