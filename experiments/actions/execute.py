"""What a worker does with an action: claim it, start its command, look while it may end soon."""

import os
import socket
import time

from django.db import IntegrityError
from django.utils import timezone

from autosubmit_portal.workers import drain
from experiments import mirror
from experiments.actions import queue
from experiments.actions.accounts import account_changed
from experiments.actions.choice import choice_changed
from experiments.actions.finish import call_off, fail
from experiments.actions.follow import follow, start_step
from experiments.actions.recheck import absence_of, may_not_start
from experiments.actions.transition import move
from experiments.models import Action, Experiment, State

# How long a worker keeps looking before it leaves the rest to the supervisor; well under the queue's time limit.
SHORT_COMMAND_SECONDS = 300.0
LONG_COMMAND_SECONDS = 15.0
LOOK_EVERY_SECONDS = 0.2
TURN_SECONDS = 1.0


def execute(action_id: int) -> None:
    """Run one queued action. Harmless when called twice: only the call that claims the row does anything."""
    action = claim(action_id)
    if action is None:
        return
    obstacle = may_not_start(action)
    if obstacle:
        call_off(action, obstacle)
        return
    reason = account_changed(action) or _reason_against(action)
    if reason:
        fail(action, reason)
        return
    start_step(action, 0)
    _look_on(action)


def watch(action_id: int) -> None:
    """Go on looking at the command of an action that another worker had to leave. Harmless when called twice."""
    _look_on(Action.objects.select_related("site", "experiment").get(pk=action_id))


def claim(action_id: int) -> Action | None:
    """Move the action from queued to running and return it; None if it is not ours to run now."""
    action = Action.objects.select_related("site", "experiment").get(pk=action_id)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    try:
        claimed = move(action, frm=State.QUEUED, to=State.RUNNING, started_at=timezone.now(), worker=worker)
    except IntegrityError:  # another creation runs at this site; its end sends this one again
        return None
    return action if claimed else None


def _reason_against(action: Action) -> str | None:
    """Check the preconditions again on fresh evidence: minutes may have passed in the queue."""
    if action.experiment is None:
        return None
    if action.catalogue_kind.may_be_late:
        return absence_of(action)
    mirror.adopt(action.site, action.expid)
    experiment = Experiment.objects.with_active_action().get(pk=action.experiment.pk)
    return action.catalogue_kind.obstacle(experiment) or choice_changed(action, experiment)


def _look_on(action: Action) -> None:
    """Look while the command may end soon, in short turns.

    Between turns a worker that is being stopped, or that somebody waits for, leaves the looking to a later task: a
    stop must not wait behind those who only look.
    """
    seconds = LONG_COMMAND_SECONDS if action.catalogue_kind.is_run else SHORT_COMMAND_SECONDS
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if _ends_within_a_turn(action):
            return
        if drain.is_asked() or _somebody_waits(action):
            if not action.current_command.is_long:  # the mirror rings when a run ends, months from now
                queue.hand_over(action)
            return


def _ends_within_a_turn(action: Action) -> bool:
    until = time.monotonic() + TURN_SECONDS
    while not follow(action):
        if drain.is_asked() or time.monotonic() > until:
            return False
        time.sleep(LOOK_EVERY_SECONDS)
    return True


def _somebody_waits(action: Action) -> bool:
    return Action.objects.filter(state=State.QUEUED, site__queue=action.site.queue).exists()
