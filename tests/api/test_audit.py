"""Reading the audit trail."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Experiment

EARLY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def entries(as_manager: APIClient) -> list[AuditEntry]:
    """Three entries of different people, events and times, and none of anything else."""
    wanted: list[dict[str, Any]] = [
        {
            "event": "action.requested",
            "actor_name": "ana",
            "expid": "a000",
            "kind": "run",
            "action_id": 7,
            "credential": "API token ab12cd34 nightly",
        },
        {
            "event": "action.refused",
            "actor_name": "ben",
            "expid": "a000",
            "kind": "stop",
            "message": "=1+1",
            "credential": "session",
            "on_behalf_of": "eve",
        },
        {"event": "sign_in.failed", "actor_name": "", "door": "admin", "site": "local"},
    ]
    return [
        AuditEntry.objects.create(**{"door": "api", "at": EARLY + timedelta(days=day)} | values)
        for day, values in enumerate(wanted)
    ]


def found(client: APIClient, **query: Any) -> list[int]:
    answer = client.get("/v4/audit", {"until": "2026-02-01", **query})
    assert answer.status_code == 200, answer.data
    return [entry["id"] for entry in answer.json()["results"]]


def streamed(client: APIClient, **query: Any) -> str:
    answer = client.get("/v4/audit", {"until": "2026-02-01", **query})
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def test_entries_come_newest_first(as_manager: APIClient, entries: list[AuditEntry]) -> None:
    assert found(as_manager) == [entry.pk for entry in reversed(entries)]


@pytest.mark.parametrize(
    ("query", "indices"),
    [
        ({"actor": "ana"}, [0]),
        ({"event": "action.refused"}, [1]),
        ({"event": "action.*"}, [1, 0]),
        ({"event": "action"}, []),
        ({"expid": "a000"}, [1, 0]),
        ({"site": "local"}, [2]),
        ({"kind": "stop"}, [1]),
        ({"door": "admin"}, [2]),
        ({"credential": "API token ab12cd34*"}, [0]),
        ({"credential": "session"}, [1]),
        ({"on_behalf_of": "eve"}, [1]),
        ({"event": "*refused"}, [1]),
        ({"action": "7"}, [0]),
        ({"since": "2026-01-02"}, [2, 1]),
        ({"since": "2026-01-02T00:00:00Z"}, [2, 1]),
        ({"since": "2026-01-02T01:00:00 01:00"}, [2, 1]),
        ({"until": "2026-01-02T00:00:00"}, [0]),
    ],
    ids=str,
)
def test_entries_are_filtered(
    as_manager: APIClient, entries: list[AuditEntry], query: dict[str, str], indices: list[int]
) -> None:
    assert found(as_manager, **query) == [entries[index].pk for index in indices]


@pytest.mark.parametrize(("query", "field"), [("since=yesterday", "since"), ("door=window", "door"), ("who=me", "who")])
def test_a_wrong_parameter_is_named(as_manager: APIClient, query: str, field: str) -> None:
    answer = as_manager.get(f"/v4/audit?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]


def test_an_entry_is_shown_whole(as_manager: APIClient, entries: list[AuditEntry]) -> None:
    entry = as_manager.get("/v4/audit?actor=ana").json()["results"][0]
    assert (entry["at"], entry["event"], entry["action"]) == ("2026-01-01T00:00:00+00:00", "action.requested", 7)


@pytest.mark.parametrize("place", ["", "/{}", "?format=jsonl", "?format=csv"])
def test_a_secret_that_was_recorded_is_hidden(as_manager: APIClient, place: str) -> None:
    text = "git clone https://ana:hunter2@x.example"
    entry = AuditEntry.objects.create(event="x.y", door="api", at=EARLY, details={"p": text}, message=text)
    answer = as_manager.get(f"/v4/audit{place.format(entry.pk)}")
    shown = b"".join(answer) if answer.streaming else answer.content
    assert b"ana:********@x.example" in shown
    assert b"hunter2" not in shown


def test_entries_after_one_and_of_a_time_in_words_are_found(as_manager: APIClient, entries: list[AuditEntry]) -> None:
    assert found(as_manager, after=entries[1].pk) == [entries[2].pk]
    assert found(as_manager, period="last_7_days") == []


@pytest.mark.parametrize("format_name", ["jsonl", "csv"])
def test_an_export_is_recorded_with_what_was_asked_for(as_manager: APIClient, format_name: str) -> None:
    streamed(as_manager, format=format_name, expid="a000")
    entry = AuditEntry.objects.get(event="audit.exported")
    asked = {"expid": "a000", "until": "2026-02-01 00:00:00+00:00"}
    assert entry.details == {"format": format_name, "query": asked}
    assert (entry.actor_name, entry.credential[:9]) == ("manager", "API token")


def test_looking_is_not_recorded(as_manager: APIClient) -> None:
    before = AuditEntry.objects.count()
    found(as_manager)
    assert AuditEntry.objects.count() == before


def test_everything_that_a_token_did_is_found_by_its_name(
    as_operator: APIClient, as_manager: APIClient, experiment: Experiment
) -> None:
    as_operator.post("/v4/experiments/a000?action=stop")
    credential = ApiToken.objects.get(user__username="operator").credential
    entry = as_manager.get("/v4/audit", {"credential": credential}).json()["results"][0]
    assert (entry["actor"], entry["event"]) == ("operator", "action.refused")


@pytest.mark.parametrize("role", ["as_viewer", "as_operator"])
def test_it_needs_its_own_permission(request: pytest.FixtureRequest, role: str) -> None:
    answer = request.getfixturevalue(role).get("/v4/audit")
    assert (answer.status_code, answer.json()["permission"]) == (403, "audit.view_auditentry")


def test_json_lines_are_all_entries(as_manager: APIClient, entries: list[AuditEntry]) -> None:
    lines = [json.loads(line) for line in streamed(as_manager, format="jsonl", page_size="1").splitlines()]
    assert [line["id"] for line in lines] == [entry.pk for entry in reversed(entries)]
    assert lines[2] == as_manager.get("/v4/audit?actor=ana").json()["results"][0]


def test_the_accept_header_chooses_the_format(as_manager: APIClient, entries: list[AuditEntry]) -> None:
    answer = as_manager.get("/v4/audit", HTTP_ACCEPT="application/x-ndjson")
    assert answer["Content-Type"] == "application/x-ndjson; charset=utf-8"


def test_csv_has_a_header_and_all_entries(as_manager: APIClient, entries: list[AuditEntry]) -> None:
    rows = list(csv.DictReader(io.StringIO(streamed(as_manager, format="csv"))))
    assert [row["actor"] for row in rows] == ["", "ben", "ana"]
    assert json.loads(rows[0]["details"]) == {}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_csv_is_a_formula(as_manager: APIClient, entries: list[AuditEntry], text: str) -> None:
    AuditEntry.objects.create(event="x", door="api", at=EARLY, subject=text, message='"; quoted\nlines')
    row = next(csv.DictReader(io.StringIO(streamed(as_manager, format="csv", event="x"), newline="")))
    assert row["subject"] == f"'{text}"
    assert row["message"] == '"; quoted\nlines'


def test_a_stream_costs_the_same_number_of_queries_however_long(
    as_manager: APIClient, experiment: Experiment, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    AuditEntry.objects.bulk_create([AuditEntry(event="x", door="api") for _ in range(5000)])
    with django_assert_max_num_queries(6):
        assert streamed(as_manager, format="jsonl", event="x", until="").count("\n") == 5000


@pytest.mark.parametrize("number", ["0", "999999", "99999999999999999999"])
def test_an_unknown_entry_is_not_found(as_manager: APIClient, number: str) -> None:
    assert as_manager.get(f"/v4/audit/{number}").status_code == 404


def test_one_entry_needs_the_same_permission(as_viewer: APIClient) -> None:
    entry = AuditEntry.objects.create(event="x", door="api")
    answer = as_viewer.get(f"/v4/audit/{entry.pk}")
    assert (answer.status_code, answer.json()["permission"]) == (403, "audit.view_auditentry")
