"""What a guard says of its worker becomes a row. The guards are real ones that guard nothing yet."""

import signal
import uuid
from collections.abc import Iterator
from datetime import timedelta
from multiprocessing import Event, get_context
from multiprocessing.process import BaseProcess

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from django.utils import timezone
from django_q.cluster import Sentinel
from django_q.conf import Conf
from django_q.status import Stat

from autosubmit_portal.workers import heartbeat, shutdown_flag
from autosubmit_portal.workers.heartbeat import Heartbeat
from autosubmit_portal.workers.models import SILENCE, Worker
from tests.support import factories

# A guard is in no transaction, and closes a connection that is in one.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def guard() -> Iterator[Sentinel]:
    """A guard that has started and has no processes yet; signals are as they were afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    made = Sentinel(Event(), Event(), uuid.uuid4(), start=False)
    made.start_event.set()
    made.monitor = made.pusher = _ended()
    yield made
    made.task_queue.close()
    made.result_queue.close()
    for number, handler in before.items():
        signal.signal(number, handler)


def _ended() -> BaseProcess:
    process = get_context("spawn").Process(target=int)  # a fork would take our database connection along
    process.start()
    process.join()
    return process


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether somebody was asked to leave what others can do."""
    calls: list[bool] = []
    monkeypatch.setattr(shutdown_flag, "ask", lambda: calls.append(True))
    return calls


def test_a_worker_appears_with_its_queue_host_and_seal(guard: Sentinel) -> None:
    Heartbeat().take(Stat(guard))
    row = Worker.objects.get()
    assert (row.queue, row.host, row.seal) == (Conf.CLUSTER_NAME, Stat(guard).host, heartbeat.make_seal())
    assert row.pk == guard.cluster_id
    assert row.free_bytes
    assert Worker.objects.alive().exists()


def test_a_worker_writes_once_in_a_beat(guard: Sentinel) -> None:
    heartbeat_of_worker = Heartbeat()
    heartbeat_of_worker.take(Stat(guard))
    Worker.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    heartbeat_of_worker.take(Stat(guard))
    assert not Worker.objects.alive().exists()


def test_a_worker_is_heard_of_again_when_its_beat_is_due(guard: Sentinel) -> None:
    heartbeat_of_worker = Heartbeat()
    heartbeat_of_worker.take(Stat(guard))
    Worker.objects.update(seen_at=F("seen_at") - timedelta(hours=1))
    heartbeat_of_worker.due = 0.0
    heartbeat_of_worker.take(Stat(guard))
    assert Worker.objects.alive().get().pk == guard.cluster_id


def test_a_worker_that_is_being_stopped_says_so_at_once_and_tells_its_processes(
    guard: Sentinel, asked: list[bool]
) -> None:
    heartbeat_of_worker = Heartbeat()
    heartbeat_of_worker.take(Stat(guard))
    guard.pool = [_ended()]
    guard.stop_event.set()
    heartbeat_of_worker.take(Stat(guard))
    assert Worker.objects.get().is_stopping
    assert asked == [True]


def test_a_worker_that_ends_in_peace_leaves_no_row(guard: Sentinel) -> None:
    heartbeat_of_worker = Heartbeat()
    heartbeat_of_worker.take(Stat(guard))
    guard.stop_event.set()
    heartbeat_of_worker.take(Stat(guard))
    assert not Worker.objects.exists()


def test_rows_of_workers_that_were_killed_long_ago_are_removed(guard: Sentinel) -> None:
    factories.create_worker(seen_at=timezone.now() - timedelta(days=2))
    Heartbeat().take(Stat(guard))
    assert Worker.objects.get().pk == guard.cluster_id


@pytest.mark.parametrize(
    ("age", "is_stopping", "lives"),
    [
        (timedelta(0), False, True),
        (SILENCE - timedelta(seconds=5), False, True),
        (SILENCE + timedelta(seconds=1), False, False),
        (timedelta(0), True, False),
    ],
)
def test_who_falls_silent_or_is_being_stopped_does_not_count(age: timedelta, is_stopping: bool, lives: bool) -> None:
    factories.create_worker(seen_at=timezone.now() - age, is_stopping=is_stopping)
    assert Worker.objects.alive().exists() == lives


def test_a_guard_lives_on_when_the_database_refuses_its_heartbeat(
    guard: Sentinel, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("the database is away")

    with connection.execute_wrapper(refuse):
        Stat(guard).save()
    assert "the database is away" in caplog.text


def test_workers_with_another_key_have_another_seal(settings: object) -> None:
    before = heartbeat.make_seal()
    settings.SECRET_KEY = "another key"  # type: ignore[attr-defined]
    assert heartbeat.make_seal() != before
