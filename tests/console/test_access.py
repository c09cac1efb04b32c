"""Who gets into the console, and what they find there."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Experiment
from jobs.models import Job
from tests.console.pages import LISTS, list_of, page_of, text_of
from tests.support import factories

pytestmark = pytest.mark.one_database

PASSWORD = "correct horse"
LOGIN = "/login/"


def sign_in(client: Client, user: User) -> int:
    user.set_password(PASSWORD)
    user.save()
    return client.post(LOGIN, {"username": user.username, "password": PASSWORD}).status_code


@pytest.mark.parametrize("role", Role)
def test_a_member_of_a_group_signs_in(client: Client, actor: Callable[..., User], role: Role) -> None:
    user = actor(role)
    assert not user.is_staff
    assert sign_in(client, user) == 302
    assert client.get("/").status_code == 200


def test_one_permission_to_see_something_is_enough(client: Client, actor: Callable[..., User]) -> None:
    auditor = actor()
    auditor.user_permissions.add(Permission.objects.get(codename="view_auditentry"))
    assert sign_in(client, auditor) == 302
    assert client.get(list_of("audit_auditentry")).status_code == 200
    assert client.get(list_of("experiments_experiment")).status_code == 403


def test_who_may_see_nothing_stays_outside_and_is_told_why(client: Client, actor: Callable[..., User]) -> None:
    user = actor(is_staff=True)
    user.set_password(PASSWORD)
    user.save()
    answer = client.post(LOGIN, {"username": user.username, "password": PASSWORD})
    assert "Ask a manager for a group" in text_of(answer)
    assert client.get("/").status_code == 302
    entry = AuditEntry.objects.get(event="sign_in.failed")
    assert (entry.subject, "Ask a manager" in entry.message) == (f"user {user}", True)


def test_a_wrong_password_says_nothing_about_the_account(client: Client, viewer: User) -> None:
    answers = [
        text_of(client.post(LOGIN, {"username": name, "password": "guessed"})).partition("errornote")[2][:200]
        for name in (viewer.username, "nobody")
    ]
    assert answers[0] == answers[1] != ""


def test_a_closed_account_stays_outside(client: Client, actor: Callable[..., User]) -> None:
    assert sign_in(client, actor(Role.MANAGER, is_active=False)) == 200
    assert client.get("/").status_code == 302


def test_who_leaves_the_group_is_out_at_once(as_viewer: Client, viewer: User) -> None:
    assert as_viewer.get("/").status_code == 200
    viewer.groups.clear()
    assert as_viewer.get("/").status_code == 302


@pytest.mark.parametrize("name", LISTS)
def test_nobody_sees_a_page_without_signing_in(client: Client, job: Job, name: str) -> None:
    answer = client.get(list_of(name))
    assert answer.status_code == 302
    assert answer["Location"].startswith(LOGIN)


@pytest.mark.parametrize(
    ("role", "hidden"),
    [(Role.VIEWER, {"audit_auditentry"}), (Role.OPERATOR, {"audit_auditentry"}), (Role.MANAGER, set())],
)
def test_a_role_sees_its_lists(as_role: Callable[[Role], Client], job: Job, role: Role, hidden: set[str]) -> None:
    client = as_role(role)
    seen = {name for name in LISTS if client.get(list_of(name)).status_code == 200}
    assert seen == set(LISTS) - hidden


@pytest.mark.parametrize("role", Role)
def test_a_role_sees_the_pages_of_rows(as_role: Callable[[Role], Client], job: Job, role: Role) -> None:
    client = as_role(role)
    run = factories.create_run(job.experiment)
    action = factories.create_action(job.experiment)
    pages = {
        "experiments_experiment": job.experiment.pk,
        "jobs_job": job.pk,
        "experiments_run": run.pk,
        "experiments_action": action.pk,
        "experiments_site": job.experiment.site.pk,
    }
    assert {client.get(page_of(name, pk)).status_code for name, pk in pages.items()} == {200}


@pytest.mark.parametrize("role", Role)
def test_accounts_are_for_those_with_their_permissions(as_role: Callable[[Role], Client], role: Role) -> None:
    client = as_role(role)
    codes = [client.get(list_of(name)).status_code for name in ("auth_user", "auth_group")]
    assert codes == [403, 403]
    assert f'href="{list_of("auth_user")}"' not in text_of(client.get("/"))


def test_the_first_account_puts_somebody_into_a_group(as_admin: Client, actor: Callable[..., User]) -> None:
    user = actor()
    group = factories.create_user(Role.OPERATOR).groups.get()
    fields = {"username": user.username, "groups": [group.pk]}
    assert as_admin.post(reverse("admin:auth_user_edit", args=[user]), fields).status_code == 302
    assert list(user.groups.all()) == [group]


def test_the_trail_is_on_the_pages_of_those_who_may_read_it(
    as_operator: Client, as_manager: Client, experiment: Experiment
) -> None:
    address = page_of("experiments_experiment", experiment.pk)
    shown = [">Audit trail<" in text_of(client.get(address)) for client in (as_operator, as_manager)]
    assert shown == [False, True]


def test_a_row_that_is_not_there_is_not_found(as_viewer: Client, experiment: Experiment) -> None:
    assert as_viewer.get(f"/experiments/~{experiment.pk + 1}/").status_code == 404
    for key in ("nonsense", 10**30, "-1"):
        assert as_viewer.get(f"/experiments/~{key}/").status_code == 404
