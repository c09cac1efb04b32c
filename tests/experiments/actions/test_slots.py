"""How many commands run at a site at the same time, who is next, and what the supervisor sends again."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import OrmQ
from pytest_django import DjangoCaptureOnCommitCallbacks

from experiments.actions import finish, queue, slots, start
from experiments.actions.execute import claim, execute
from experiments.actions.supervise import supervise
from experiments.models import Action, Experiment, Site, State
from tests.support import factories
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def site() -> Site:
    """A site that runs two commands at a time."""
    return factories.create_site(most_commands=2)


def queued(site: Site, kind: str = "generate", **values: object) -> Action:
    return factories.create_action(factories.create_experiment(site), kind=kind, **values)


def states(*actions: Action) -> list[str]:
    return [Action.objects.get(pk=action.pk).state for action in actions]


def waits_for(action: Action) -> str:
    return Action.objects.get(pk=action.pk).message


def test_a_worker_claims_no_more_than_the_site_runs_at_a_time(site: Site) -> None:
    claimed = [claim(queued(site).pk) for _ in range(3)]
    assert [action is not None for action in claimed] == [True, True, False]


def test_a_site_without_a_limit_runs_as_many_as_the_host_has_processors(site: Site) -> None:
    site.most_commands = None
    assert slots.get_limit(site) == os.cpu_count()


def test_who_waits_is_told_for_what(site: Site) -> None:
    for _ in range(2):
        claim(queued(site).pk)
    waiting = queued(site)
    execute(waiting.pk)
    assert waits_for(waiting).startswith(f"Waits for a slot: {site} runs 2 commands")


def test_a_creation_is_told_which_one_it_waits_for(site: Site) -> None:
    values = {"kind": "create", "site": site, "actor_name": "somebody"}
    first, second = (Action.objects.create(**values) for _ in range(2))
    claim(first.pk)
    execute(second.pk)
    assert (states(second), f"action {first.pk}" in waits_for(second)) == ([State.QUEUED], True)


def test_what_it_waited_for_is_forgotten_when_it_starts(site: Site) -> None:
    action = queued(site, message="Waits for a slot")
    claim(action.pk)
    assert waits_for(action) == ""


def test_a_stop_waits_for_no_slot(site: Site) -> None:
    for _ in range(2):
        claim(queued(site).pk)
    assert claim(queued(site, "stop").pk) is not None


def test_a_stop_is_first_whatever_the_message_names(site: Site) -> None:
    waiting = [queued(site) for _ in range(3)]
    stop = queued(site, "stop")
    Site.objects.update(most_commands=1)
    claim(waiting[0].pk)
    execute(waiting[1].pk)
    assert states(stop, *waiting[1:]) == [State.FAILED, State.QUEUED, State.QUEUED]


def test_the_oldest_is_first_whatever_the_message_names(site: Site) -> None:
    first, second = queued(site), queued(site)
    execute(second.pk)
    assert states(first, second) == [State.FAILED, State.QUEUED]


def test_a_run_leaves_its_slot_when_it_has_started(site: Site) -> None:
    run = claim(queued(site, "run", command=[["/bin/true", "run"]]).pk)
    assert run is not None
    start.start_step(run, 0)
    assert slots.count_free(site) == 1
    Action.objects.update(slot_until=timezone.now())
    assert slots.count_free(site) == 2


def test_the_script_that_waits_for_a_run_takes_no_slot(site: Site) -> None:
    action = queued(site, "set_status_live", parameters={"status": "READY", "jobs": []}, command=[["x"]])
    until = slots.compute_slot_end(action, 0)
    assert until is not None
    assert until <= timezone.now()


def test_the_next_is_sent_when_a_slot_becomes_free(
    site: Site, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    running = [claim(queued(site).pk) for _ in range(2)]
    oldest, _ = queued(site), queued(site)
    assert running[0] is not None
    with django_capture_on_commit_callbacks(execute=True):
        finish.fail(running[0], "It ended.")
    assert [message.task["args"] for message in OrmQ.objects.all()] == [(oldest.pk,)]


def test_the_slot_of_a_worker_that_died_is_free_again(site: Site) -> None:
    for _ in range(2):
        claim(queued(site).pk)
    Action.objects.update(started_at=timezone.now() - timedelta(minutes=2))
    supervise(site.queue)
    assert slots.count_free(site) == 2


def test_another_site_has_slots_of_its_own(site: Site) -> None:
    for _ in range(2):
        claim(queued(site).pk)
    assert claim(queued(factories.create_site(most_commands=1)).pk) is not None


def late(site: Site, number: int) -> None:
    """Queue actions long ago."""
    for _ in range(number):
        queued(site)
    Action.objects.update(requested_at=timezone.now() - timedelta(minutes=5))


def supervised(site: Site, callbacks: DjangoCaptureOnCommitCallbacks) -> int:
    with callbacks(execute=True):
        supervise(site.queue)
    return OrmQ.objects.count()


def test_the_supervisor_sends_nothing_again_while_messages_wait(
    site: Site, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    late(site, 30)
    queue._send("execute", list(Action.objects.values_list("pk", flat=True)), site.queue)
    assert supervised(site, django_capture_on_commit_callbacks) == 30


def test_the_supervisor_sends_what_may_start_when_the_broker_has_lost_all(
    site: Site, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    late(site, 30)
    assert supervised(site, django_capture_on_commit_callbacks) == 2


def test_the_supervisor_sends_nothing_while_no_slot_is_free(
    site: Site, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    for _ in range(2):
        claim(queued(site).pk)
    late(site, 3)
    assert supervised(site, django_capture_on_commit_callbacks) == 0


def test_the_supervisor_itself_stops_what_a_lost_message_was_to_stop(site: Site) -> None:
    stop = queued(site, "stop")
    supervise(site.queue)
    assert states(stop) != [State.QUEUED]


MANY = 1_500


@pytest.fixture
def crowd(site: Site) -> list[Action]:
    """Very many actions of one person that were queued long ago."""
    person = factories.create_administrator()
    experiments = Experiment.objects.bulk_create(
        Experiment(site=site, expid=f"b{number:04d}") for number in range(MANY)
    )
    values = {"site": site, "kind": "generate", "actor": person, "actor_name": "somebody", "command": [["true"]]}
    made = Action.objects.bulk_create(Action(experiment=experiment, **values) for experiment in experiments)
    Action.objects.update(requested_at=timezone.now() - timedelta(minutes=5))
    return made


@pytest.mark.parametrize(("waiting", "after"), [(MANY, MANY), (1, 1), (0, 2)])
def test_the_supervisor_sends_again_what_can_start_of_very_many_and_only_if_the_broker_lost_all(
    waiting: int,
    after: int,
    site: Site,
    crowd: list[Action],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    OrmQ.objects.bulk_create(OrmQ(key=site.queue, payload="x", lock=timezone.now()) for _ in range(waiting))
    with CaptureQueriesContext(connection) as asked:
        assert supervised(site, django_capture_on_commit_callbacks) == after
    assert len(asked) < 40


def test_a_stop_goes_before_very_many_that_wait(site: Site, crowd: list[Action]) -> None:
    stop = queued(site, "stop")
    with CaptureQueriesContext(connection) as asked:
        execute(crowd[0].pk)
    started = Action.objects.exclude(started_at=None).order_by("started_at").first()
    assert started == stop
    assert len(asked) < 150


def test_whether_messages_wait_is_asked_of_redis(site: Site, at_redis: RedisServer) -> None:
    assert queue.is_empty("portal")
    get_broker("portal").enqueue("x")
    assert not queue.is_empty("portal")


def test_a_queue_that_cannot_be_asked_is_not_called_empty(at_dead_redis: None) -> None:
    assert not queue.is_empty("portal")


def _claimed(number: int) -> bool:
    try:
        return claim(number) is not None
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_many_workers_together_claim_no_more_than_the_site_runs_at_a_time(site: Site) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("The threads of a test share one connection to an SQLite in memory.")
    numbers = [queued(site).pk for _ in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(_claimed, numbers)) == 2
