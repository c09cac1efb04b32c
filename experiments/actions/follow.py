"""Looking at the command of a running action: one short look that anybody may repeat at any time."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from experiments.actions import finish
from experiments.actions.transition import on_behalf_of, record
from experiments.autosubmit.output import read_outcome
from experiments.models import Action, State
from experiments.runners import runner_for

# A command that has left no trace for so long never started, or was killed together with its launcher.
GRACE = timedelta(seconds=30)


def follow(action: Action) -> bool:
    """Look once; start the next step or finish the action when its command has ended. Answer whether it is over."""
    action.refresh_from_db(fields=["state", "step", "step_started_at"])
    if action.state != State.RUNNING:
        return True
    look = runner_for(action.site).look(action.run_directory(action.step))
    if look.exit_status is not None:
        return _ended(action, look.exit_status)
    if look.is_alive or not _is_overdue(action):
        return False
    return _lost(action)


def start_step(action: Action, step: int) -> None:
    """Start the command of one step, at most once whoever calls: the conditional update decides who does."""
    now = timezone.now()
    seen = {"state": State.RUNNING, "step": action.step, "step_started_at": action.step_started_at}
    with transaction.atomic():
        if not Action.objects.filter(pk=action.pk, **seen).update(step=step, step_started_at=now):
            return
        action.step, action.step_started_at = step, now
        details = {"step": step, "command": action.command[step]}
        record(action, "action.command_started", origin=on_behalf_of(action), details=details)
    try:
        runner_for(action.site).start(action.command[step], action.run_directory(step))
    except OSError as error:
        finish.fail(action, f"The command could not be started: {error}.")


def _ended(action: Action, exit_status: int) -> bool:
    argv = action.command[action.step]
    outcome = read_outcome(
        argv[1], exit_status, runner_for(action.site).text(action.run_directory(action.step))
    )
    if outcome.succeeded and action.step + 1 < len(action.command):
        start_step(action, action.step + 1)
        return False
    if action.may_overtake:
        _follow_overtaken(action)
    finish.finish(action, outcome, exit_status)
    return True


def _follow_overtaken(action: Action) -> None:
    """Close what a stop has ended, so that nothing is in the way of whoever has seen the stop succeed."""
    overtaken = Action.objects.filter(experiment=action.experiment, state=State.RUNNING, may_overtake=False)
    for other in overtaken.select_related("site", "experiment"):
        follow(other)


def _is_overdue(action: Action) -> bool:
    return action.step_started_at is None or timezone.now() - action.step_started_at > GRACE


def _lost(action: Action) -> bool:
    """The launcher is gone without an exit status. A run may live on without it; everything else is lost."""
    if finish.run_lives(action):
        return False
    finish.lose(action)
    return True
