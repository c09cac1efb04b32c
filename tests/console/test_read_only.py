"""What the console cannot do: nothing that Autosubmit or the trail says is changed here."""

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import NoReverseMatch, reverse

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.site import console
from experiments.models import Action, Experiment, Run
from jobs.models import Job
from tests.console.pages import LISTS, READ_ONLY, list_of, page_of
from tests.support import factories

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

MODELS = (Experiment, Job, Run, Action, AuditEntry)


@pytest.fixture
def rows(job: Job) -> dict[str, int]:
    """One row of each read-only model, by the name of its pages."""
    factories.create_run(job.experiment)
    factories.create_action(job.experiment)
    return {model._meta.label_lower.replace(".", "_"): model._default_manager.latest("pk").pk for model in MODELS}


def counts() -> list[int]:
    return [model._default_manager.count() for model in MODELS]


def test_every_mirrored_model_and_the_trail_are_read_only() -> None:
    kinds = [type(console.get_model_admin(model)) for model in MODELS]
    assert all(issubclass(kind, ReadOnlyAdmin) for kind in kinds)


@pytest.mark.parametrize("what", ["add", "delete", "history"])
@pytest.mark.parametrize("name", READ_ONLY)
def test_there_is_no_address_that_changes_a_row(name: str, what: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(f"admin:{name}_{what}", args=[] if what == "add" else [1])


@pytest.mark.parametrize("name", READ_ONLY)
@pytest.mark.parametrize("end", ["add/", "{}/delete/", "{}/history/"])
def test_even_the_first_account_finds_no_such_page(as_admin: Client, rows: dict[str, int], name: str, end: str) -> None:
    before = counts()
    answer = as_admin.post(list_of(name) + end.format(rows[name]), {"post": "yes"})
    assert (answer.status_code, counts()) == (404, before)


@pytest.mark.parametrize("name", READ_ONLY)
def test_even_the_first_account_changes_no_row(as_admin: Client, rows: dict[str, int], name: str) -> None:
    answer = as_admin.post(page_of(name, rows[name]), {"message": "changed", "status": "COMPLETED"})
    assert answer.status_code == 403


@pytest.mark.parametrize("name", READ_ONLY)
def test_the_list_deletes_nothing(as_admin: Client, rows: dict[str, int], name: str) -> None:
    before = counts()
    as_admin.post(list_of(name), {"action": "delete_selected", "_selected_action": [rows[name]], "post": "yes"})
    assert counts() == before


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("what", ["add", "change", "delete"])
def test_no_permission_lets_anybody_change_a_row(model: type, what: str, rf: object, admin_user: object) -> None:
    request = rf.get("/")  # type: ignore[attr-defined]
    request.user = admin_user
    assert getattr(console.get_model_admin(model), f"has_{what}_permission")(request) is False


@pytest.mark.parametrize("name", LISTS)
def test_looking_at_a_list_changes_nothing(as_admin: Client, rows: dict[str, int], name: str) -> None:
    before = counts()
    assert as_admin.get(list_of(name), {"action": "delete_selected"}, follow=True).status_code == 200
    assert counts() == before


def test_a_site_is_changed_by_managers_and_deleted_by_nobody(
    as_operator: Client, as_manager: Client, as_admin: Client, job: Job
) -> None:
    site = job.experiment.site
    fields = {
        "name": "Renamed",
        "slug": site.slug,
        "autosubmit": site.autosubmit,
        "home": site.home,
        "queue": site.queue,
        "refresh_seconds": 2,
        "approval_hours": 24,
        "run_as": "service",
        "unpushed": "warn",
        "hosts-TOTAL_FORMS": 0,
        "hosts-INITIAL_FORMS": 0,
    }
    address = page_of("experiments_site", site.pk)
    codes = [client.post(address, fields).status_code for client in (as_operator, as_manager)]
    assert codes == [403, 302]
    assert as_admin.post(address.replace("change", "delete"), {"post": "yes"}).status_code == 403


def test_what_the_console_does_not_name_has_no_page(as_admin: Client) -> None:
    for name in ("django_q/schedule", "django_q/ormq", "sessions/session", "admin/logentry"):
        assert as_admin.get(f"/{name}/").status_code == 404
    assert admin.site._registry != console._registry


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_change_nothing(as_admin: Client, rows: dict[str, int], method: str) -> None:
    call: Callable[..., object] = getattr(as_admin, method)
    before = counts()
    for name in READ_ONLY:
        call(page_of(name, rows[name]))
    assert counts() == before
