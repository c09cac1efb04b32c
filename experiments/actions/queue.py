"""Telling the workers of a site that something waits for them. The message is an id; the truth is the row.

Whoever takes a message does what is next at the site of that action (`slots.py`): urgent ones first, then the oldest.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django_q.brokers import get_broker
from django_q.tasks import async_task

from experiments.models import Action, Site

logger = logging.getLogger(__name__)


class Messages:
    """Messages to a queue, collected to be sent together: django-q2's `async_task` takes this for a broker."""

    def __init__(self, queue_name: str) -> None:
        self.list_key = queue_name
        self._packages: list[str] = []

    def enqueue(self, package: str) -> None:
        """Collect a message."""
        self._packages.append(package)

    def send(self) -> None:
        """Send the collected messages, one alone without a transaction. Raises what the broker raises."""
        broker: Any = get_broker(self.list_key)
        if len(self._packages) == 1:
            broker.enqueue(self._packages[0])
        elif self._packages:
            broker.enqueue_all(self._packages)


def send(*actions: Action) -> None:
    """Send each action to the queue of its site once the transaction commits."""
    numbers: dict[str, list[int]] = {}
    for action in actions:
        numbers.setdefault(action.site.queue, []).append(action.pk)
    for queue_name, of_queue in numbers.items():
        transaction.on_commit(partial(_send, "execute", of_queue, queue_name))


def hand_over(action: Action) -> None:
    """Let another worker of the queue go on looking at the command of a running action."""
    _send("watch", [action.pk], action.site.queue)


def ring(site: Site) -> None:
    """Ask a worker of the site to supervise now: something there has just ended, or must end."""
    _send("supervise", [site.queue], site.queue)


def is_empty(queue_name: str) -> bool:
    """Answer whether no message waits in a queue; False if the broker cannot be asked."""
    try:
        return not get_broker(queue_name).queue_size()
    except Exception:  # whatever a broker raises
        logger.exception("The queue %s cannot be reached", queue_name)
        return False


def _send(task: str, arguments: Sequence[int | str], queue_name: str) -> None:
    """Send a message for each argument, all at once."""
    messages = Messages(queue_name)
    try:
        for argument in arguments:
            async_task(f"experiments.tasks.{task}", argument, cluster=queue_name, broker=messages)
        messages.send()
    except Exception:  # whatever a broker raises: the supervisor comes every minute, sends again, and looks
        about = ", ".join(map(str, arguments))
        logger.exception("“%s %s” must wait: the queue %s cannot be reached", task, about, queue_name)
