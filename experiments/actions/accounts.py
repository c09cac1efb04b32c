"""Which Unix account the commands of an action run as.

None is ever taken from what a store says in words: it is entered at the site by who may, or it is the account whose
folder the experiment is, if that is entered there too.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

from django.contrib.auth.models import User

from autosubmit_portal.access.models import SiteAccount
from autosubmit_portal.access.unix import explain_unusable, get_uid
from autosubmit_portal.agent.accounts import SUPERUSER
from autosubmit_portal.sentences import say
from experiments.actions.refusals import Conflict
from experiments.autosubmit.store import NO_OWNER
from experiments.catalogue.kinds import RUN_KINDS, ActionKind
from experiments.models import Action, Experiment, Site, State
from experiments.models.site import RunAs


class KnownAccounts:
    """The accounts that are entered at sites and those of runs, each read once for all experiments, when asked for."""

    def __init__(self, actor: User, experiments: Iterable[Experiment] = ()) -> None:
        self._actor = actor
        self._experiments = list(experiments)

    @cached_property
    def own(self) -> Mapping[int, str]:
        """The account of the actor at each site."""
        return dict(SiteAccount.objects.filter(user=self._actor.pk).values_list("site_id", "unix_name"))

    @cached_property
    def of_runs(self) -> Mapping[int, str]:
        """The account of the run that the portal has started, by experiment."""
        runs = Action.objects.filter(
            experiment__in=self._experiments, state=State.RUNNING, kind__in=RUN_KINDS, is_dry_run=False
        )
        return dict(runs.order_by("-pk").values_list("experiment_id", "unix_name"))

    @cached_property
    def entered(self) -> Collection[tuple[int, str]]:
        """All accounts at the sites of the experiments, as site and name."""
        sites = {experiment.site_id for experiment in self._experiments}
        accounts = SiteAccount.objects.filter(site__in=sites).order_by("unix_name")
        return list(accounts.values_list("site_id", "unix_name").distinct())


def find_unix_name(
    actor: User, kind: ActionKind, site: Site, experiment: Experiment | None, known: KnownAccounts | None = None
) -> str:
    """Return the Unix account of a command, at a site where they run as people; blank for the account of the worker.

    It is the actor's own at the site, also when they act for somebody else: the processes of a host say who acted.
    A stop runs as whoever the run belongs to, because Autosubmit lets nobody else stop it. `known` is what was read for
    many experiments. Raises Conflict for an actor without an account, and for an account that nothing may run as.
    """
    known = known or KnownAccounts(actor, [experiment] if experiment else [])
    if kind.stops_run and experiment is not None:
        return _find_account_of_run(experiment, known)
    own = known.own.get(site.pk)
    if own is None:
        raise Conflict(
            say(
                "Commands run as the person who asks at the site {site}, and {actor} has no Unix "
                "account there. Ask a manager of the site for one.",
                site=site,
                actor=actor,
            )
        )
    return _require_usable(own)


def find_changed_account(action: Action) -> str:
    """Return why an action may not start as the account that it was asked for with; blank if it may."""
    kind = action.catalogue_kind
    is_service = action.site.run_as == RunAs.SERVICE
    if is_service and not action.unix_name:
        return ""
    if action.actor is None or (kind.stops_run and _has_run_as(action)):
        return explain_unusable(action.unix_name) if action.unix_name else ""
    try:
        now = "" if is_service else find_unix_name(action.actor, kind, action.site, action.experiment)
    except Conflict as refusal:
        return str(refusal)
    if _get_number(now) == _get_number(action.unix_name):
        return ""
    return say(
        "It was to run as {account}, which has changed. Request it again.",
        account=action.unix_name or say("the service account"),
    )


def _find_account_of_run(experiment: Experiment, known: KnownAccounts) -> str:
    """Return the account of the run that the portal has started, or else the owner, who alone can have started one."""
    started_as = known.of_runs.get(experiment.pk)
    if started_as is None:
        return _find_account_of_owner(experiment, known)
    return _require_usable(started_as) if started_as else ""


def _find_account_of_owner(experiment: Experiment, known: KnownAccounts) -> str:
    """Return the account whose folder the experiment is, by a name that is entered at the site for its uid."""
    uid = experiment.owner_uid
    if uid is None or uid == NO_OWNER:
        raise Conflict(
            say(
                "It is not known whose {experiment} is. {owner_note}",
                experiment=experiment,
                owner_note=experiment.owner_note,
            )
        )
    if uid == SUPERUSER:
        raise Conflict(
            say(
                "The folder of {experiment} belongs to the superuser, as whom nothing is ever run. "
                "Give it to the account that runs it (chown), or stop it on its host.",
                experiment=experiment,
            )
        )
    if uid == os.getuid():
        return ""
    for site, name in known.entered:
        if site == experiment.site_id and get_uid(name) == uid:
            return name
    raise Conflict(
        say(
            "The folder of {experiment} belongs to {owner}, which is none of the Unix accounts "
            "that are known at the site {site}. Have a manager of the site enter it under "
            "“Accounts at sites”, or stop {experiment} as {owner} on its host.",
            experiment=experiment,
            owner=experiment.owner,
            site=experiment.site,
        )
    )


def _require_usable(name: str) -> str:
    reason = explain_unusable(name)
    if reason:
        raise Conflict(reason)
    return name


def _has_run_as(action: Action) -> bool:
    """Answer whether the portal has started a run of the experiment as the account of a stop, so that it may end it."""
    runs = Action.objects.filter(experiment=action.experiment_id, kind__in=RUN_KINDS, is_dry_run=False)
    return runs.filter(unix_name=action.unix_name, started_at__isnull=False).exists()


def _get_number(name: str) -> int | None:
    """Return the uid of an account, blank for that of the worker: two names of one uid are the same account."""
    return get_uid(name) if name else os.getuid()
