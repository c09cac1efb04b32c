"""What nobody waits for: the end of running actions, what they printed, approvals too late, what a broker lost."""

import logging
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django_q.models import Schedule

from autosubmit_portal.audit import trail
from experiments import hosts
from experiments.actions import queue, slots
from experiments.actions.approve import expire
from experiments.actions.call_lost import tell_hosts
from experiments.actions.execute import run_urgent
from experiments.actions.follow import follow
from experiments.actions.freeze import end_overdue_freezes
from experiments.actions.prune import keep_ended
from experiments.actions.recheck import call_off_unpermitted
from experiments.models import Action, Site, State

logger = logging.getLogger(__name__)

RESEND_AFTER = timedelta(seconds=60)


def supervise(queue_name: str) -> None:
    """Look once at each action of a queue. Safe to run anywhere the commands run, any number of times."""
    hosts.keep_gateway()  # who looks at outputs and logs does not start it
    tell_hosts(queue_name)
    actions = Action.objects.filter(site__queue=queue_name).select_related("site", "experiment")
    for action in actions.filter(state=State.RUNNING):
        try:
            follow(action)
        except Exception:  # one bad action must not keep the others from being followed
            logger.exception("Action %s could not be followed", action.pk)
    for action in actions.awaiting_approval().filter(approval_expires_at__lt=timezone.now()):
        expire(action)
    call_off_unpermitted(site__queue=queue_name)
    end_overdue_freezes(queue_name)
    trail.tell_counts()
    _send_lost(queue_name)
    run_urgent(queue_name)
    keep_ended(queue_name)


def _send_lost(queue_name: str) -> None:
    """Send again what could have started long ago, if the broker has lost its messages.

    While messages wait it has lost none of those that count: whoever takes one does what is next, whatever it names.
    """
    if not queue.is_empty(queue_name):
        return
    long_ago = timezone.now() - RESEND_AFTER
    for site in Site.objects.filter(queue=queue_name):
        queue.send(*(action for action in slots.list_startable(site) if action.requested_at < long_ago))


def schedule_supervision(site: Site) -> None:
    """Have the queue of the site supervised every minute, old output removed every hour and SQLite analysed daily."""
    every_minute = {"schedule_type": Schedule.MINUTES, "minutes": 1, "args": repr((site.queue,))}
    _schedule("supervise", site.queue, **every_minute)
    _schedule("prune", site.queue, schedule_type=Schedule.HOURLY)
    _schedule("analyse", site.queue, schedule_type=Schedule.DAILY)


def _schedule(task: str, queue_name: str, **values: Any) -> None:
    defaults = {"func": f"experiments.tasks.{task}", "cluster": queue_name, **values}
    Schedule.objects.get_or_create(name=f"{task} {queue_name}", defaults=defaults)
