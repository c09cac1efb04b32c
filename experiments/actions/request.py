"""The one door of all actions: permission, parameters, preconditions, then a row and its audit entry.

Requests go through it in batches: what the checks need is read once for a batch (`facts.py`), and one transaction makes
its actions and their entries. One request is a batch of one.

The action is queued, or waits for a second person where the site wants that for its kind. While it waits it is active:
what was approved would not be what is done if others changed the experiment meanwhile. A stop overtakes it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from autosubmit_portal.access.models import ExpectedExperiment
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.scope import token_of
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin
from experiments.actions import queue
from experiments.actions.accounts import unix_name_for
from experiments.actions.choice import written_out
from experiments.actions.facts import Facts
from experiments.actions.idempotency import IdempotencyKey
from experiments.actions.parameters import CREDENTIALS, validated
from experiments.actions.refusals import Conflict, InvalidParameters, Refusal
from experiments.actions.transition import draft
from experiments.actions.workflows import seen_workflow_of
from experiments.catalogue.facts import join_names
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target
from experiments.catalogue.preconditions import refuse_absent
from experiments.models import Action, Experiment, Site, State
from jobs.autosubmit.secrets import has_credentials, mask_value
from jobs.workflow import Workflow

# A batch holds the lock of the trail, and on SQLite that of the only writer, for a few milliseconds.
MOST_AT_ONCE = 50
MOST_JOBS_AT_ONCE = 200_000
REFUSALS = (policy.Forbidden, Refusal)
_TURN = int.from_bytes(b"many", "big")


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A request that nothing is against, and what will be done."""

    request: Request
    commands: list[list[str]]
    parameters: dict[str, Any]
    unix_name: str


Answer = Action | Exception
Checked = TypeVar("Checked")


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
    (answer,) = request_actions([request])
    if isinstance(answer, Action):
        return answer
    if isinstance(answer, REFUSALS):
        record_refusal(request, answer)
    raise answer


def request_actions(requests: Sequence[Request]) -> list[Answer]:
    """Make an action of each request of one person, in batches; return for each its action, or why there is none.

    A batch is made as a whole, or, where somebody else was faster, without what they were faster with. One that fails
    keeps no other from being made: its error is the answer of each of its requests. Refusals are not recorded.
    """
    return [answer for batch in _batches(requests) for answer in _answers_or_error(batch)]


def preview_action(request: Request, facts: Facts | None = None) -> list[list[str]]:
    """Return the exact commands that the action would run, changing nothing; raises as request_action does.

    `facts` are those that were read for many requests.
    """
    facts = facts or Facts([request])
    return _prepared(_permitted(request), facts, seen_workflow_of).commands


def would_lose(request: Request) -> str:
    """Say what the action would destroy, blank if nothing; raises InvalidParameters."""
    parameters = validated(request.kind, request.parameters)
    return request.kind.would_lose(request.experiment, parameters) if request.experiment else ""


def obstacle(request: Request, facts: Facts | None = None) -> Conflict | None:
    """Return what forbids the action now, whatever its parameters are; None if nothing does.

    The experiment must come from `with_active_action()`. Permission is not looked at. `facts` are those that were read
    for many requests.
    """
    facts = facts or Facts([request])
    try:
        _require_site(request)
        _require_no_freeze(request, request.parameters, facts)
        facts.unix_name(request)
        if request.experiment:
            _require_experiment(request, request.experiment)
    except Conflict as conflict:
        return conflict
    return None


def foreseen(request: Request) -> str:
    """Say why the action will not do what it is for, as far as the mirror knows; raises InvalidParameters."""
    parameters = validated(request.kind, request.parameters)
    experiment: Any = request.experiment
    return request.kind.foresee_failure(experiment, parameters) if experiment else ""


