"""What the processes of a worker share, on real processes."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import repeat
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from typing import Any

import pytest
from django_q import cluster

from autosubmit_portal.workers.ipc import MessageQueue, Timer
from tests.support.waiting import wait_for


@pytest.fixture
def fork() -> Callable[..., ForkProcess]:
    """Start processes that end with the tests."""

    def start(target: Callable[..., object], *args: object) -> ForkProcess:
        process = get_context("fork").Process(target=target, args=args, daemon=True)
        process.start()
        return process

    return start


@pytest.fixture
def queue() -> Iterator[Callable[..., MessageQueue]]:
    """Make queues that are closed with the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(closing(MessageQueue(**options)))


def put_all(queue: MessageQueue, items: list[Any], done: MessageQueue | None = None) -> None:
    """Put each item, and tell it to `done` when it is in."""
    for item in items:
        queue.put(item)
        if done:
            done.put(item)


def is_waiting(process: ForkProcess) -> bool:
    """Answer whether a process sleeps in the kernel, until something comes."""
    with open(f"/proc/{process.pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "S"


def test_a_process_that_is_killed_while_it_waits_keeps_no_other_from_its_task(
    fork: Callable[..., ForkProcess], queue: Callable[..., MessageQueue]
) -> None:
    tasks, results = queue(), queue()
    waiting = [fork(lambda: results.put(tasks.get())) for _ in range(3)]
    wait_for(lambda: all(map(is_waiting, waiting)))
    for process in waiting[:2]:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    tasks.put({"func": "a task"})
    assert results.get() == {"func": "a task"}


def test_each_message_is_taken_by_one(fork: Callable[..., ForkProcess], queue: Callable[..., MessageQueue]) -> None:
    tasks, results = queue(), queue()

    def work() -> None:
        for number in iter(tasks.get, "STOP"):
            results.put(number)
        results.put("STOP")

    for _ in range(3):
        fork(work)
    fork(put_all, tasks, [*range(50), "STOP", "STOP", "STOP"])
    taken = [results.get() for _ in range(53)]
    assert sorted(item for item in taken if item != "STOP") == list(range(50))


def test_a_full_queue_takes_the_next_message_when_the_last_is_taken(
    fork: Callable[..., ForkProcess], queue: Callable[..., MessageQueue]
) -> None:
    tasks, results = queue(maxsize=1), queue()
    fork(put_all, tasks, ["first", "second"], results)
    assert results.get() == "first"
    assert (results.empty(), tasks.get()) == (True, "first")
    assert (results.get(), tasks.get()) == ("second", "second")


def test_who_puts_does_not_wait_for_ever_for_a_reader(
    queue: Callable[..., MessageQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autosubmit_portal.workers.ipc.SEND_SECONDS", 0.1)
    results = queue()
    with pytest.raises(TimeoutError):
        deque(map(results.put, repeat("x" * 1000)), maxlen=0)


def test_who_has_closed_a_queue_leaves_it_to_the_others(
    fork: Callable[..., ForkProcess], queue: Callable[..., MessageQueue]
) -> None:
    tasks, results = queue(), queue()
    fork(lambda: results.put(tasks.get()))
    tasks.put("STOP")
    tasks.close()
    assert (tasks.qsize(), results.get()) == (0, "STOP")


def test_a_timer_is_seen_by_all(fork: Callable[..., ForkProcess]) -> None:
    timer = Timer("f", -1)
    fork(lambda: setattr(timer, "value", 603.0)).join()
    assert timer.value == 603.0


def test_clusters_are_made_without_locks() -> None:
    assert (vars(cluster)["Queue"], vars(cluster)["Value"]) == (MessageQueue, Timer)
