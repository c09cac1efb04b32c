"""The checks that every request passes: permission, parameters, site, freezes, account, preconditions.

What they ask the database is read once for all requests of a batch (`Facts`).
"""

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User
from django.db.models import F

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.gateway.caller import NoGateway, Unanswered
from autosubmit_portal.sentences import say
from experiments import hosts
from experiments.actions import places, projects
from experiments.actions.accounts import KnownAccounts, find_unix_name
from experiments.actions.action_request import ActionRequest
from experiments.actions.choice import name_chosen_jobs
from experiments.actions.idempotency import FirstActions
from experiments.actions.parameters import CREDENTIALS
from experiments.actions.refusals import Conflict, InvalidParameters, Refusal
from experiments.actions.validation import validate_parameters
from experiments.actions.workflows import read_jobs
from experiments.catalogue.facts import join_names
from experiments.catalogue.kinds import ActionKind
from experiments.catalogue.preconditions import refuse_absent
from experiments.hosts import Absence
from experiments.models import Action, Experiment, Freeze, Host, Site, annotate_active_action
from experiments.models.site import RunAs
from jobs.autosubmit.secrets import has_credentials
from jobs.models import Job
from jobs.workflow import Workflow

# Whoever asks waits no longer for the gateway.
_LOOK_SECONDS = 1.0
REFUSALS = (policy.Forbidden, Refusal)


class Facts:
    """What is known of some requests. All are of one person; those that have a key have the same one.

    Each thing is read when the first of them needs it, so that nothing is read for requests that are refused before.
    """

    def __init__(self, requests: Sequence[ActionRequest]) -> None:
        self._requests = requests
        self._absences: dict[int, str] = {}
        self._experiments = {request.experiment.pk: request.experiment for request in requests if request.experiment}
        if len(self._experiments) > 1:  # one experiment is looked up if it must be
            policy.look_ahead(requests[0].actor, self._experiments)

    def find_first_action(self, request: ActionRequest) -> Action | None:
        """Return the action that the same request has made before, None if there is none; raise KeyReused."""
        return self._first.find(request.key, request.experiment) if request.key and self._first else None

    def find_unix_name(self, request: ActionRequest) -> str:
        """Return the account that the action runs as, blank for that of the worker; raise Conflict if there is none."""
        if request.site.run_as == RunAs.SERVICE:
            return ""
        return find_unix_name(request.actor, request.kind, request.site, request.experiment, self._accounts)

    @cached_property
    def freezes(self) -> Mapping[int, str]:
        """Why nothing may submit jobs of an experiment, for those of which that is so."""
        return Freeze.objects.find_refusals(self._experiments.values())

    @cached_property
    def experiments(self) -> Mapping[int, Any]:
        """The experiments as they are now and with their active actions; what was just read is not read again."""
        if len(self._requests) == 1 and all(map(_has_active_action, self._experiments.values())):
            return self._experiments
        return annotate_active_action().in_bulk(list(self._experiments))

    def explain_absence(self, experiment: Any) -> str:
        """Say why nothing can be done to the experiment, which is not in the store; blank if it is there."""
        if experiment.pk not in self._absences:
            self._absences[experiment.pk] = refuse_absent(experiment)
        return self._absences[experiment.pk]

    def refresh_rules(self) -> None:
        """Have the hosts say what they refuse by now, for what is asked for and not only looked at."""
        hosts.refresh_rules((host for found in self.hosts.values() for host in found), _LOOK_SECONDS)

    def explain_silence(self, request: ActionRequest) -> str:
        """Return why a run of the experiment may live unseen, so that the action is refused; blank otherwise."""
        at_site = self.hosts[request.site.pk]
        if request.experiment is None or len(at_site) == 1 or not request.kind.excludes_run:
            return ""
        return places.explain_silence(request.kind, request.experiment, at_site, self._away)

    def require_pushed(self, request: ActionRequest) -> None:
        """Raise Conflict for a run of a project that must be pushed first; of many requests only workers look."""
        refusal = projects.find_refusal(request.kind, request.experiment) if len(self._requests) == 1 else ""
        if refusal:
            raise Conflict(refusal)

    @cached_property
    def hosts(self) -> Mapping[int, list[Host]]:
        """The hosts of each site, in their order."""
        found: dict[int, list[Host]] = {request.site.pk: [] for request in self._requests}
        for host in Host.objects.filter(site__in=found).select_related("site"):
            found[host.site_id].append(host)
        return found

    @cached_property
    def _away(self) -> Mapping[int, Absence]:
        """The hosts that are not there; none while nobody knows, because a worker looks again."""
        at_sites = [host for found in self.hosts.values() for host in found]
        try:
            away = hosts.look_for(at_sites, _LOOK_SECONDS)
        except (NoGateway, Unanswered):
            return {}
        return {key: absence for key, absence in away.items() if not absence.is_new}

    @cached_property
    def job_names(self) -> Mapping[int, Container[str]]:
        """The names of the jobs of each experiment."""
        found: dict[int, set[str]] = {experiment: set() for experiment in self._experiments}
        for experiment, name in Job.objects.filter(experiment__in=found).values_list("experiment_id", "name"):
            found[experiment].add(name)
        return found

    @cached_property
    def workflows(self) -> Mapping[int, Workflow]:
        """The jobs of each experiment without their edges."""
        return read_jobs(self._experiments)

    @cached_property
    def _accounts(self) -> KnownAccounts:
        return KnownAccounts(self._requests[0].actor, self._experiments.values())

    @cached_property
    def _first(self) -> FirstActions | None:
        keys = [request.key for request in self._requests if request.key]
        return FirstActions(self._requests[0].actor, keys[0], [key.item for key in keys]) if keys else None


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedRequest:
    """A request that nothing is against, and what will be done. `parameters` are the validated ones."""

    request: ActionRequest
    commands: list[list[str]]
    parameters: dict[str, Any]
    unix_name: str

    @property
    def would_lose(self) -> str:
        """What the action would destroy, blank if nothing."""
        experiment = self.request.experiment
        return self.request.kind.would_lose(experiment, self.parameters) if experiment else ""


