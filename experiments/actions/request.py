"""The one door of all actions: permission, parameters, preconditions, then a row and its audit entry.

The action is queued, or waits for a second person where the site wants that for its kind. While it waits it is active:
what was approved would not be what is done if others changed the experiment meanwhile. A stop overtakes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from autosubmit_portal.access.models import ExpectedExperiment
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.scope import token_of
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin
from experiments.actions import queue
from experiments.actions.accounts import unix_name_for
from experiments.actions.choice import jobs_of, written_out
from experiments.actions.freeze import frozen_reason
from experiments.actions.idempotency import IdempotencyKey, first_action
from experiments.actions.parameters import CREDENTIALS, validated
from experiments.actions.refusals import Conflict, InvalidParameters, Refusal
from experiments.actions.transition import record
from experiments.actions.workflows import seen_workflow_of
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target
from experiments.catalogue.preconditions import in_store
from experiments.models import Action, Experiment, Site, State
from jobs.autosubmit.secrets import has_credentials, masked
from jobs.workflow import Workflow


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What somebody asks for. `experiment` is None for kinds whose target is the site.

    A request with a `key` may be repeated: it makes one action, however often it is asked. `made` is the number of the
    action that it has made, when it is checked again: an action is not in its own way.
    """

    actor: User
    origin: Origin
    kind: ActionKind
    site: Site
    experiment: Experiment | None = None
    parameters: Mapping[str, Any]
    reason: str = ""
    key: IdempotencyKey | None = None
    made: int | None = None

    @property
    def needs_approval(self) -> bool:
        """Whether a second person must approve the action before it is queued."""
        return self.site.needs_approval(self.kind)

    def unix_name(self) -> str:
        """Return the Unix account that it runs as, blank for that of the worker; raise Conflict if there is none."""
        return unix_name_for(self.actor, self.kind, self.site, self.experiment)

    @property
    def expid(self) -> str:
        """The expid, blank for a site."""
        return self.experiment.expid if self.experiment else ""


def kind_named(name: str, *, among: Target | None = None) -> ActionKind:
    """Return the kind called `name`; raise InvalidParameters naming the legal ones."""
    kind = CATALOGUE.get(name)
    if kind is None or (among and (kind.target is not among or kind.is_edit)):
        legal = [k.name for k in CATALOGUE.values() if not among or (k.target is among and not k.is_edit)]
        raise InvalidParameters({"action": [f"“{name}” is not an action. Legal: {', '.join(legal)}."]})
    return kind


def dry_run_of(kind: ActionKind) -> ActionKind:
    """Return the kind as Autosubmit's own dry run; raise InvalidParameters for a kind that has none."""
    if not kind.has_dry_run:
        having = ", ".join(other.name for other in CATALOGUE.values() if other.has_dry_run)
        text = f"Autosubmit has no dry run of “{kind.title}”; it has one of: {having}. “true” tells the commands."
        raise InvalidParameters({"dry_run": [text]})
    return kind.as_dry_run


def request_action(request: Request) -> Action:
    """Make the action and return it; or the one that the same request has made before, with `is_replay` set.

    Raises policy.Forbidden, InvalidParameters, Conflict or KeyReused; each refusal is recorded in the trail first.
    """
    try:
        return _first_or_new(request)
    except (policy.Forbidden, Refusal) as refusal:
        record_refusal(request, refusal)
        raise


def preview_action(request: Request) -> list[list[str]]:
    """Return the exact commands that the action would run, changing nothing; raises as request_action does."""
    return _prepare(request, seen_workflow_of)[0]


def would_lose(request: Request) -> str:
    """Say what the action would destroy, blank if nothing; raises InvalidParameters."""
    parameters = validated(request.kind, request.parameters)
    return request.kind.would_lose(request.experiment, parameters) if request.experiment else ""


def obstacle(request: Request) -> Conflict | None:
    """Return what forbids the action now, whatever its parameters are; None if nothing does.

    The experiment must come from `with_active_action()`. Permission is not looked at.
    """
    try:
        _require_site(request)
        _require_no_freeze(request, request.parameters)
        request.unix_name()
        if request.experiment:
            _require_experiment(request, request.experiment)
    except Conflict as conflict:
        return conflict
    return None


