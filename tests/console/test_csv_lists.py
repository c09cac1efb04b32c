"""The lists of the console as CSV."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from autosubmit_portal.access.preferences import set_preferences
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.console.parts import csv_lists
from experiments.models import Experiment
from tests.console.pages import LISTS, list_of, text_of
from tests.support import factories


def read(client: Client, address: str, **query: str) -> list[dict[str, str]]:
    answer: Any = client.get(address, {**query, "format": "csv"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))


@pytest.mark.parametrize("name", LISTS)
def test_each_list_has_a_link_to_itself_as_csv(as_manager: Client, experiment: Experiment, name: str) -> None:
    factories.create_run(experiment, run_id=1)
    factories.create_action(experiment)
    assert "format=csv" in text_of(as_manager.get(list_of(name)))
    assert isinstance(read(as_manager, list_of(name)), list)


def test_the_file_has_the_rows_of_the_filters_in_the_order_of_the_list(
    as_viewer: Client, experiment: Experiment
) -> None:
    factories.create_job(experiment, "a000_SIM_2", status="FAILED", chunk=2)
    jobs = read(as_viewer, "/experiments/a000/jobs/", status="FAILED", o="-name")
    assert [(job["expid"], job["name"], job["status"]) for job in jobs] == [
        ("a000", "a000_SIM_2", "FAILED"),
        ("a000", "a000_SIM", "FAILED"),
    ]


def test_the_link_has_the_filters_of_the_page(as_viewer: Client, experiment: Experiment) -> None:
    page = text_of(as_viewer.get("/experiments/?q=a000&running=no"))
    assert 'href="?q=a000&amp;running=no&amp;format=csv"' in page


def test_nobody_gets_rows_that_they_may_not_see(experiment: Experiment, client: Client) -> None:
    stranger = factories.create_user()
    factories.create_team((stranger, Role.VIEWER), covers={"site": factories.create_site()})
    client.force_login(stranger)
    assert read(client, "/experiments/") == []
    client.force_login(factories.create_user())
    assert client.get("/experiments/?format=csv").status_code in (302, 403)


def test_a_cell_is_no_formula_and_shows_no_password(as_manager: Client, experiment: Experiment) -> None:
    Experiment.objects.update(description="=HYPERLINK(1)")
    factories.create_action(experiment, message="See https://me:secret@host/x")
    assert read(as_manager, "/experiments/")[0]["description"] == "'=HYPERLINK(1)"
    assert "secret" not in read(as_manager, list_of("experiments_action"))[0]["message"]


def test_a_team_is_taken_with_its_numbers(as_manager: Client, experiment: Experiment, viewer: User) -> None:
    team = factories.create_team((viewer, Role.MANAGER), slug="ocean", name="=Ocean", covers={"site": experiment.site})
    factories.create_delegation(viewer, factories.create_user(), team=team)
    (row,) = read(as_manager, list_of("access_team"))
    assert row == {
        "team": "ocean",
        "name": "'=Ocean",
        "description": "",
        "people": "1",
        "experiments": "1",
        "managers": "viewer",
        "delegations": "1",
        "coverage": "site local",
    }


def test_people_are_taken_with_roles_and_teams(as_admin: Client, viewer: User) -> None:
    factories.create_team((viewer, Role.OPERATOR), slug="ocean")
    (row,) = read(as_admin, list_of("auth_user"), q="viewer")
    assert (row["name"], row["roles"], row["teams"], row["is_active"]) == ("viewer", "Viewer", "ocean operator", "True")


def test_tokens_are_taken_without_what_signs_in(as_viewer: Client, viewer: User) -> None:
    text = factories.create_token(viewer, name="nightly", kinds=[])
    factories.create_token(factories.create_user(), name="of another")
    (row,) = read(as_viewer, list_of("access_apitoken"))
    assert (row["name"], row["person"], row["for"]) == ("nightly", "viewer", "Only to read")
    assert not any(text in cell for cell in row.values())


def test_freezes_and_delegations_are_taken_with_their_times(
    as_manager: Client, experiment: Experiment, viewer: User
) -> None:
    factories.create_freeze(experiment.site, platform="MN5", message="+cmd https://me:secret@host/x")
    (frozen,) = read(as_manager, list_of("experiments_freeze"))
    assert (frozen["site"], frozen["platform"], frozen["message"][:5]) == ("local", "MN5", "'+cmd")
    assert "secret" not in frozen["message"]
    factories.create_delegation(viewer, factories.create_user(username="bea"), experiment=experiment)
    (lent,) = read(as_manager, list_of("access_delegation"))
    assert (lent["from"], lent["to"], lent["role"], lent["of"]) == ("viewer", "bea", "operator", "a000 at local")
    assert lent["ends_at (UTC)"].endswith("+00:00")


def test_lockouts_are_taken_with_their_end(as_manager: Client) -> None:
    factories.create_failed_sign_in(username="ana", failures_since_start=settings.AXES_FAILURE_LIMIT)
    (row,) = read(as_manager, list_of("access_failedsignin"))
    assert (row["name"], row["locked_out"], row["until (UTC)"] > row["last_failure (UTC)"]) == ("ana", "name", True)


def test_the_file_is_bounded(as_viewer: Client, experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lists, "MOST_ROWS", 2)
    assert len(read(as_viewer, "/jobs/")) == 2


def test_that_the_trail_was_taken_is_recorded(as_manager: Client, experiment: Experiment) -> None:
    read(as_manager, list_of("audit_auditentry"), event="x")
    entry = AuditEntry.objects.get(event="audit.exported")
    assert entry.details == {"format": "csv", "query": {"event": "x"}}


def test_a_filter_that_there_is_not_leads_to_the_list(as_viewer: Client, experiment: Experiment) -> None:
    answer = as_viewer.get("/experiments/", {"format": "csv", "nonsense": "1"})
    assert (answer.status_code, answer["Location"]) == (302, "/experiments/")


def test_times_are_utc_as_their_headings_say_whoever_takes_them(
    as_viewer: Client, viewer: User, experiment: Experiment
) -> None:
    factories.create_run(experiment, run_id=1, started_at=datetime(2031, 7, 1, 12, tzinfo=UTC))
    set_preferences(viewer, time_zone="Asia/Tokyo", language="")
    (run,) = read(as_viewer, "/runs/")
    assert run["started_at (UTC)"] == "2031-07-01T12:00:00+00:00"
    assert "total (UTC)" not in run
