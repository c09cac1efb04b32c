"""The end of an action: the mirror first, then the state, the result and the audit entry."""

import logging
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from autosubmit_portal.access.models import ExpectedExperiment
from autosubmit_portal.access.rights.teams import add_experiment
from autosubmit_portal.agent.run_directory import Look
from autosubmit_portal.audit import trail
from autosubmit_portal.sentences import add, say
from experiments import commands
from experiments.actions.preview import find_would_be_changes
from experiments.actions.slots import send_next
from experiments.actions.transition import make_origin_of_worker, move
from experiments.autosubmit.output import Outcome, describe_changes, find_changed_jobs
from experiments.catalogue.kinds import Target
from experiments.mirror import sync
from experiments.models import Action, Experiment, State, annotate_active_action
from experiments.reads import HostAway
from jobs.autosubmit.secrets import mask_text

logger = logging.getLogger(__name__)


def finish(action: Action, outcome: Outcome, exit_status: int) -> None:
    """End a running action as its command says, and as fresh evidence of the experiment confirms."""
    if outcome.succeeded and not outcome.stopped:
        outcome = _confirm(action, outcome)
    changes: dict[str, Any] = {"exit_status": exit_status, "message": mask_text(outcome.message)}
    changes["job_changes"] = _find_job_changes(action, is_foretold=action.is_dry_run and outcome.succeeded)
    if action.is_dry_run and outcome.succeeded:
        changed = describe_changes(changes["job_changes"])
        none = say("Dry run, nothing was saved. No job would change.")
        would = say("Dry run, nothing was saved. It would change: {changes}.", changes=changed)
        changes["message"] = would if changed else none
    _end(action, _get_state(outcome), expid=outcome.expid or action.expid, **changes)


def _confirm(action: Action, outcome: Outcome) -> Outcome:
    """Ask the postconditions of the kind, and add what it reports. Raises Unseen: an old mirror confirms nothing."""
    kind = action.catalogue_kind
    if action.experiment is None or not (kind.postconditions or kind.report):
        return outcome
    try:
        _mirror(action, action.expid)
    except HostAway as silence:
        raise commands.Unseen(str(silence)) from silence
    experiment = annotate_active_action().get(pk=action.experiment.pk)
    reason = kind.find_failure(experiment, action.parameters)
    if reason:
        return replace(outcome, succeeded=False, message=reason)
    told = kind.report(experiment, action.parameters) if kind.report else ""
    return replace(outcome, message=add(outcome.message, told))


def _find_job_changes(action: Action, *, is_foretold: bool) -> list[list[str]]:
    """Return what the commands of all steps said they changed, or would: a restart recovers before it runs."""
    texts = (commands.read_text(commands.find_step(action, step)) for step in range(action.step + 1))
    said = [change for text in texts for change in find_changed_jobs(text)]
    changes = find_would_be_changes(action, dict(said)) if is_foretold else said
    return [list(change) for change in changes]


def _get_state(outcome: Outcome) -> State:
    if outcome.stopped:
        return State.CANCELLED
    return State.SUCCEEDED if outcome.succeeded else State.FAILED


def fail(action: Action, message: str) -> None:
    """End a running action whose command did not start."""
    _end(action, State.FAILED, expid=action.expid, message=message)


def call_off(action: Action, message: str, exit_status: int | None = None) -> None:
    """End a running action whose next command must not start any more, because of what `message` says.

    `exit_status` is that of the command before, if there was one.
    """
    _end(action, State.CANCELLED, expid=action.expid, message=message, exit_status=exit_status)


def lose(action: Action, found: Look) -> None:
    """End a running action whose command left no evidence of its end. It is never started again by itself."""
    if found.is_forgotten:
        message = say(
            "The command has ended, but how is not known any more: the portal's database is that of "
            "before. Check the experiment, then request the action again if it is still wanted."
        )
    elif found.has_started:
        message = say(
            "The command disappeared without an exit status: it was killed, or its host went down. "
            "Check the experiment, then request the action again if it is still wanted."
        )
    else:
        seen = say("Its worker was killed, or its host went down or had no room.")
        message = say(
            "The command never started. {why} Request the action again if it is still wanted.",
            why=f"{action.message.rstrip('.')}." if action.unseen_since else seen,
        )
    _end(action, State.LOST, expid=action.expid, message=message)


def is_run_alive(action: Action) -> bool:
    """Answer whether the action is a run whose experiment is seen running, by a fresh look. Raises Unseen."""
    if action.experiment is None or not action.catalogue_kind.is_run:
        return False
    try:
        sync.refresh(action.experiment)
    except HostAway as silence:
        raise commands.Unseen(str(silence)) from silence
    return Experiment.objects.filter(pk=action.experiment.pk, is_running=True).exists()


def _end(action: Action, state: State, *, expid: str, **changes: Any) -> None:
    try:
        experiment = _mirror(action, expid)
    except HostAway as silence:
        if action.experiment is None:  # whom it is to be given to
            raise commands.Unseen(str(silence)) from silence
        experiment = action.experiment  # the mirror is told when the host is back
    with transaction.atomic():
        changes |= {"ended_at": timezone.now(), "unseen_since": None, "expid": expid, "experiment": experiment}
        ended = move(action, frm=State.RUNNING, to=state, **changes)
        if ended and experiment and action.catalogue_kind.target is Target.SITE:
            _give_to_teams(action, experiment)
    if ended:
        send_next(action.site)
        keep_outputs(action)


def keep_outputs(action: Action) -> None:
    """Store what the commands of an ended action have printed, so that their hosts may forget it; or leave it there."""
    for step in action.steps.filter(is_forgotten=False).select_related("host"):
        try:
            commands.keep_output(step)
        except commands.Unseen as silence:
            logger.warning("The output of %s stays at its host: %s", step, silence)
            return


def _give_to_teams(action: Action, experiment: Experiment) -> None:
    """Add what was created to the teams through which its actor might create it, unless their coverage has it."""
    expected = ExpectedExperiment.objects.filter(action=action).select_related("team").order_by("team__slug")
    for row in expected:
        if add_experiment(row.team, experiment):
            trail.record(
                "team.experiment_added",
                origin=make_origin_of_worker(action),
                subject=f"team {row.team}",
                site=action.site.slug,
                expid=experiment.expid,
                action_id=action.pk,
            )


def _mirror(action: Action, expid: str) -> Experiment | None:
    """Refresh the mirror of the experiment and return it; an unreadable store does not keep an action from ending.

    An action stays with its experiment, also when another one has the expid meanwhile. Raises HostAway.
    """
    try:
        if expid:
            adopted = sync.adopt(action.site, expid)
            return action.experiment or adopted
    except HostAway:
        raise
    except Exception:  # a store may provoke any error; the action has ended and must be finished all the same
        logger.exception("The mirror of %s could not be refreshed", expid)
    return action.experiment
