"""Settings that do harm together stop the start, or are warned about."""

from typing import Any

import pytest
from django_q.conf import Conf

from autosubmit_portal.checks import check_queue


def complaints(settings: Any, **values: Any) -> list[str]:
    """Return the ids of what the checks say of a queue with these settings."""
    settings.Q_CLUSTER = settings.Q_CLUSTER | values
    return [str(message.id) for message in check_queue()]


def test_the_settings_as_they_come_are_fine(settings: Any) -> None:
    assert complaints(settings) == []


@pytest.mark.parametrize(("retry", "found"), [(601, []), (600, ["portal.E001"])])
def test_a_task_must_not_be_sent_again_while_it_runs(settings: Any, retry: int, found: list[str]) -> None:
    assert complaints(settings, retry=retry, timeout=600) == found


@pytest.mark.parametrize(
    ("poll", "found"),
    [(0.009, ["portal.E002"]), (0.01, []), (10, []), (10.1, ["portal.E002"]), (0, ["portal.E002"])],
)
def test_a_worker_must_look_neither_all_the_time_nor_hardly_ever(
    settings: Any, poll: float, found: list[str]
) -> None:
    assert complaints(settings, poll=poll) == found


@pytest.mark.parametrize(
    ("name", "found"), [("north-1", []), ("no such", ["portal.E003"]), ("", ["portal.E003"])]
)
def test_the_queue_of_a_worker_must_be_one_that_a_site_can_have(
    settings: Any, monkeypatch: pytest.MonkeyPatch, name: str, found: list[str]
) -> None:
    monkeypatch.setattr(Conf, "CLUSTER_NAME", name)
    assert complaints(settings) == found


@pytest.mark.parametrize(("engine", "found"), [("sqlite3", ["portal.W001"]), ("postgresql", [])])
def test_redis_beside_sqlite_is_warned_about(
    settings: Any, monkeypatch: pytest.MonkeyPatch, engine: str, found: list[str]
) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", f"django.db.backends.{engine}")
    assert complaints(settings, redis="redis://localhost") == found


def test_each_complaint_says_what_to_do(settings: Any) -> None:
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"poll": 0}
    assert all(message.hint for message in check_queue())
