"""The pages of the API lead to each other: whoever starts at the index finds everything by following links."""

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import resolve

from autosubmit_portal.api.urls import router
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
from experiments.models import Experiment, Site
from tests.api.test_browsable import send
from tests.api.test_user_metrics import ROWS
from tests.support import factories, stores
from tests.support.configured import make_store, write
from tests.support.corpus import HTML

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database


@pytest.fixture
def site(db: None, tmp_path: Path) -> Site:
    """A site with a store."""
    make_store(tmp_path, runs={1: {"DEFAULT": {"EXPID": "a000"}}})
    return factories.create_site(slug="local", is_default=True, home=str(tmp_path))


@pytest.fixture
def everything(experiment: Experiment, manager: User, tmp_path: Path) -> Experiment:
    """An experiment with a row and a file of everything."""
    experiment.refresh_from_db()
    folder = tmp_path / "a000" / "tmp"
    write(folder, {"ASLOGS/20261125_100000_run.log": "begins", "LOG_a000/a000_POST.1.out": "begins"})
    stores.make_database(folder / "metrics_a000.db", stores.USER_METRICS + ROWS)
    factories.create_run(experiment, run_id=1)
    action = factories.create_action(experiment)
    factories.create_freeze(experiment.site)
    factories.create_note(experiment, job_name="a000_POST")
    factories.create_delegation(manager, factories.create_user(), experiment=experiment)
    factories.create_token(manager)
    trail.record(
        "action.requested",
        origin=Origin(door=Door.API),
        subject="a000",
        site="local",
        expid="a000",
        action_id=action.pk,
    )
    return experiment


def read(client: Client, address: str) -> tuple[int, str]:
    """Return the status and the text of an answer."""
    answer = client.get(address)
    return answer.status_code, b"".join(answer if answer.streaming else [answer.content]).decode()


def leads(page: str) -> set[str]:
    """Return the addresses of the API that a page leads to, without its other formats."""
    urls = {unescape(url).removeprefix("http://testserver") for url in re.findall(r'href="([^"]+)"', page)}
    return {url for url in urls if url.startswith("/v4") and "format=" not in url}


def follow(client: Client, start: str) -> dict[str, int]:
    """Return what each address answers that the pages lead to, however far."""
    found: dict[str, int] = {}
    waiting = {start}
    while waiting:
        address = waiting.pop()
        found[address], page = read(client, address)
        waiting |= leads(page) - found.keys()
    return found


def test_every_page_is_found_and_every_link_leads_somewhere(
    as_person: Callable[[User], Client], manager: User, everything: Experiment
) -> None:
    found = follow(as_person(manager), "/v4")
    assert {address: status for address, status in found.items() if status != 200} == {}
    reached = {resolve(urlsplit(address).path).url_name for address in found}
    pages = {url.name for url in router.urls if url.name and "get" in url.callback.actions}  # type: ignore[union-attr]
    assert pages - reached == {"identity-verify-token"}


@pytest.mark.parametrize("page", ["", "/jobs", "/jobs/a000_POST", "/jobs/a000_POST/parents", "/logs", "/runs"])
def test_the_pages_of_an_experiment_stay_at_its_site(
    as_person: Callable[[User], Client], manager: User, everything: Experiment, page: str
) -> None:
    factories.create_experiment(expid="a000")
    status, text = read(as_person(manager), f"/v4/experiments/a000{page}?site=local")
    of_experiment = {url for url in leads(text) if url.startswith("/v4/experiments/")}
    assert status == 200
    assert of_experiment
    assert {url for url in of_experiment if "site=local" not in url} == set()


def test_the_jobs_of_an_action_are_links(
    as_person: Callable[[User], Client], viewer: User, experiment: Experiment
) -> None:
    changes = [["a000_POST", "READY"]]
    action = factories.create_action(experiment, job_changes=changes, parameters={"jobs": ["a000_1_INI"]})
    found = leads(read(as_person(viewer), f"/v4/actions/{action.pk}")[1])
    jobs = "/v4/experiments/a000/jobs"
    assert {f"{jobs}/a000_POST?site=local", f"{jobs}/a000_1_INI?site=local"} <= found


def test_the_jobs_that_would_change_are_links(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    jobs = "/v4/experiments/a000/jobs"
    values = {"status": "READY", "filter_status": "FAILED", "dry_run": "true"}
    told = send(as_person(operator), jobs, "partial_bulk_update-set_status", **values)
    assert f"{jobs}/a000_20000101_fc0_1_SIM?site=local" in leads(told.content.decode())


def test_the_jobs_of_a_wrapper_are_links(
    as_person: Callable[[User], Client], viewer: User, experiment: Experiment
) -> None:
    experiment.jobs.update(wrapper="a000_W")
    found = leads(read(as_person(viewer), "/v4/experiments/a000/wrappers")[1])
    assert "/v4/experiments/a000/jobs/a000_POST" in found


def test_a_page_that_answers_a_form_leads_back_to_itself(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment
) -> None:
    client = as_person(operator)
    page = send(client, "/v4/experiments/a000", "act-run", dry_run="true").content.decode()
    again = re.search(r'<a class="btn btn-primary" href="([^"]+)"', page)
    assert again
    assert read(client, again[1])[0] == 200


@pytest.mark.parametrize("text", HTML)
def test_hostile_text_becomes_neither_a_tag_nor_an_address(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment, text: str
) -> None:
    factories.create_job(experiment, text, section=text)
    Experiment.objects.update(description=text, owner=text)
    for address in ("/v4/experiments", "/v4/experiments/a000", "/v4/experiments/a000/jobs"):
        page = read(as_person(operator), address)[1]
        urls = re.findall(r'(?:href|src|action)="([^"]*)"', page)
        assert [url for url in urls if not url.startswith(("/", "#", "http://testserver/"))] == []
        assert re.findall(r"<[a-z][^>]*pwned", re.sub('"[^"]*"', "", page)) == []
        assert "pwned()" in page


ODD = """a000_1%41?x=1#y "z" <b>'/end"""


@pytest.mark.parametrize("below", ["", "/parents"])
def test_the_pages_of_a_job_are_found_whatever_its_name(
    as_person: Callable[[User], Client], operator: User, experiment: Experiment, below: str
) -> None:
    factories.create_job(experiment, ODD)
    client = as_person(operator)
    address = next(url for url in leads(read(client, "/v4/experiments/a000/jobs")[1]) if "end" in url)
    assert {read(client, url)[0] for url in leads(read(client, address + below)[1]) if "/logs" not in url} == {200}
    told = send(client, address, "partial_update-set_status", status="SUSPENDED", dry_run="true")
    # It was found: only Autosubmit's command does not take such a name.
    assert "Allowed is: letters, digits" in told.content.decode()