def record_refusal(request: Request, refusal: Exception) -> None:
    """Record that a request was refused, and why."""
    trail.record(
        "action.refused",
        origin=request.origin,
        subject=request.expid or request.site.slug,
        site=request.site.slug,
        expid=request.expid,
        kind=request.kind.name,
        details=mask_value({"parameters": dict(request.parameters)})[0]
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


def _batches(requests: Iterable[Request]) -> Iterator[list[Request]]:
    """Yield the requests in batches that hold nobody up for long, and whose jobs fit into memory."""
    batch: list[Request] = []
    jobs = 0
    for request in requests:
        is_about_jobs = request.experiment and request.kind.target is Target.JOBS
        more = request.experiment.total_jobs if request.experiment and is_about_jobs else 0
        if batch and (len(batch) == MOST_AT_ONCE or jobs + more > MOST_JOBS_AT_ONCE):
            yield batch
            batch, jobs = [], 0
        batch.append(request)
        jobs += more
    if batch:
        yield batch


def facts_of_each(requests: Iterable[Request]) -> Iterator[Facts]:
    """Yield for each request of one person what is known of it, read for a batch at a time."""
    for batch in _batches(requests):
        yield from [Facts(batch)] * len(batch)


def _answers_or_error(batch: list[Request]) -> list[Answer]:
    try:
        return _answers(batch)
    except Exception as error:  # whatever it is: what was made of other batches must be told
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()  # the next batch may get a better one
        return [error] * len(batch)


def _answers(batch: list[Request]) -> list[Answer]:
    facts = Facts(batch)
    checked = [_attempt(_checked, request, facts) for request in batch]
    made = iter(_make_all([one for one in checked if isinstance(one, Ready)]))
    answers = [next(made) if isinstance(one, Ready) else one for one in checked]
    return _with_faster_ones(batch, answers)


def _attempt(check: Callable[..., Checked], *about: Any) -> Checked | Exception:
    """Return what a check answers, or the refusal that it raises."""
    try:
        return check(*about)
    except REFUSALS as refusal:
        return refusal


def _checked(request: Request, facts: Facts) -> Action | Ready:
    """Return the action that the same request has made before, or the request ready to become one; raise refusals."""
    request = _permitted(request)
    first = facts.first_action(request)
    if first:
        return first
    ready = _prepared(request, facts, facts.jobs_of)
    _require_reason(request, ready.parameters)
    return ready


def _with_faster_ones(batch: list[Request], answers: list[Answer]) -> list[Answer]:
    """Put in the place of conflicts the actions of the same requests, which were asked at the same time and faster."""
    again = Facts([one for one, answer in zip(batch, answers, strict=True) if isinstance(answer, Conflict)])
    return [_faster_one(*about, again) for about in zip(batch, answers, strict=True)]


def _faster_one(request: Request, answer: Answer, again: Facts) -> Answer:
    first = _attempt(again.first_action, request) if isinstance(answer, Conflict) else None
    return first or answer


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


def _prepared(request: Request, facts: Facts, read: Callable[[Experiment], Workflow]) -> Ready:
    """Check all but the permission; raise what is against it. `read` gives the jobs of an experiment."""
    parameters = validated(request.kind, request.parameters)
    _require_visible_source(request, parameters)
    _require_site(request)
    _require_no_freeze(request, parameters, facts)
    unix_name = facts.unix_name(request)
    if request.experiment:
        _require_known_jobs(request.experiment, parameters.get("jobs", []), facts)
        _require_experiment(request, facts.experiment(request))
    told = written_out(request.kind, request.experiment, parameters, read)
    commands = request.kind.command_lines(request.site.autosubmit, request.expid, told)
    return Ready(request=request, commands=commands, parameters=parameters, unix_name=unix_name)


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


def _require_no_freeze(request: Request, parameters: Mapping[str, Any], facts: Facts) -> None:
    reason = facts.frozen_reason(request) if request.kind.submits_jobs(parameters) else ""
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
        absence = refuse_absent(source) if source else ""
        if source is None and expid and not policy.may_view_all(request.actor, Experiment):
            absence = f"There is no experiment {expid} at the site {request.site}."
        if absence:
            raise InvalidParameters({option.name: [absence]})


def _require_known_jobs(experiment: Experiment, names: list[str], facts: Facts) -> None:
    if not names:
        return
    known = facts.job_names(experiment)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidParameters({"jobs": [f"Not a job of {experiment.expid}: {join_names(unknown)}."]})


def _require_experiment(request: Request, experiment: Any) -> None:
    absence = refuse_absent(experiment)
    if absence:
        raise Conflict(absence)
    if experiment.active_action_id not in (None, request.made) and not request.kind.may_overtake:
        raise _in_the_way(experiment, experiment.active_action_id)
    reason = request.kind.find_obstacle(experiment, request.parameters)
    if reason:
        raise Conflict(reason)


def _in_the_way(experiment: Experiment, action_id: int | None) -> Conflict:
    if action_id is None:
        return Conflict(f"Another action was active on {experiment.expid} a moment ago. Ask again.")
    return Conflict(
        f"Action {action_id} is active on {experiment.expid}. Wait for it, or cancel it.", action_id
    )


def _make_all(ready: Sequence[Ready]) -> list[Answer]:
    """Make the actions in one transaction; where somebody else was faster, in the halves that they left."""
    if not ready:
        return []
    try:
        with transaction.atomic():
            return [*_make(ready)]
    except IntegrityError:  # the constraints of Action say that somebody else was faster
        if len(ready) > 1:
            middle = len(ready) // 2
            return _make_all(ready[:middle]) + _make_all(ready[middle:])
        if ready[0].request.experiment is None and ready[0].request.key is None:
            raise
    return [_beaten(ready[0].request, ready[0].parameters)]


def _make(ready: Sequence[Ready]) -> list[Action]:
    if len(ready) > 1:
        _take_turns()
    actions = Action.objects.bulk_create(_action_of(one) for one in ready)
    _expect((one.request, action) for one, action in zip(ready, actions, strict=True))
    trail.record_all(
        [
            draft(action, "action.requested", origin=one.request.origin)
            for one, action in zip(ready, actions, strict=True)
        ]
    )
    queue.send(*(action for action in actions if action.state == State.QUEUED))
    return actions


def _take_turns() -> None:
    """Wait until nobody else makes many actions: two who name the same experiments would wait for each other."""
    if connection.vendor == "postgresql":  # SQLite has one writer
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_TURN])


def _action_of(ready: Ready) -> Action:
    request = ready.request
    return Action(
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
        parameters=ready.parameters,
        command=ready.commands,
        unix_name=ready.unix_name,
        may_overtake=request.kind.may_overtake,
        is_forced=request.kind.is_forced(ready.parameters),
        is_dry_run=request.kind.is_dry_run,
        **_waits(request),
    )


def _waits(request: Request) -> dict[str, Any]:
    """Return the fields of an action that must be approved first; none for one that is queued."""
    if not request.needs_approval:
        return {}
    expires_at = timezone.now() + timedelta(hours=request.site.approval_hours)
    return {"state": State.AWAITING_APPROVAL, "approval_expires_at": expires_at}


def _expect(made: Iterable[tuple[Request, Action]]) -> None:
    """Note the teams whose experiments the creations among what was made will be."""
    expected = [
        ExpectedExperiment(team_id=team, action=action)
        for request, action in made
        if request.kind.target is Target.SITE
        for team in sorted(policy.teams_of_new(request.actor, request.kind, request.site))
    ]
    ExpectedExperiment.objects.bulk_create(expected)


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
        active = active.filter(kind=request.kind.name, is_forced=request.kind.is_forced(parameters))
    return _in_the_way(request.experiment, active.values_list("pk", flat=True).first())
