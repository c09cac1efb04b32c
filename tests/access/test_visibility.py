"""What somebody may not see is nowhere: not in lists, numbers, filters, errors or the trail."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from rest_framework.test import APIClient

from autosubmit_portal.access.models import SiteRole
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Action, Experiment, Run, Site, State
from jobs.models import Job
from tests.console.pages import list_of, page_of, text_of
from tests.support import factories

LISTS = {Experiment: "experiments_experiment", Job: "jobs_job", Run: "experiments_run", Action: "experiments_action"}


@pytest.fixture
def experiment(db: None) -> Experiment:
    """An experiment with a row of everything."""
    return create("a000", slug="local", owner="ana", hpc="MN5")


@pytest.fixture
def hidden(experiment: Experiment) -> Experiment:
    """Another one, at another site."""
    return create("b000", slug="secretsite", owner="bea", hpc="SECRETHPC", is_running=True)


def create(expid: str, *, slug: str, **values: Any) -> Experiment:
    site = factories.create_site(slug=slug, name=slug, problem="It is broken.")
    made = factories.create_experiment(site, expid=expid, **values)
    factories.create_job(made, f"{expid}_SIM", section=f"{expid.upper()}PART", status="FAILED")
    factories.create_run(made)
    factories.create_action(made, state=State.FAILED, actor_name=f"by-{made.owner}")
    for event in ("action.requested", "action.refused"):
        AuditEntry.objects.create(event=event, door="api", site=slug, expid=expid)
    return made


@pytest.fixture
def member(experiment: Experiment, hidden: Experiment) -> User:
    """A manager in the team that covers a000, who has no other rights."""
    user = factories.create_user(username="ben")
    factories.create_team((user, Role.MANAGER), covers={"site": experiment.site, "owner": "ana"})
    return user


@pytest.fixture
def console(member: User) -> Client:
    """The console as the member sees it."""
    client = Client()
    client.force_login(member)
    return client


@pytest.fixture
def api(member: User) -> APIClient:
    """The API as the member sees it."""
    client = APIClient()
    client.force_authenticate(member)
    return client


@pytest.mark.parametrize("model", [Experiment, Job, Run, Action])
def test_a_query_has_the_rows_of_visible_experiments_only(member: User, model: Any) -> None:
    rows = model.objects.visible_to(member)
    assert model.objects.count() == 2
    assert {str(getattr(row, "experiment", row)) for row in rows} == {"a000"}


def test_a_site_is_visible_to_whoever_has_anything_there(member: User) -> None:
    assert [site.slug for site in Site.objects.visible_to(member)] == ["local"]


@pytest.mark.parametrize(
    "address", ["/v4/experiments", "/v4/actions", "/v4/sites", "/v4/audit", "/v4/audit?format=csv"]
)
def test_a_list_of_the_api_shows_and_counts_nothing_else(api: APIClient, address: str) -> None:
    answer = api.get(address)
    text = b"".join(answer) if answer.streaming else answer.content
    assert answer.status_code == 200
    assert b"local" in text
    assert b"secretsite" not in text
    assert b"b000" not in text
    if address == "/v4/experiments":
        assert answer.json()["pagination"]["total_items"] == 1


@pytest.mark.parametrize("query", ["expid=b000", "site=secretsite", "owner=bea", "query=b0"])
def test_no_filter_reaches_what_is_hidden(api: APIClient, query: str) -> None:
    assert api.get(f"/v4/experiments?{query}").json()["experiments"] == []


@pytest.mark.parametrize("name", [*LISTS.values(), "experiments_site", "audit_auditentry"])
def test_a_list_of_the_console_shows_nothing_else_in_rows_and_filters(console: Client, name: str) -> None:
    page = re.sub("[0-9a-f]{12,}", "", text_of(console.get(list_of(name))))  # a stamp may spell anything
    for secret in ("b000", "secretsite", "SECRETHPC", "bea"):
        assert secret not in page, secret


def test_now_counts_nothing_else(console: Client) -> None:
    page = console.get("/")
    assert page.context["totals"] == {
        "experiments": 1,
        "running_experiments": 0,
        "failed_experiments": 1,
        "needy_experiments": 0,
    }
    assert (page.context["jobs"], page.context["failures"]) == (1, [])
    assert {line.subject for line in page.context["acts"]} == {"a000"}
    for secret in ("b000", "secretsite", "by-bea"):
        assert secret not in text_of(page), secret


def test_a_filter_does_not_name_the_parts_of_what_is_hidden(console: Client, hidden: Experiment) -> None:
    assert "B000PART" not in text_of(console.get(f"{list_of('jobs_job')}?experiment={hidden.pk}"))


def test_an_expid_of_two_sites_means_the_one_that_is_seen(api: APIClient, hidden: Experiment) -> None:
    factories.create_experiment(hidden.site, expid="a000")
    assert api.get("/v4/experiments/a000").json()["site"] == "local"


def test_an_error_names_only_sites_that_are_seen(api: APIClient) -> None:
    answer = api.post("/v4/experiments?site=secretsite", {"description": "x"}, format="json")
    assert answer.json()["errors"] == {"site": ["“secretsite” is not a site. Legal: local."]}


def test_nobody_copies_what_they_may_not_see(api: APIClient, experiment: Experiment) -> None:
    Site.objects.update(problem="")
    factories.create_experiment(experiment.site, expid="c000", owner="bea")
    for expid, status in (("c000", 400), ("a000", 202)):
        body = {"description": "x", "copy": expid}
        assert api.post("/v4/experiments?site=local", body, format="json").status_code == status


def test_who_sees_everything_copies_what_is_not_mirrored_yet(manager: User, experiment: Experiment) -> None:
    Site.objects.update(problem="")
    client = APIClient()
    client.force_authenticate(manager)
    body = {"description": "x", "copy": "a0zz"}
    assert client.post("/v4/experiments?site=local", body, format="json").status_code == 202


def test_a_request_for_many_finds_only_what_is_seen(api: APIClient) -> None:
    body = {"kind": "stop", "targets": [{"expid": "a000"}, {"expid": "b000"}]}
    results = api.post("/v4/actions", body, format="json").json()["results"]
    assert [result["status"] for result in results] == [409, 404]


def test_a_creation_is_seen_by_its_actor_and_at_its_site(member: User, experiment: Experiment, viewer: User) -> None:
    at_site, stranger = (factories.create_user() for _ in range(2))
    SiteRole.objects.create(user=at_site, site=experiment.site, role=Role.VIEWER)
    factories.create_team((stranger, Role.VIEWER), covers={"owner": "ana"})
    values = {"kind": "create", "site": experiment.site, "actor_name": "ben", "door": "api"}
    action = Action.objects.create(actor=member, **values)
    seeing = [user for user in (member, at_site, viewer, stranger) if action in Action.objects.visible_to(user)]
    assert seeing == [member, at_site, viewer]


def test_a_permission_to_see_experiments_shows_no_jobs(experiment: Experiment, hidden: Experiment) -> None:
    user = factories.create_user()
    user.user_permissions.add(Permission.objects.get(codename="view_experiment"))
    factories.create_team((user, Role.VIEWER), covers={"owner": "ana"})
    client = APIClient()
    client.force_authenticate(user)
    addresses = [f"/v4/experiments/{expid}{part}" for expid in ("a000", "b000") for part in ("", "/jobs")]
    assert [client.get(address).status_code for address in addresses] == [200, 200, 200, 404]


# --- The trail


def entries(user: User) -> set[tuple[str, str]]:
    client = APIClient()
    client.force_authenticate(user)
    answer = client.get("/v4/audit?page_size=500")
    return {(entry["site"], entry["expid"]) for entry in answer.json().get("results", [])}


def test_a_manager_of_a_team_reads_the_trail_of_its_experiments(member: User) -> None:
    AuditEntry.objects.create(event="sign_in.succeeded", door="api")
    AuditEntry.objects.create(event="action.refused", door="api", site="local", expid="a999")
    assert entries(member) == {("local", "a000")}


def test_a_manager_of_a_site_reads_all_of_its_trail(experiment: Experiment, hidden: Experiment) -> None:
    user = factories.create_user()
    SiteRole.objects.create(user=user, site=experiment.site, role=Role.MANAGER)
    AuditEntry.objects.create(event="action.refused", door="api", site="local", expid="a999")
    assert entries(user) == {("local", "a000"), ("local", "a999")}


def test_who_holds_the_permission_reads_the_whole_trail(manager: User, hidden: Experiment) -> None:
    AuditEntry.objects.create(event="sign_in.succeeded", door="api")
    assert entries(manager) >= {("local", "a000"), ("secretsite", "b000"), ("", "")}


def test_an_operator_of_a_team_reads_no_trail(experiment: Experiment) -> None:
    user = factories.create_user()
    factories.create_team((user, Role.OPERATOR), covers={"owner": "ana"})
    assert entries(user) == set()


# --- What the pages say


def test_the_page_explains_what_one_may_not_do(experiment: Experiment) -> None:
    user, client = factories.create_user(username="ben"), Client()
    factories.create_team((user, Role.OPERATOR), covers={"owner": "ana"})
    client.force_login(user)
    page = text_of(client.get(page_of("experiments_experiment", experiment.pk)))
    assert "ben may not do “Generate” on a000: the role manager in a team that covers a000" in page
    assert "ben may not do “Start”" not in page


def test_who_may_do_everything_is_told_nothing(manager: User, experiment: Experiment) -> None:
    client = Client()
    client.force_login(manager)
    assert "Why can’t I" not in text_of(client.get(page_of("experiments_experiment", experiment.pk)))


def test_a_refused_page_names_what_is_missing(viewer: User, experiment: Experiment) -> None:
    client = Client()
    client.force_login(viewer)
    answer = client.get(f"/experiments/~{experiment.pk}/request/run/")
    assert answer.status_code == 403
    assert "experiments.request_run" in text_of(answer)


def test_a_script_asks_what_it_may_do(operator: User, experiment: Experiment) -> None:
    client = APIClient()
    client.force_authenticate(operator)
    told = client.get("/v4/experiments/a000/permissions").json()
    allowed = {row["kind"]: row["allowed"] for row in told["permissions"]}
    assert (told["expid"], told["site"]) == ("a000", "local")
    assert (allowed["run"], allowed["generate"], "create" in allowed) == (True, False, False)