def check_each(batch: Sequence[ActionRequest]) -> list[Action | CheckedRequest | Exception]:
    """Return each request of one person ready to become an action, or the action it made before, or its refusal."""
    facts = Facts(batch)
    return [_check_or_refuse(request, facts) for request in batch]


def _check_or_refuse(request: ActionRequest, facts: Facts) -> Action | CheckedRequest | Exception:
    try:
        request = permit(request)
        first = facts.find_first_action(request)
        if first:
            return first
        checked = check(request, facts)
        _require_reason(checked)
    except REFUSALS as refusal:
        return refusal
    return checked


def permit(request: ActionRequest) -> ActionRequest:
    """Return the request as from whom it is made for; raise Forbidden if the actor may not make it."""
    about = {"site": request.site, "experiment": request.experiment}
    lender = policy.require_request(request.actor, request.kind, **about).on_behalf_of
    return replace(request, origin=name_lender(request.origin, lender), lender=lender)


def require_right(
    actor: User, kind: ActionKind, origin: Origin, *, site: Site, experiment: Experiment | None
) -> Origin:
    """Return the origin with whom the actor acts for, if somebody has lent them the right; raise Forbidden."""
    decision = policy.require_request(actor, kind, site=site, experiment=experiment)
    return name_lender(origin, decision.on_behalf_of)


def name_lender(origin: Origin, lender: User | None) -> Origin:
    """Return the origin of what somebody does with the right of a lender, or with their own."""
    if lender is None:
        return replace(origin, on_behalf_of="", on_behalf_of_id=None)
    return replace(origin, on_behalf_of=lender.get_username(), on_behalf_of_id=lender.pk)


def check(request: ActionRequest, facts: Facts, read: Callable[[Experiment], Workflow] | None = None) -> CheckedRequest:
    """Check all but the permission and the reason; raise what is against it.

    `read` gives the jobs of an experiment to choose from, by default those of `facts`.
    """
    parameters, options = validate_parameters(request.kind, request.parameters), request.kind.options
    for option in options:
        if option.is_expid and option.name in parameters:
            _require_visible_source(request, option.name, parameters[option.name])
    facts.refresh_rules()
    unix_name = _require_place(request, parameters, facts)
    if request.experiment:
        _require_known_jobs(request.experiment, parameters.get("jobs", []), facts)
        _require_experiment(request, facts.experiments[request.experiment.pk], facts)
        facts.require_pushed(request)
    named = parameters
    if request.experiment and any(option.is_filter for option in options):
        read = read or (lambda experiment: facts.workflows[experiment.pk])
        named = name_chosen_jobs(request.kind, request.experiment, parameters, read)
    commands = request.kind.make_command_lines(request.site.autosubmit, request.expid, named)
    return CheckedRequest(request=request, commands=commands, parameters=parameters, unix_name=unix_name)


