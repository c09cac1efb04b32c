"""The last use of a token: known to the minute, and no burden for the requests."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.access.sign_in import last_use
from autosubmit_portal.audit.models import AuditEntry

VERIFY = "/v4/auth/verify-token"
begin = last_use.begin  # while tests run, another stands there


@pytest.fixture
def client(api: Callable[..., APIClient], viewer: User) -> APIClient:
    """A client with the only token there is."""
    return api(viewer)


def test_the_time_and_the_address_are_written(client: APIClient) -> None:
    client.get(VERIFY, REMOTE_ADDR="192.0.2.7")
    last_use.write()
    token = ApiToken.objects.get()
    assert (token.last_used_at is not None, token.last_used_address) == (True, "192.0.2.7")


def test_a_request_itself_writes_nothing(client: APIClient) -> None:
    with CaptureQueriesContext(connection) as captured:
        client.get(VERIFY)
    assert [query["sql"] for query in captured if not query["sql"].startswith("SELECT")] == []


def test_a_use_within_the_minute_is_not_written_again(client: APIClient) -> None:
    client.get(VERIFY)
    last_use.write()
    client.get(VERIFY)
    assert last_use._noted == {}


def test_a_use_after_the_minute_is_written(client: APIClient) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    ApiToken.objects.update(last_used_at=long_ago)
    client.get(VERIFY)
    last_use.write()
    assert ApiToken.objects.get(last_used_at__gt=long_ago)


def test_a_later_use_that_another_process_wrote_stays(client: APIClient) -> None:
    client.get(VERIFY)
    later = timezone.now() + timedelta(seconds=5)
    ApiToken.objects.update(last_used_at=later)
    last_use.write()
    assert ApiToken.objects.get().last_used_at == later


def test_the_use_leaves_no_entry_in_the_trail(client: APIClient) -> None:
    before = AuditEntry.objects.count()
    client.get(VERIFY)
    last_use.write()
    assert AuditEntry.objects.count() == before


def test_a_database_that_is_busy_loses_the_note_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    def busy() -> None:
        raise DatabaseError("database is locked")

    monkeypatch.setattr(last_use, "write", busy)
    monkeypatch.setattr(last_use, "connections", type("None", (), {"close_all": lambda: closed.append(True)}))
    last_use._write_in_background()
    assert closed == [True]


def test_a_host_without_threads_answers_all_the_same(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(last_use, "begin", begin)
    monkeypatch.setattr(last_use, "Thread", no_thread)
    assert client.get(VERIFY).status_code == 200
    assert last_use._noted == {}
