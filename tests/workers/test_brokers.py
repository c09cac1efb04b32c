"""Where messages to workers wait: in the database, or in a real Redis."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.db import transaction
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from autosubmit_portal.workers.brokers import DatabaseBroker
from autosubmit_portal.workers.redis_broker import RedisBroker
from experiments.actions import queue
from experiments.actions.queue import ring
from experiments.actions.supervise import RESEND_AFTER, supervise
from experiments.models import Action, Site, State
from tests.support import factories
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.django_db
Send = Callable[[Action], None]


def messages(queue_name: str = "portal") -> list[tuple[str, tuple[object, ...]]]:
    """Take the next messages from a queue: what each calls, and with what."""
    taken = []
    while found := get_broker(queue_name).dequeue():
        tasks: list[Any] = [SignedPackage.loads(payload) for _, payload in found]
        taken += [(task["func"], task["args"]) for task in tasks]
    return taken


@pytest.fixture
def queued() -> Action:
    """An action that waits."""
    return factories.create_action(factories.create_experiment())


@pytest.fixture
def send(django_capture_on_commit_callbacks: Any) -> Send:
    """Send an action to its queue as a request does whose transaction commits."""

    def sent(action: Action) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            queue.send(action)

    return sent


def test_a_message_in_the_database_holds_an_id_and_nothing_else(queued: Action, send: Send) -> None:
    send(queued)
    assert isinstance(get_broker(), DatabaseBroker)
    assert messages() == [("experiments.tasks.execute", (queued.pk,))]


def test_a_message_in_redis_holds_an_id_and_nothing_else(at_redis: RedisServer, queued: Action, send: Send) -> None:
    send(queued)
    assert isinstance(get_broker(), RedisBroker)
    assert messages() == [("experiments.tasks.execute", (queued.pk,))]


def test_what_is_rolled_back_leaves_no_message_in_the_database() -> None:
    with transaction.atomic():
        async_task("experiments.tasks.prune")
        transaction.set_rollback(True)
    assert messages() == []


def test_a_message_in_the_database_is_for_one_queue_only() -> None:
    queue.send(factories.create_action(factories.create_experiment(factories.create_site(queue="north"))))
    ring(Site(queue="south"))
    assert messages("portal") == []
    assert messages("south") == [("experiments.tasks.supervise", ("south",))]


def test_a_message_in_redis_is_for_one_queue_only(at_redis: RedisServer) -> None:
    ring(Site(queue="south"))
    assert messages("portal") == []
    assert messages("south") == [("experiments.tasks.supervise", ("south",))]


def test_an_action_waits_when_redis_is_dead(
    at_dead_redis: None, queued: Action, send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    send(queued)
    queued.refresh_from_db()
    assert queued.state == State.QUEUED
    assert f"“execute {queued.pk}” must wait: the queue portal cannot be reached" in caplog.text


def test_nobody_who_rings_fails_because_redis_is_dead(at_dead_redis: None, caplog: pytest.LogCaptureFixture) -> None:
    ring(Site(queue="portal"))
    assert "cannot be reached" in caplog.text


def test_a_dead_redis_is_noticed_at_once(at_dead_redis: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redis.retry.sleep", lambda seconds: pytest.fail(f"It tries again in {seconds} s."))
    with pytest.raises(redis.ConnectionError):
        get_broker().ping()


def test_the_supervisor_sends_again_what_a_broker_lost(
    at_redis: RedisServer, queued: Action, django_capture_on_commit_callbacks: Any
) -> None:
    Action.objects.update(requested_at=timezone.now() - RESEND_AFTER)
    with django_capture_on_commit_callbacks(execute=True):
        supervise("portal")
    assert messages() == [("experiments.tasks.execute", (queued.pk,))]
