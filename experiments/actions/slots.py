"""The number of commands that run at a site at the same time, and the next action when a slot is free.

A command needs a processor and much memory while it works, a run only while it starts. Stops need no slot. A slot is
held by the state of an action, not by a process: a dead worker holds none longer than its action lasts.
"""

import os
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from autosubmit_portal.sentences import say
from experiments.actions import queue
from experiments.models import Action, Site, State

Explain = Callable[[Action], str]
"""Says what holds an action up besides slots; blank if nothing does."""

# How long a run costs as much as a short command; the first jobs are submitted within seconds.
STARTING = timedelta(seconds=10)


def get_limit(site: Site) -> int:
    """Return how many commands may run at the site at the same time, computed on the host of its workers."""
    return site.most_commands or os.cpu_count() or 1


def compute_slot_end(action: Action, step: int) -> datetime | None:
    """Return until when the command of a step, started now, takes a slot; None for as long as it runs."""
    command = action.catalogue_kind.get_command(step, len(action.command))
    if command.script:  # a shell that waits for a run to do the work
        return timezone.now()
    return timezone.now() + STARTING if command.is_long else None


def count_free(site: Site) -> int:
    """Return how many more commands may start at the site."""
    return max(0, get_limit(site) - Action.objects.in_slots().filter(site=site).count())


def list_startable(site: Site) -> list[Action]:
    """Return the queued actions that the site has slots for now, the oldest first."""
    return list(_list_queued(site)[: count_free(site)])


def find_next(site: Site, is_held_up: Explain | None = None) -> Action | None:
    """Return the queued action that is next at the site; None if there is none, or no slot for it.

    Those that are held up let others past.
    """
    if is_held_up is None or not count_free(site):
        return next(iter(list_startable(site)), None)
    return next((action for action in _list_queued(site) if not is_held_up(action)), None)


def _list_queued(site: Site) -> QuerySet[Action]:
    queued = Action.objects.queued().filter(site=site).defer_long_fields().select_related("site")
    return queued.exclude(experiment=None) if _find_creation(site) else queued


def send_next(site: Site) -> None:
    """Send the next action to the workers, when a slot may have become free."""
    action = find_next(site)
    if action:
        queue.send(action)


def is_anybody_waiting(queue_name: str) -> bool:
    """Return whether a queue has an action that could start now, if there were a worker for it."""
    queued = Action.objects.queued().filter(site__queue=queue_name)
    sites = set(queued.order_by().values_list("site", flat=True))
    if not sites:
        return False
    is_urgent = queued.urgent().exists()
    return is_urgent or any(list_startable(site) for site in Site.objects.filter(pk__in=sites))


def tell_what_it_waits_for(action_id: int, is_held_up: Explain | None = None) -> None:
    """Write into the message of a queued action what it waits for."""
    action = Action.objects.select_related("site").get(pk=action_id)
    if action.state != State.QUEUED:
        return
    message = is_held_up(action) if is_held_up else ""
    message = message or _explain_wait(action)
    if message:
        tell(action_id, message)


def tell(action_id: int, message: str) -> None:
    """Write a message into an action that is queued still."""
    Action.objects.filter(pk=action_id, state=State.QUEUED).update(message=message)


def _explain_wait(action: Action) -> str:
    creation = _find_creation(action.site)
    if creation and action.experiment_id is None:
        return say(
            "Waits for action {number}: {site} creates one experiment at a time.", number=creation.pk, site=action.site
        )
    if count_free(action.site):
        return ""
    limit = get_limit(action.site)
    return say("Waits for a slot: {site} runs {number} commands at the same time.", site=action.site, number=limit)


def _find_creation(site: Site) -> Action | None:
    return Action.objects.filter(site=site, experiment=None, state=State.RUNNING).defer_long_fields().first()
