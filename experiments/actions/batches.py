"""Actions are made in batches: what was checked becomes rows and entries of the trail in one transaction.

An action is queued, or waits for a second person where the site wants that for its kind. While it waits it is active:
what was approved would not be what is done if others changed the experiment meanwhile. A stop overtakes it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from autosubmit_portal.access.models import ExpectedExperiment
from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit import trail
from autosubmit_portal.sentences import say
from experiments.actions import queue
from experiments.actions.action_request import ActionRequest, record_refusal
from experiments.actions.checks import REFUSALS, CheckedRequest, Facts, check_each, describe_active
from experiments.actions.idempotency import IdempotencyKey
from experiments.actions.refusals import Conflict
from experiments.actions.transition import draft
from experiments.catalogue.kinds import Target
from experiments.models import Action, State

# A batch holds the lock of the trail, and on SQLite that of the only writer, for a few milliseconds.
MOST_AT_ONCE = 50
MOST_JOBS_AT_ONCE = 200_000
_TURN = int.from_bytes(b"many", "big")

Answer = Action | Exception


def request_action(request: ActionRequest) -> Action:
    """Make the action and return it; or the one that the same request has made before, with `is_replay` set.

    Raises policy.Forbidden, InvalidParameters, Conflict or KeyReused; each refusal is recorded in the trail first.
    """
    (answer,) = request_actions([request])
    if isinstance(answer, Action):
        return answer
    if isinstance(answer, REFUSALS):
        record_refusal(request, answer)
    raise answer


def request_actions(requests: Sequence[ActionRequest]) -> list[Answer]:
    """Make an action of each request of one person, in batches; return for each its action, or why there is none.

    A batch is made as a whole, or, where somebody else was faster, without what they were faster with. One that fails
    keeps no other from being made: its error is the answer of each of its requests. Refusals are not recorded.
    """
    return [answer for batch in _split(requests) for answer in _answer_or_tell_error(batch)]


def read_facts(requests: Iterable[ActionRequest]) -> Iterator[Facts]:
    """Yield for each request of one person what is known of it, read for a batch at a time."""
    for batch in _split(requests):
        yield from [Facts(batch)] * len(batch)


def _split(requests: Iterable[ActionRequest]) -> Iterator[list[ActionRequest]]:
    """Yield the requests in batches that hold nobody up for long, and whose jobs fit into memory."""
    batch: list[ActionRequest] = []
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


def _answer_or_tell_error(batch: list[ActionRequest]) -> list[Answer]:
    try:
        return _answer_all(batch)
    except Exception as error:  # whatever it is: what was made of other batches must be told
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()  # the next batch may get a better one
        return [error] * len(batch)


def _answer_all(batch: list[ActionRequest]) -> list[Answer]:
    checked = check_each(batch)
    made = iter(_make_all([one for one in checked if isinstance(one, CheckedRequest)]))
    answers = [next(made) if isinstance(one, CheckedRequest) else one for one in checked]
    return _replace_by_faster(batch, answers)


def _replace_by_faster(batch: list[ActionRequest], answers: list[Answer]) -> list[Answer]:
    """Put in the place of conflicts the actions of the same requests, which were asked at the same time and faster."""
    conflicts = [one for one, answer in zip(batch, answers, strict=True) if isinstance(answer, Conflict)]
    if not conflicts:
        return answers
    again = Facts(conflicts)
    return [_find_faster(*about, again) for about in zip(batch, answers, strict=True)]


def _find_faster(request: ActionRequest, answer: Answer, again: Facts) -> Answer:
    try:
        first = again.find_first_action(request) if isinstance(answer, Conflict) else None
    except REFUSALS as refusal:
        return refusal
    return first or answer


def _make_all(checked: Sequence[CheckedRequest]) -> list[Answer]:
    """Make the actions in one transaction; where somebody else was faster, in the halves that they left."""
    if not checked:
        return []
    try:
        with transaction.atomic():
            return [*_make(checked)]
    except IntegrityError:  # the constraints of Action say that somebody else was faster
        if len(checked) > 1:
            middle = len(checked) // 2
            return _make_all(checked[:middle]) + _make_all(checked[middle:])
        if checked[0].request.experiment is None and checked[0].request.key is None:
            raise
    return [_name_faster(checked[0].request, checked[0].parameters)]


def _make(checked: Sequence[CheckedRequest]) -> list[Action]:
    if len(checked) > 1:
        _take_turns()
    actions = Action.objects.bulk_create(map(_make_action, checked))
    made = [(one.request, action) for one, action in zip(checked, actions, strict=True)]
    _expect_experiments(made)
    trail.record_all([draft(action, "action.requested", origin=request.origin) for request, action in made])
    queue.send(*(action for action in actions if action.state == State.QUEUED))
    return actions


def _take_turns() -> None:
    """Wait until nobody else makes many actions: two who name the same experiments would wait for each other."""
    if connection.vendor == "postgresql":  # SQLite has one writer
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_TURN])


def _make_action(checked: CheckedRequest) -> Action:
    request = checked.request
    return Action(
        **_make_key_fields(request.key),
        kind=request.kind.name,
        site=request.site,
        experiment=request.experiment,
        expid=request.expid,
        actor=request.actor,
        actor_name=request.origin.actor_name,
        on_behalf_of=request.origin.on_behalf_of,
        lender_id=request.origin.on_behalf_of_id,
        door=request.origin.door,
        token_digest=getattr(request.actor, "token_digest", ""),  # set by whoever authenticates a token
        address=request.origin.address,
        reason=request.reason,
        parameters=checked.parameters,
        command=checked.commands,
        unix_name=checked.unix_name,
        may_overtake=request.kind.may_overtake,
        is_forced=request.kind.is_forced(checked.parameters),
        is_dry_run=request.kind.is_dry_run,
        **_make_approval_fields(request),
    )


def _make_approval_fields(request: ActionRequest) -> dict[str, Any]:
    """Return the fields of an action that must be approved first; none for one that is queued."""
    if not request.site.needs_approval(request.kind):
        return {}
    expires_at = timezone.now() + timedelta(hours=request.site.approval_hours)
    return {"state": State.AWAITING_APPROVAL, "approval_expires_at": expires_at}


def _make_key_fields(key: IdempotencyKey | None) -> dict[str, str]:
    if key is None:
        return {}
    return {"idempotency_key": key.text, "idempotency_item": key.item, "idempotency_digest": key.digest}


def _expect_experiments(made: Iterable[tuple[ActionRequest, Action]]) -> None:
    """Note the teams whose experiments the creations among what was made will be."""
    expected = [
        ExpectedExperiment(team_id=team, action=action)
        for request, action in made
        if request.kind.target is Target.SITE
        for team in sorted(policy.find_teams_of_new(request.actor, request.kind, request.site, request.lender))
    ]
    if expected:
        ExpectedExperiment.objects.bulk_create(expected)


def _name_faster(request: ActionRequest, parameters: Mapping[str, Any]) -> Conflict:
    """Say what was faster: another action on the experiment, or the same request."""
    if request.experiment is None:
        return Conflict(say("The same request is being answered at this moment. Ask again."))
    active = Action.objects.active().filter(experiment=request.experiment, may_overtake=request.kind.may_overtake)
    if request.kind.may_overtake:
        active = active.filter(kind=request.kind.name, is_forced=request.kind.is_forced(parameters))
    return describe_active(request.experiment, active.values_list("pk", flat=True).first())
