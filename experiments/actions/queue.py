"""Telling the workers of a site that an action waits. A message is an id; the truth is the row."""

import logging

from django.db import transaction
from django_q.tasks import async_task

from experiments.models import Action, Site

logger = logging.getLogger(__name__)


def send(action: Action) -> None:
    """Send the action to the queue of its site once the transaction commits."""
    transaction.on_commit(lambda: _send("execute", action.pk, action.site.queue))


def hand_over(action: Action) -> None:
    """Let another worker of the queue go on looking at the command of a running action."""
    _send("watch", action.pk, action.site.queue)


def ring(site: Site) -> None:
    """Ask a worker of the site to supervise now: something there has just ended."""
    _send("supervise", site.queue, site.queue)


def _send(task: str, argument: int | str, queue_name: str) -> None:
    try:
        async_task(f"experiments.tasks.{task}", argument, cluster=queue_name)
    except (
        Exception
    ):  # whatever a broker may raise: the supervisor looks every minute, and sends again what waits
        logger.exception("The queue %s cannot be reached for “%s %s”", queue_name, task, argument)
