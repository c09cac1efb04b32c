"""Which Unix account the commands of an action run as."""

from django.contrib.auth.models import User

from autosubmit_portal.access.models import SiteAccount
from experiments.actions.refusals import Conflict
from experiments.catalogue import ActionKind
from experiments.models import Action, Experiment, Site, State
from experiments.models.experiment import RUN_KINDS
from experiments.models.site import RunAs


def unix_name_for(actor: User, kind: ActionKind, site: Site, experiment: Experiment | None) -> str:
    """Return the Unix account that what the actor asks for runs as; blank for the account of the worker.

    It is the actor's own at the site, also when they act for somebody else: the processes of a host say who acted.
    A stop runs as whoever the run belongs to, because Autosubmit lets nobody else stop it. Raises Conflict for an actor
    without an account.
    """
    if site.run_as == RunAs.SERVICE:
        return ""
    if kind.is_urgent and experiment is not None:
        return _account_of_run(experiment)
    own = SiteAccount.objects.filter(user=actor.pk, site=site).values_list("unix_name", flat=True).first()
    if own is None:
        raise Conflict(
            f"Commands run as the person who asks at the site {site}, and {actor} has no Unix account there. "
            "Ask a manager of the site for one."
        )
    return own


def account_changed(action: Action) -> str:
    """Return why an action may not start as the account that it was asked for with; blank if it may."""
    if action.actor is None or action.catalogue_kind.is_urgent:
        return ""
    try:
        now = unix_name_for(action.actor, action.catalogue_kind, action.site, action.experiment)
    except Conflict as refusal:
        return str(refusal)
    if now == action.unix_name:
        return ""
    return (
        f"It was to run as {action.unix_name or 'the service account'}, which has changed. Request it again."
    )


def _account_of_run(experiment: Experiment) -> str:
    """Return the account of the run that the portal has started, or else the owner, who alone can have started one."""
    runs = Action.objects.filter(experiment=experiment, state=State.RUNNING, kind__in=RUN_KINDS)
    started_as = runs.filter(is_dry_run=False).values_list("unix_name", flat=True).first()
    return experiment.owner if started_as is None else started_as
