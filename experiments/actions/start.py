"""Starting the commands of an action: each is asked for again before it starts, and starts once whoever says so.

A worker does it. When it dies meanwhile, whoever looks at the action next does it: the step and its key decide.
"""

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from autosubmit_portal.gateway.caller import Unanswered
from autosubmit_portal.sentences import say
from experiments import commands, hosts
from experiments.actions import finish, places
from experiments.actions.accounts import find_changed_account
from experiments.actions.choice import find_changed_choice
from experiments.actions.projects import find_refusal
from experiments.actions.recheck import find_absence, find_reason_not_to_start, foresee_failure
from experiments.actions.refusals import Conflict
from experiments.actions.slots import compute_slot_end
from experiments.actions.stopping import find_stop
from experiments.actions.transition import make_origin_of_worker, record
from experiments.autosubmit.store import BrokenStore
from experiments.catalogue.preconditions import refuse_absent
from experiments.mirror import sync
from experiments.models import Action, State, Step, annotate_active_action
from experiments.reads import HostAway, HostBusy


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """Why a command must not start: it is not wanted any more (`is_failure` is False), or it cannot do its work."""

    reason: str
    is_failure: bool = False

    def end(self, action: Action, exit_status: int | None = None) -> None:
        if self.is_failure:
            finish.fail(action, self.reason)
        else:
            finish.call_off(action, self.reason, exit_status)


def begin(action: Action, problem: str = "") -> bool:
    """Start the first command of a claimed action, or end it if something is against it; answer whether it is over.

    `problem` is why its experiment could not be read just now.
    """
    obstacle = _find_obstacle_at_first(action, problem)
    if obstacle:
        obstacle.end(action)
        return True
    start_step(action, 0)
    return False


def go_on(action: Action, exit_status: int) -> bool:
    """Start the command after one that ended with this status, as `begin` does; answer whether the action is over."""
    fresh = _read_anew(action)
    obstacle = _find_obstacle_between(fresh)
    if obstacle:
        obstacle.end(action, exit_status)
        return True
    away = places.choose(fresh, action.step + 1)[1]
    if away:
        Action.objects.filter(pk=action.pk, state=State.RUNNING).update(
            message=say("Waits for its host. {why}", why=away)
        )
    else:
        start_step(action, action.step + 1)
    return False


def take_over(action: Action, step: Step | None) -> bool:
    """Start the current command of an action, whose worker did not come to it; answer whether the action is over.

    `step` is None if that worker had not decided to start it. Raises Unseen.
    """
    fresh = _read_anew(action)
    try:
        problem = read_experiment(fresh)
    except (HostAway, HostBusy) as silence:
        raise commands.Unseen(str(silence)) from silence
    if step is None:
        return begin(fresh, problem)
    commands.require_spool(step)
    obstacle = _find_obstacle_between(fresh) if step.number else _find_obstacle_at_first(fresh, problem)
    if obstacle is None:
        _ask_to_start(fresh, step)
    elif commands.give_up(step):
        obstacle.end(fresh)
        return True
    return False


def read_experiment(action: Action) -> str:
    """Mirror the experiment of an action: minutes may have passed in the queue. Return why it cannot be read.

    A stop needs no such evidence: Autosubmit answers it if nothing is running any more. Raises HostAway and HostBusy.
    """
    if action.experiment is None or action.catalogue_kind.stops_run:
        return ""
    try:
        sync.adopt(action.site, action.expid)
    except (HostAway, HostBusy):
        raise
    except BrokenStore as problem:
        return str(problem)
    return ""


def start_step(action: Action, step: int) -> None:
    """Start the command of one step, at most once whoever calls: the conditional update decides who does."""
    try:
        host, _ = places.choose(action, step)
        spool = hosts.read_spool()
    except Conflict as refusal:
        finish.fail(action, say("The command could not be started: {why}", why=str(refusal)))
        return
    except Unanswered as silence:  # whoever looks next tries again
        note_silence(action, str(silence))
        return
    now = timezone.now()
    seen = {"step": action.step, "step_started_at": action.step_started_at, "cancel_requested_at": None}
    with transaction.atomic():
        new: dict[str, Any] = {"step": step, "step_started_at": now, "slot_until": compute_slot_end(action, step)}
        new["message"] = ""  # of waiting for a host
        if not Action.objects.filter(pk=action.pk, state=State.RUNNING, **seen).update(**new):
            return
        action.step, action.step_started_at, action.slot_until = step, now, new["slot_until"]
        row = Step.objects.create(action=action, number=step, key=str(uuid.uuid4()), host=host, spool=spool)
        details = {"step": step, "command": action.command[step]}
        record(action, "action.command_started", origin=make_origin_of_worker(action), details=details)
    _ask_to_start(action, row)


def note_silence(action: Action, reason: str) -> None:
    """Say of a command since when nobody knows what it does: that is no evidence of anything."""
    since = action.unseen_since or timezone.now()
    message = say("Not seen since {since}: {why}", since=f"{since:%Y-%m-%d %H:%M} UTC", why=reason)
    if message != action.message:
        running = Action.objects.filter(pk=action.pk, state=State.RUNNING)
        running.update(unseen_since=Coalesce("unseen_since", since), message=message)


def _ask_to_start(action: Action, step: Step) -> None:
    """Have the host of a step start its command, once whoever asks again."""
    try:
        commands.start(step, action)
    except commands.NotStarted as refusal:
        hosts.forget_rules(step.host)  # which may be why
        finish.fail(action, say("The command could not be started: {why}", why=str(refusal)))
    except commands.Unseen as silence:
        note_silence(action, str(silence))


def _read_anew(action: Action) -> Action:
    return Action.objects.select_related("site", "experiment").get(pk=action.pk)


def _find_obstacle_at_first(action: Action, problem: str) -> _Obstacle | None:
    unwanted = find_reason_not_to_start(action)
    if unwanted:
        return _Obstacle(unwanted)
    reason = find_changed_account(action) or problem or _find_reason_against(action)
    if reason:
        return _Obstacle(reason, is_failure=True)
    stopped = find_stop(action)
    return _Obstacle(stopped) if stopped else None


def _find_reason_against(action: Action) -> str:
    """Check the preconditions again, on the evidence that was read anew."""
    if action.experiment is None:
        return places.find_reason(action, None)
    if action.catalogue_kind.stops_run:
        return find_absence(action) or foresee_failure(action) or places.find_reason(action, action.experiment)
    experiment = annotate_active_action().get(pk=action.experiment.pk)
    return (
        refuse_absent(experiment)
        or action.catalogue_kind.find_obstacle(experiment, action.parameters)
        or find_changed_choice(action, experiment)
        or places.find_reason(action, experiment)
        or find_refusal(action.catalogue_kind, action.experiment)
    )


def _find_obstacle_between(action: Action) -> _Obstacle | None:
    """Return why the next command of an action could not be asked for any more."""
    reason = (
        find_reason_not_to_start(action)
        or find_changed_account(action)
        or find_absence(action)
        or find_stop(action)
        or places.find_reason(action, action.experiment)
        or find_refusal(action.catalogue_kind, action.experiment)
    )
    return _Obstacle(reason) if reason else None
