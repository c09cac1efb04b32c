"""What a worker does with an action: claim it, start its command, look while it may end soon."""

import os
import socket
import time
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from autosubmit_portal.sentences import say
from autosubmit_portal.workers import shutdown_flag
from experiments import hosts
from experiments.actions import places, queue, slots
from experiments.actions.call_lost import tell_hosts
from experiments.actions.follow import follow
from experiments.actions.start import begin, read_experiment
from experiments.actions.transition import move
from experiments.models import Action, Site, State
from experiments.reads import HostAway, HostBusy

# How long a worker keeps looking before it leaves the rest to the supervisor; well under the queue's time limit.
SHORT_COMMAND_SECONDS = 240.0
LONG_COMMAND_SECONDS = 15.0
# The agent waits for the end of the command meanwhile.
TURN_SECONDS = 1
# Before another look at what was not seen, or has just been started.
LOOK_AGAIN_SECONDS = 0.2


def execute(action_id: int) -> None:
    """Run what is next at the site of a queued action: an urgent one first, then the oldest that has a slot.

    Harmless when called twice: only the call that claims a row does anything.
    """
    site = Action.objects.select_related("site").get(pk=action_id).site
    run_urgent(site.queue)
    at_site = [*site.hosts.all()]
    away = hosts.await_hosts(at_site)
    if len(away) < len(at_site):
        tell_hosts(site.queue)  # before anything else is asked of a host that is back

    is_held_up = partial(places.explain_wait, at_site=at_site, away=away) if away else None
    # Nothing is claimed for a host that is away: what waits can be cancelled.
    while (waiting := slots.find_next(site, is_held_up)) is not None:
        try:
            problem = read_experiment(waiting)
        except (HostAway, HostBusy) as silence:  # which is nothing against it: the link may be cut for a moment
            slots.tell(waiting.pk, say("Waits for its host. {why}", why=str(silence)))
            return
        action = claim(waiting.pk)
        if action is not None:
            _run(action, problem)
            break
    slots.tell_what_it_waits_for(action_id, is_held_up)


def run_urgent(queue_name: str) -> None:
    """Run the first urgent action of a queue, if one waits: it is before all others, whatever the message names."""
    queued = Action.objects.queued().urgent().filter(site__queue=queue_name)
    for waiting in queued.select_related("site", "experiment"):
        at_site = [*waiting.site.hosts.all()]
        held_up = places.explain_wait(waiting, at_site, hosts.await_hosts(at_site))
        if held_up:
            slots.tell(waiting.pk, held_up)
            continue
        action = claim(waiting.pk)
        if action:
            _run(action)
        return


def watch(action_id: int) -> None:
    """Go on looking at the command of an action that another worker had to leave. Harmless when called twice."""
    action = Action.objects.select_related("site", "experiment").get(pk=action_id)
    run_urgent(action.site.queue)
    _look_on(action)


def claim(action_id: int) -> Action | None:
    """Move the action from queued to running and return it; None if it is not ours to run now.

    The row of the site is locked meanwhile, so that workers on several hosts together take no more slots than it has.
    """
    action = Action.objects.select_related("site", "experiment").get(pk=action_id)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    started: dict[str, Any] = {"started_at": timezone.now(), "worker": worker, "message": ""}
    try:
        with transaction.atomic():
            site = Site.objects.select_for_update(no_key=True).get(pk=action.site_id)
            if not (action.catalogue_kind.stops_run or slots.count_free(site)):
                return None
            claimed = move(action, frm=State.QUEUED, to=State.RUNNING, **started)
    except IntegrityError:  # another creation runs at this site; its end sends this one again
        return None
    return action if claimed else None


def _run(action: Action, problem: str = "") -> None:
    """Start the first command of a claimed action and look on; `problem` is why its experiment could not be read."""
    if not begin(action, problem):
        _look_on(action)


def _look_on(action: Action) -> None:
    """Look while the command may end soon, in short turns.

    Between turns a worker that is being stopped, or that somebody waits for, leaves the looking to a later task: a
    stop must not wait behind those who only look.
    """
    seconds = LONG_COMMAND_SECONDS if action.catalogue_kind.is_run else SHORT_COMMAND_SECONDS
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if _has_ended_within_turn(action):
            return
        if shutdown_flag.is_asked() or slots.is_anybody_waiting(action.site.queue):
            if not action.current_command.is_long or action.is_in_slot:  # the mirror rings when a run ends
                queue.hand_over(action)
                return
            break
    # Also when an action waits: the message about it may have come while no slot was free.
    slots.send_next(action.site)  # a run that has started leaves its slot


def _has_ended_within_turn(action: Action) -> bool:
    until = time.monotonic() + TURN_SECONDS
    while not follow(action, TURN_SECONDS):
        if shutdown_flag.is_asked() or time.monotonic() > until:
            return False
        time.sleep(LOOK_AGAIN_SECONDS)
    return True
