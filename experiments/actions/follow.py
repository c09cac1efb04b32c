"""Looking at the command of a running action: one short look that anybody may repeat at any time."""

import signal
from dataclasses import replace
from datetime import timedelta

from django.utils import timezone

from autosubmit_portal.agent.run_directory import Look
from autosubmit_portal.agent.run_directory import State as RunState
from autosubmit_portal.sentences import add, say
from experiments import commands
from experiments.actions import finish
from experiments.actions.recheck import foresee_failure
from experiments.actions.start import go_on, note_silence, take_over
from experiments.actions.stopping import signal_again
from experiments.autosubmit.output import Outcome
from experiments.catalogue.preconditions import refuse_without_run
from experiments.models import Action, State, Step, annotate_active_action

# Whoever is to start a command has this long to do it; then whoever looks goes on for them.
GRACE = timedelta(seconds=30)
# Nobody counts any more on what has not started for so long: the portal was down, or its host had no room.
LOST_AFTER = timedelta(minutes=5)


def follow(action: Action, wait_seconds: int = 0) -> bool:
    """Look once; start the next step or finish the action when its command has ended. Answer whether it is over.

    While the command goes on, its end is waited for so long.
    """
    action.refresh_from_db(
        fields=["state", "step", "step_started_at", "cancel_requested_at", "cancelled_by", "unseen_since", "message"]
    )
    if action.state != State.RUNNING:
        return True
    step = commands.find_step(action, action.step)
    try:
        found = commands.look(step, wait_seconds) if step else commands.NOT_STARTED
        is_over = _follow_seen(action, step, found)
    except commands.Unseen as silence:
        note_silence(action, str(silence))
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


def _note_voice(action: Action) -> None:
    Action.objects.filter(pk=action.pk, state=State.RUNNING).update(unseen_since=None, message="")


def _follow_alive(action: Action, step: Step) -> bool:
    """End a command that was cancelled or takes too long; a run is ended by nobody but `stop`, which may need help."""
    try:
        if _is_to_end(action):
            commands.end(step)
        else:
            signal_again(action, step)
    except commands.NotSignalled as refusal:
        message = say("Its command goes on: {why}", why=str(refusal))
        Action.objects.filter(pk=action.pk, state=State.RUNNING).update(message=message)
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
        return go_on(action, exit_status)
    if action.may_overtake:
        _follow_overtaken(action)
    finish.finish(action, _judge(action, outcome), exit_status)
    return True


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
        return replace(
            outcome, message=say("Cancelled by {name} while it ran.", name=action.cancelled_by), stopped=True
        )
    if _is_overdue(action) and not outcome.succeeded:
        minutes = action.current_command.time_limit // 60
        help_text = foresee_failure(action) or action.current_command.overdue_help
        message = add(say("Ended because it took more than {number} min.", number=minutes), help_text)
        return replace(outcome, message=message)
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
    """The launcher is gone without an exit status, killed by us or lost, or it was never there."""
    if not found.has_started:
        return _follow_absent(action, step, found)
    if not found.is_forgotten and _is_to_end(action):
        finish.finish(action, _judge(action, Outcome(False, "")), -signal.SIGKILL)
        return True
    if _get_age(action) < GRACE or finish.is_run_alive(action):  # a run may live on without its launcher
        return False
    finish.lose(action, found)
    return True


def _follow_absent(action: Action, step: Step | None, found: Look) -> bool:
    """Go on for the worker of a command that has not started, or give it up: that worker may only have been slow."""
    is_cancelled = action.cancel_requested_at is not None
    if not is_cancelled and _get_age(action) < GRACE:
        return False
    if not is_cancelled and found.state is RunState.NOT_STARTED and _get_age(action) < LOST_AFTER:
        return take_over(action, step)
    if step and not commands.give_up(step):
        return False
    if is_cancelled:
        finish.call_off(action, say("Cancelled by {name} before it started.", name=action.cancelled_by))
    else:
        finish.lose(action, found)
    return True
