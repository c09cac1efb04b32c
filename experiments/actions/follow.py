"""Looking at the command of a running action: one short look that anybody may repeat at any time."""

import signal
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from autosubmit_portal.agent.run_directory import Look
from experiments import commands, hosts
from experiments.actions import finish, places
from experiments.actions.accounts import find_changed_account
from experiments.actions.projects import find_refusal
from experiments.actions.recheck import find_absence, find_reason_not_to_start, foresee_failure
from experiments.actions.refusals import Conflict
from experiments.actions.slots import compute_slot_end
from experiments.actions.stopping import find_stop, signal_again
from experiments.actions.transition import make_origin_of_worker, record
from experiments.autosubmit.output import Outcome
from experiments.catalogue.preconditions import refuse_without_run
from experiments.models import Action, State, Step, annotate_active_action

# A command that has left no trace for so long never started, or was killed together with its launcher.
GRACE = timedelta(seconds=30)
# Before it has a step a worker asks the hosts, each within its patience: one that is slow is not taken for dead.
CLAIM_GRACE = timedelta(minutes=2)


def follow(action: Action) -> bool:
    """Look once; start the next step or finish the action when its command has ended. Answer whether it is over."""
    action.refresh_from_db(
        fields=["state", "step", "step_started_at", "cancel_requested_at", "cancelled_by", "unseen_since", "message"]
    )
    if action.state != State.RUNNING:
        return True
    step = commands.find_step(action, action.step)
    try:
        found = commands.look(step) if step else commands.NOT_STARTED
        is_over = _follow_seen(action, step, found)
    except commands.Unseen as silence:
        _note_silence(action, str(silence))
        return False
    if action.unseen_since and not is_over:
        _note_voice(action)
    return is_over


def _follow_seen(action: Action, step: Step | None, found: Look) -> bool:
    if step and found.exit_status is not None:
        return _follow_ended(action, found.exit_status)
    if step and found.is_alive:
        return _follow_alive(action, step)
    return _follow_silent(action, step, found)


def _note_silence(action: Action, reason: str) -> None:
    """Say of a command since when nobody knows what it does: that is no evidence of anything."""
    since = action.unseen_since or timezone.now()
    message = f"Not seen since {since:%Y-%m-%d %H:%M} UTC: {reason}"
    if message != action.message:
        running = Action.objects.filter(pk=action.pk, state=State.RUNNING)
        running.update(unseen_since=Coalesce("unseen_since", since), message=message)


def _note_voice(action: Action) -> None:
    Action.objects.filter(pk=action.pk, state=State.RUNNING).update(unseen_since=None, message="")


def start_step(action: Action, step: int) -> None:
    """Start the command of one step, at most once whoever calls: the conditional update decides who does."""
    try:
        host, _ = places.choose(action, step)
    except Conflict as refusal:
        finish.fail(action, f"The command could not be started: {refusal}")
        return
    now = timezone.now()
    seen = {"step": action.step, "step_started_at": action.step_started_at, "cancel_requested_at": None}
    with transaction.atomic():
        new: dict[str, Any] = {"step": step, "step_started_at": now, "slot_until": compute_slot_end(action, step)}
        new["message"] = ""  # of waiting for a host
        if not Action.objects.filter(pk=action.pk, state=State.RUNNING, **seen).update(**new):
            return
        action.step, action.step_started_at, action.slot_until = step, now, new["slot_until"]
        row = Step.objects.create(action=action, number=step, key=str(uuid.uuid4()), host=host)
        details = {"step": step, "command": action.command[step]}
        record(action, "action.command_started", origin=make_origin_of_worker(action), details=details)
    try:
        commands.start(row, action)
    except commands.NotStarted as refusal:
        hosts.forget_rules(host)  # which may be why
        finish.fail(action, f"The command could not be started: {refusal}")
    except commands.Unseen as silence:
        _note_silence(action, str(silence))


def _follow_alive(action: Action, step: Step) -> bool:
    """End a command that was cancelled or takes too long; a run is ended by nobody but `stop`, which may need help."""
    if _is_to_end(action):
        commands.end(step)
    else:
        signal_again(action, step)
    return False


def _is_to_end(action: Action) -> bool:
    return not action.current_command.is_long and bool(
        action.cancel_requested_at or _is_overdue(action) or _is_pointless(action)
    )


