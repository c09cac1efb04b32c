"""Telling the workers of a site that an action waits. The message is an id; the truth is the row."""

import logging

from django.db import transaction
from django_q.tasks import async_task

from experiments.models import Action

logger = logging.getLogger(__name__)


def send(action: Action) -> None:
    """Send the action to the queue of its site once the transaction commits."""
    transaction.on_commit(lambda: _send(action))


def _send(action: Action) -> None:
    try:
        async_task("experiments.tasks.execute", action.pk, cluster=action.site.queue)
    except Exception:  # whatever a broker may raise: the supervisor sends it again
        logger.exception("Action %s waits: its queue cannot be reached", action.pk)
