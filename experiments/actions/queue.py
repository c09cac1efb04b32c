"""Telling the workers of a site that an action waits. The message is an id; the truth is the row."""

import logging

from django.db import transaction
from django_q.tasks import async_task

from experiments.models import Action

logger = logging.getLogger(__name__)


def send(action: Action) -> None:
    """Send the action to the queue of its site once the transaction commits."""
    transaction.on_commit(lambda: _send("execute", action))


def hand_over(action: Action) -> None:
    """Let another worker of the queue go on looking at the command of a running action."""
    _send("watch", action)


def _send(task: str, action: Action) -> None:
    try:
        async_task(f"experiments.tasks.{task}", action.pk, cluster=action.site.queue)
    except Exception:  # whatever a broker may raise: the supervisor sends it again, and looks
        logger.exception("Action %s waits: its queue cannot be reached", action.pk)