def _require_reason(checked: CheckedRequest) -> None:
    """Raise InvalidParameters where the action would destroy something and nobody says why, or says a password."""
    reason = checked.request.reason
    if reason.strip():
        if has_credentials(reason):
            raise InvalidParameters({"reason": [CREDENTIALS]})
        return
    lost = checked.would_lose
    if lost:
        raise InvalidParameters({"reason": [say("Say why: {lost}", lost=lost)]})


def find_obstacles(request: ActionRequest, kinds: Iterable[ActionKind]) -> dict[str, Conflict | None]:
    """Return what forbids each of these kinds now, by name, if the request were one for it.

    The experiment must come from `annotate_active_action()`. Permission and parameters are not looked at.
    """
    facts = Facts([request])
    return {kind.name: find_obstacle(replace(request, kind=kind), facts) for kind in kinds}


def find_obstacle(request: ActionRequest, facts: Facts) -> Conflict | None:
    """Return what forbids the action now, whatever its parameters are; None if nothing does."""
    try:
        _require_place(request, request.parameters, facts)
        if request.experiment:
            _require_experiment(request, request.experiment, facts)
    except Conflict as conflict:
        return conflict
    return None


def describe_active(experiment: Experiment, action_id: int | None) -> Conflict:
    """Say which other action is in the way."""
    if action_id is None:
        return Conflict(say("Another action was active on {expid} a moment ago. Ask again.", expid=experiment.expid))
    return Conflict(
        say(
            "Action {action_id} is active on {expid}. Wait for it, or cancel it.",
            action_id=action_id,
            expid=experiment.expid,
        ),
        action_id,
    )


def _has_active_action(experiment: Any) -> bool:
    return hasattr(experiment, "active_action_id") and hasattr(experiment, "is_starting")


def _require_place(request: ActionRequest, parameters: Mapping[str, Any], facts: Facts) -> str:
    """Return the account that the action runs as; raise Conflict if its site is closed to it or it is frozen."""
    switched_off = request.site.explain_switched_off(request.kind)
    if switched_off:
        raise Conflict(switched_off)
    if request.site.problem:
        raise Conflict(say("The site {site} is unhealthy: {problem}", site=request.site, problem=request.site.problem))
    if request.experiment and request.kind.submits_jobs(parameters):
        frozen = facts.freezes.get(request.experiment.pk)
        if frozen:
            raise Conflict(frozen)
    refused = places.explain_rules(request.kind, request.experiment, facts.hosts[request.site.pk])
    if refused:
        raise Conflict(refused)
    return facts.find_unix_name(request)


def _require_visible_source(request: ActionRequest, option: str, expid: str) -> None:
    """Refuse to copy an experiment that the actor may not see, or that is not in the store.

    Whoever sees all may copy what is not mirrored yet.
    """
    seen = Experiment.objects.visible_to(request.actor).filter(site=request.site, expid=expid)
    source: Any = seen.order_by(F("gone_at").asc(nulls_first=True)).first()
    absence = refuse_absent(source) if source else ""
    if source is None and expid and not policy.may_view_all(request.actor, Experiment):
        absence = say("There is no experiment {expid} at the site {site}.", expid=expid, site=request.site)
    if absence:
        raise InvalidParameters({option: [absence]})


def _require_known_jobs(experiment: Experiment, names: Collection[str], facts: Facts) -> None:
    if not names:
        return
    known = facts.job_names[experiment.pk]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidParameters(
            {"jobs": [say("Not a job of {expid}: {unknown}.", expid=experiment.expid, unknown=join_names(unknown))]}
        )


def _require_experiment(request: ActionRequest, experiment: Any, facts: Facts) -> None:
    absence = facts.explain_absence(experiment)
    if absence:
        raise Conflict(absence)
    if experiment.active_action_id not in (None, request.made) and not request.kind.may_overtake:
        raise describe_active(experiment, experiment.active_action_id)
    reason = request.kind.find_obstacle(experiment, request.parameters)
    reason = reason or facts.explain_silence(request)
    if reason:
        raise Conflict(reason)