def _is_pointless(action: Action) -> bool:
    """Answer whether a command waits for a run that is gone; a later run must not find what it has left."""
    if action.experiment_id is None or not action.catalogue_kind.needs_run:
        return False
    experiment = annotate_active_action().get(pk=action.experiment_id)
    return bool(refuse_without_run(experiment, action.parameters))


def _follow_ended(action: Action, exit_status: int) -> bool:
    outcome = action.current_command.outcome(exit_status, _read_printed(action))
    if outcome.succeeded and action.step + 1 < len(action.command) and not action.cancel_requested_at:
        return _go_on(action, exit_status)
    if action.may_overtake:
        _follow_overtaken(action)
    finish.finish(action, _judge(action, outcome), exit_status)
    return True


def _go_on(action: Action, exit_status: int) -> bool:
    """Start the next step, unless it could not be asked for any more; answer whether the action is over."""
    fresh = Action.objects.select_related("site", "experiment").get(pk=action.pk)
    obstacle = find_reason_not_to_start(fresh) or find_changed_account(fresh) or find_absence(fresh) or find_stop(fresh)
    obstacle = obstacle or places.find_reason(fresh, fresh.experiment)
    obstacle = obstacle or find_refusal(fresh.catalogue_kind, fresh.experiment)
    if obstacle:
        finish.call_off(action, obstacle, exit_status)
        return True
    away = places.choose(fresh, action.step + 1)[1]
    if away:
        Action.objects.filter(pk=action.pk, state=State.RUNNING).update(message=f"Waits for its host. {away}")
    else:
        start_step(action, action.step + 1)
    return False


def _read_printed(action: Action) -> str:
    """Return what the current command printed, in all its argvs so far when a very long list made several of one."""
    kind, argvs = action.catalogue_kind, len(action.command)
    steps = range(action.step + 1)
    ours = (step for step in steps if kind.get_command(step, argvs) is action.current_command)
    return "".join(commands.read_text(commands.find_step(action, step)) for step in ours)


def _judge(action: Action, outcome: Outcome) -> Outcome:
    """Say of a command that we ended why we did."""
    is_incomplete = not outcome.succeeded or action.step + 1 < len(action.command)
    if action.cancel_requested_at and is_incomplete:
        return replace(outcome, message=f"Cancelled by {action.cancelled_by} while it ran.", stopped=True)
    if _is_overdue(action) and not outcome.succeeded:
        minutes = action.current_command.time_limit // 60
        help_text = foresee_failure(action) or action.current_command.overdue_help
        return replace(outcome, message=f"Ended because it took more than {minutes} min. {help_text}")
    return outcome


def _follow_overtaken(action: Action) -> None:
    """Close what a stop has ended, so that nothing is in the way of whoever has seen the stop succeed."""
    overtaken = Action.objects.filter(experiment=action.experiment, state=State.RUNNING, may_overtake=False)
    for other in overtaken.select_related("site", "experiment"):
        follow(other)


def _is_overdue(action: Action) -> bool:
    """Answer whether a command has taken longer than it may, which a run never has."""
    limit = timedelta(seconds=action.current_command.time_limit)
    return not action.current_command.is_long and _get_age(action) > limit


def _get_age(action: Action) -> timedelta:
    return timezone.now() - (action.step_started_at or action.started_at or timezone.now())


def _follow_silent(action: Action, step: Step | None, found: Look) -> bool:
    """The launcher is gone without an exit status: killed by us, or lost, unless a run lives on without it.

    One that was never seen may still be started by a worker that was only slow, so it is given up first.
    """
    has_started = found.has_started
    if has_started and not found.is_forgotten and _is_to_end(action):
        finish.finish(action, _judge(action, Outcome(False, "")), -signal.SIGKILL)
        return True
    is_cancelled = action.cancel_requested_at is not None and not has_started
    if not is_cancelled and (_get_age(action) < (GRACE if step else CLAIM_GRACE) or finish.is_run_alive(action)):
        return False
    if not has_started and step and not commands.give_up(step):
        return False
    if is_cancelled:
        finish.call_off(action, f"Cancelled by {action.cancelled_by} before it started.")
        return True
    finish.lose(action, found)
    return True
