"""`Prefer: wait=N`."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from autosubmit_portal.access.roles import Role
from autosubmit_portal.api.action_requests import read_wait
from experiments.actions import queue
from experiments.models import Action, Experiment, State
from experiments.permissions import synchronise_permissions
from tests.support import factories

RUN = "/v4/experiments/a000?action=run"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("wait=5", 5),
        ("Wait=5", 5),
        ('wait="5"', 5),
        ("wait = 5", 5),
        ("respond-async, wait=5", 5),
        ("wait=5; foo=bar", 5),
        ("wait=0", 0),
        ("wait=9999", 60),
        ("wait=-1", None),
        ("wait=soon", None),
        ("await=5", None),
        ("respond-async", None),
    ],
)
def test_the_header_is_read_as_rfc_7240_says(header: str, seconds: int | None) -> None:
    assert read_wait(header) == seconds


def test_without_the_header_nothing_waits(as_operator: APIClient, experiment: Experiment) -> None:
    answer = as_operator.post(RUN)
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer


def test_what_does_not_end_in_time_is_answered_as_it_is(as_operator: APIClient, experiment: Experiment) -> None:
    started = time.monotonic()
    answer = as_operator.post(RUN, HTTP_PREFER="wait=1")
    assert time.monotonic() - started >= 1
    assert (answer.status_code, answer["Preference-Applied"]) == (202, "wait=1")
    assert answer["Location"] == f"/v4/actions/{Action.objects.get().pk}"


@pytest.fixture
def worker(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker that ends each action soon after it was sent, from a thread and connection of its own."""
    threads: list[threading.Thread] = []

    def end(action_id: int) -> None:
        time.sleep(0.3)
        Action.objects.filter(pk=action_id).update(state=State.SUCCEEDED, exit_status=0, message="Done")
        connection.close()

    def send(task: str, action_id: int, **options: Any) -> None:
        threads.append(threading.Thread(target=end, args=(action_id,)))
        threads[-1].start()

    monkeypatch.setattr(queue, "async_task", send)
    yield
    for thread in threads:
        thread.join()


def test_what_ends_in_time_is_answered_finished(worker: None, api: Callable[..., APIClient]) -> None:
    synchronise_permissions()
    factories.create_job(factories.create_experiment(expid="a000"))
    started = time.monotonic()
    answer = api(factories.create_user(Role.OPERATOR)).post(RUN, HTTP_PREFER="wait=60")
    assert time.monotonic() - started < 60
    assert (answer.status_code, answer["Preference-Applied"]) == (200, "wait=60")
    assert (answer.json()["state"], answer.json()["message"]) == ("succeeded", "Done")