def foreseen(request: Request) -> str:
    """Say why the action will not do what it is for, as far as the mirror knows; raises InvalidParameters."""
    parameters = validated(request.kind, request.parameters)
    experiment: Any = request.experiment
    return request.kind.foresees(experiment, parameters) if experiment else ""


def record_refusal(request: Request, refusal: Exception) -> None:
    """Record that a request was refused, and why."""
    trail.record(
        "action.refused",
        origin=request.origin,
        subject=request.expid or request.site.slug,
        site=request.site.slug,
        expid=request.expid,
        kind=request.kind.name,
        details=masked({"parameters": dict(request.parameters)})[0]
        | ({"is_dry_run": True} if request.kind.is_dry_run else {}),
        message=str(refusal),
    )


def record_early_refusal(
    origin: Origin, refusal: Exception, *, subject: str, kind: str = "", site: str = "", expid: str = ""
) -> None:
    """Record that a request was refused before it was clear which experiment it is about; the rest is what it said."""
    message = str(refusal)
    trail.record(
        "action.refused", origin=origin, subject=subject, kind=kind, site=site, expid=expid, message=message
    )


def _first_or_new(request: Request) -> Action:
    request = _permitted(request)
    first = _first(request)
    if first:
        return first
    try:
        commands, parameters = _prepare(request)
        _require_reason(request, parameters)
        return _make(request, commands, parameters)
    except Conflict:
        first = _first(request)  # the same request, asked at the same time, may be what was faster
        if first is None:
            raise
        return first


def _first(request: Request) -> Action | None:
    return first_action(request.actor, request.key, request.experiment) if request.key else None


def _permitted(request: Request) -> Request:
    """Return the request as from whom it is made for; raise Forbidden if the actor may not make it."""
    origin = permitted_origin(
        request.actor, request.kind, request.origin, site=request.site, experiment=request.experiment
    )
    return replace(request, origin=origin)


def permitted_origin(
    actor: User, kind: ActionKind, origin: Origin, *, site: Site, experiment: Experiment | None
) -> Origin:
    """Return the origin with whom the actor acts for, if somebody has lent them the right; raise Forbidden."""
    decision = policy.require_request(actor, kind, site=site, experiment=experiment)
    lender = decision.on_behalf_of
    if lender is None:
        return replace(origin, on_behalf_of="", on_behalf_of_id=None)
    return replace(origin, on_behalf_of=lender.get_username(), on_behalf_of_id=lender.pk)


def _prepare(
    request: Request, read: Callable[[Experiment], Workflow] = jobs_of
) -> tuple[list[list[str]], dict[str, Any]]:
    _permitted(request)
    parameters = validated(request.kind, request.parameters)
    _require_visible_source(request, parameters)
    _require_site(request)
    _require_no_freeze(request, parameters)
    request.unix_name()
    if request.experiment:
        _require_known_jobs(request.experiment, parameters.get("jobs", []))
        _require_experiment(request, Experiment.objects.with_active_action().get(pk=request.experiment.pk))
    told = written_out(request.kind, request.experiment, parameters, read)
    return request.kind.command_lines(request.site.autosubmit, request.expid, told), parameters


def _require_reason(request: Request, parameters: dict[str, Any]) -> None:
    if has_credentials(request.reason):
        raise InvalidParameters({"reason": [CREDENTIALS]})
    lost = request.kind.would_lose(request.experiment, parameters) if request.experiment else ""
    if lost and not request.reason.strip():
        raise InvalidParameters({"reason": [f"Say why: {lost}"]})


def _require_site(request: Request) -> None:
    switched_off = request.site.switched_off(request.kind)
    if switched_off:
        raise Conflict(switched_off)
    if request.site.problem:
        raise Conflict(f"The site {request.site} is unhealthy: {request.site.problem}")


def _require_no_freeze(request: Request, parameters: Mapping[str, Any]) -> None:
    reason = frozen_reason(request.experiment) if request.kind.submits_jobs(parameters) else ""
    if reason:
        raise Conflict(reason)


