"""Telling the workers of a site that something waits for them. The message is an id; the truth is the row.

Whoever takes a message does what is next at the site of that action (`slots.py`): urgent ones first, then the oldest.
"""

import logging

from django.db import transaction
from django_q.brokers import get_broker
from django_q.tasks import async_task

from experiments.models import Action, Site

logger = logging.getLogger(__name__)


def send(action: Action) -> None:
    """Send the action to the queue of its site once the transaction commits."""
    transaction.on_commit(lambda: _send("execute", action.pk, action.site))


def hand_over(action: Action) -> None:
    """Let another worker of the queue go on looking at the command of a running action."""
    _send("watch", action.pk, action.site)


def ring(site: Site) -> None:
    """Ask a worker of the site to supervise now: something there has just ended, or must end."""
    _send("supervise", site.queue, site)


def is_empty(queue_name: str) -> bool:
    """Answer whether no message waits in a queue; False if the broker cannot be asked."""
    try:
        return not get_broker(queue_name).queue_size()
    except Exception:  # whatever a broker raises
        logger.exception("The queue %s cannot be reached", queue_name)
        return False


def _send(task: str, argument: int | str, site: Site) -> None:
    try:
        async_task(f"experiments.tasks.{task}", argument, cluster=site.queue)
    except Exception:  # whatever a broker raises: the supervisor comes every minute, sends again, and looks
        logger.exception("“%s %s” must wait: the queue %s cannot be reached", task, argument, site.queue)
