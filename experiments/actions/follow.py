"""Looking at the command of a running action: one short look that anybody may repeat at any time."""

import signal
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from experiments.actions import finish
from experiments.actions.accounts import find_changed_account
from experiments.actions.recheck import find_absence, find_reason_not_to_start, foresee_failure
from experiments.actions.slots import compute_slot_end
from experiments.actions.stopping import find_stop, signal_again
from experiments.actions.transition import make_origin_of_worker, record
from experiments.autosubmit.output import Outcome
from experiments.catalogue.preconditions import refuse_without_run
from experiments.models import Action, State, annotate_active_action
from experiments.runners import get_runner

# A command that has left no trace for so long never started, or was killed together with its launcher.
GRACE = timedelta(seconds=30)


def follow(action: Action) -> bool:
    """Look once; start the next step or finish the action when its command has ended. Answer whether it is over."""
    action.refresh_from_db(fields=["state", "step", "step_started_at", "cancel_requested_at", "cancelled_by"])
    if action.state != State.RUNNING:
        return True
    look = get_runner(action.site).look(action.run_directory(action.step))
    if look.exit_status is not None:
        return _follow_ended(action, look.exit_status)
    if look.is_alive:
        return _follow_alive(action)
    return _follow_silent(action, has_started=look.has_started)


def start_step(action: Action, step: int) -> None:
    """Start the command of one step, at most once whoever calls: the conditional update decides who does."""
    now = timezone.now()
    seen = {"step": action.step, "step_started_at": action.step_started_at, "cancel_requested_at": None}
    with transaction.atomic():
        new: dict[str, Any] = {"step": step, "step_started_at": now, "slot_until": compute_slot_end(action, step)}
        if not Action.objects.filter(pk=action.pk, state=State.RUNNING, **seen).update(**new):
            return
        action.step, action.step_started_at, action.slot_until = step, now, new["slot_until"]
        details = {"step": step, "command": action.command[step]}
        record(action, "action.command_started", origin=make_origin_of_worker(action), details=details)
    try:
        get_runner(action.site).start(action.command[step], action.run_directory(step), action.unix_name)
    except OSError as error:
        finish.fail(action, f"The command could not be started: {error}.")


def _follow_alive(action: Action) -> bool:
    """End a command that was cancelled or takes too long; a run is ended by nobody but `stop`, which may need help."""
    if _is_to_end(action):
        get_runner(action.site).end(action.run_directory(action.step))
    else:
        signal_again(action)
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
    if obstacle:
        finish.call_off(action, obstacle, exit_status)
        return True
    start_step(action, action.step + 1)
    return False


def _read_printed(action: Action) -> str:
    """Return what the current command printed, in all its argvs so far when a very long list made several of one."""
    runner, kind, argvs = get_runner(action.site), action.catalogue_kind, len(action.command)
    steps = range(action.step + 1)
    ours = (step for step in steps if kind.get_command(step, argvs) is action.current_command)
    return "".join(runner.read_text(action.run_directory(step)) for step in ours)


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


def _follow_silent(action: Action, *, has_started: bool) -> bool:
    """The launcher is gone without an exit status: killed by us, or lost, unless a run lives on without it.

    One that was never seen may still be started by a worker that was only slow, so it is given up first.
    """
    if has_started and _is_to_end(action):
        finish.finish(action, _judge(action, Outcome(False, "")), -signal.SIGKILL)
        return True
    is_cancelled = action.cancel_requested_at is not None and not has_started
    if not is_cancelled and (_get_age(action) < GRACE or finish.is_run_alive(action)):
        return False
    if not has_started and not get_runner(action.site).give_up(action.run_directory(action.step)):
        return False
    if is_cancelled:
        finish.call_off(action, f"Cancelled by {action.cancelled_by} before it started.")
        return True
    finish.lose(action, has_started=has_started)
    return True