def _require_visible_source(request: Request, parameters: Mapping[str, Any]) -> None:
    """Refuse to copy an experiment that the actor may not see, or that is not in the store.

    Whoever sees all may copy what is not mirrored yet.
    """
    for option in (
        option for option in request.kind.options if option.is_expid and option.name in parameters
    ):
        expid = parameters[option.name]
        seen = Experiment.objects.visible_to(request.actor).filter(site=request.site, expid=expid)
        source: Any = seen.order_by(F("gone_at").asc(nulls_first=True)).first()
        absence = in_store(source) if source else ""
        if source is None and expid and not policy.may_view_all(request.actor, Experiment):
            absence = f"There is no experiment {expid} at the site {request.site}."
        if absence:
            raise InvalidParameters({option.name: [absence]})


def _require_known_jobs(experiment: Experiment, names: list[str]) -> None:
    if not names:
        return
    known = set(experiment.jobs.values_list("name", flat=True))
    unknown = [name for name in names if name not in known]
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise InvalidParameters(
            {"jobs": [f"Not a job of {experiment.expid}: {', '.join(unknown[:5])}{more}."]}
        )


def _require_experiment(request: Request, experiment: Any) -> None:
    absence = in_store(experiment)
    if absence:
        raise Conflict(absence)
    if experiment.active_action_id not in (None, request.made) and not request.kind.may_overtake:
        raise _in_the_way(experiment, experiment.active_action_id)
    reason = request.kind.obstacle(experiment)
    if reason:
        raise Conflict(reason)


def _in_the_way(experiment: Experiment, action_id: int | None) -> Conflict:
    if action_id is None:
        return Conflict(f"Another action was active on {experiment.expid} a moment ago. Ask again.")
    return Conflict(
        f"Action {action_id} is active on {experiment.expid}. Wait for it, or cancel it.", action_id
    )


def _make(request: Request, command: list[list[str]], parameters: dict[str, Any]) -> Action:
    try:
        with transaction.atomic():
            action = Action.objects.create(
                **_fields_of(request.key),
                kind=request.kind.name,
                site=request.site,
                experiment=request.experiment,
                expid=request.expid,
                actor=request.actor,
                actor_name=request.origin.actor_name,
                on_behalf_of=request.origin.on_behalf_of,
                lender_id=request.origin.on_behalf_of_id,
                door=request.origin.door,
                token_digest=token_of(request.actor),
                address=request.origin.address,
                reason=request.reason,
                parameters=parameters,
                command=command,
                unix_name=request.unix_name(),
                may_overtake=request.kind.may_overtake,
                is_forced=request.kind.forces(parameters),
                is_dry_run=request.kind.is_dry_run,
                **_waits(request),
            )
            _expect(request, action)
            record(action, "action.requested", origin=request.origin)
            if action.state == State.QUEUED:
                queue.send(action)
    except IntegrityError as error:  # somebody else was faster: the constraints of Action say so
        if request.experiment is None and request.key is None:
            raise
        raise _beaten(request, parameters) from error
    return action


def _waits(request: Request) -> dict[str, Any]:
    """Return the fields of an action that must be approved first; none for one that is queued."""
    if not request.needs_approval:
        return {}
    expires_at = timezone.now() + timedelta(hours=request.site.approval_hours)
    return {"state": State.AWAITING_APPROVAL, "approval_expires_at": expires_at}


def _expect(request: Request, action: Action) -> None:
    """Note the teams whose experiment a creation makes."""
    if request.kind.target is Target.SITE:
        teams = policy.teams_of_new(request.actor, request.kind, request.site)
        ExpectedExperiment.objects.bulk_create(
            ExpectedExperiment(team_id=team, action=action) for team in sorted(teams)
        )


def _fields_of(key: IdempotencyKey | None) -> dict[str, str]:
    if key is None:
        return {}
    return {
        "idempotency_key": key.text,
        "idempotency_item": key.item,
        "idempotency_digest": key.digest,
    }


def _beaten(request: Request, parameters: Mapping[str, Any]) -> Conflict:
    """Say what was faster: another action on the experiment, or the same request."""
    if request.experiment is None:
        return Conflict("The same request is being answered at this moment. Ask again.")
    active = Action.objects.active().filter(
        experiment=request.experiment, may_overtake=request.kind.may_overtake
    )
    if request.kind.may_overtake:
        active = active.filter(kind=request.kind.name, is_forced=request.kind.forces(parameters))
    return _in_the_way(request.experiment, active.values_list("pk", flat=True).first())
