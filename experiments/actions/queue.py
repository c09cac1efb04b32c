"""Telling the workers of a site that something waits for them. The message is an id; the truth is the row."""

import logging

from django.db import transaction
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


def _send(task: str, argument: int | str, site: Site) -> None:
    try:
        async_task(f"experiments.tasks.{task}", argument, cluster=site.queue)
    except Exception:  # whatever a broker raises: the supervisor comes every minute, sends again, and looks
        logger.exception("“%s %s” must wait: the queue %s cannot be reached", task, argument, site.queue)
