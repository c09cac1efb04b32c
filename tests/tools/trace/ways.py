"""The four ways that are measured, of one operator against rows made by the factories.

Each is asked twice, of two experiments that are alike: the first request makes what a process keeps, the second is the
warm one that counts. Each request of the API comes with a token of its own, so that none is answered from memory.
"""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.access.roles import Role
from experiments.models import Experiment
from tests.support import factories
from tests.tools.trace.crossing import Crossing, crossing_of

Ask = Callable[[User, Experiment], Callable[[], Any]]


def run_an_action(user: User, experiment: Experiment) -> Callable[[], Any]:
    """Return the request that starts the experiment."""
    client, address = with_token(user), f"/v4/experiments/{experiment.expid}?action=run"
    return lambda: client.post(address, data={}, content_type="application/json")


def set_status_by_filter(user: User, experiment: Experiment) -> Callable[[], Any]:
    """Return the request that makes the failed jobs ready."""
    client, address = with_token(user), f"/v4/experiments/{experiment.expid}/jobs"
    wanted = {"status": "READY", "filter_status": ["FAILED"]}
    return lambda: client.patch(address, data=wanted, content_type="application/json")


def list_of_jobs(user: User, experiment: Experiment) -> Callable[[], Any]:
    """Return the request for the jobs."""
    client, address = with_token(user), f"/v4/experiments/{experiment.expid}/jobs"
    return lambda: client.get(address)


def experiment_page(user: User, experiment: Experiment) -> Callable[[], Any]:
    """Return the request for the page of the console with its buttons."""
    client = Client()
    client.force_login(user)
    address = reverse("admin:experiments_experiment_change", args=[experiment])
    return lambda: client.get(address)


WAYS: dict[str, Ask] = {
    "run an action": run_an_action,
    "set status by filter": set_status_by_filter,
    "list of jobs": list_of_jobs,
    "experiment page": experiment_page,
}


def measure(ask: Ask) -> Crossing:
    """Return what a warm request crosses; makes the rows."""
    user = factories.create_user(Role.OPERATOR)
    site = factories.create_site()
    warm, measured = (ask(user, create_experiment(site)) for _ in range(2))
    warm()
    return crossing_of(measured)


def create_experiment(site: Any) -> Experiment:
    """Create an experiment with three jobs, of which one has failed."""
    experiment = factories.create_experiment(site)
    for section, status in (("INI", "COMPLETED"), ("SIM", "FAILED"), ("POST", "WAITING")):
        factories.create_job(experiment, section=section, status=status)
    return experiment


def with_token(user: User) -> Client:
    """Return a client with a new token of the user that counts as just used."""
    client = Client(headers={"Authorization": f"Bearer {factories.create_token(user)}"})
    ApiToken.objects.filter(user=user).update(last_used_at=timezone.now())
    return client
