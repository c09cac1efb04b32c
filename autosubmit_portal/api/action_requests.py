"""From an HTTP request to an action request, and from the action to the answer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import QueryDict
from django.urls import reverse
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.forms import read_form
from autosubmit_portal.api.serializers.actions import ActionItem
from autosubmit_portal.api.serializers.fields import AUTOSUBMIT, DryRunField, Query
from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.waits import make_headers, wait_until
from experiments.actions.action_request import ActionRequest, find_dry_run, record_refusal
from experiments.actions.batches import request_action
from experiments.actions.checks import Facts
from experiments.actions.idempotency import IdempotencyKey
from experiments.actions.preview import preview_action, shorten
from experiments.actions.refusals import InvalidParameters, Refusal
from experiments.actions.validation import Shape, validate
from experiments.catalogue.kinds import ActionKind
from experiments.models import Action, Experiment, Site, State

LONGEST_WAIT_SECONDS = 60
WAIT = re.compile(r'wait\s*=\s*"?(\d{1,6})"?')
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Envelope(serializers.Serializer[Any]):
    """What a request says besides the parameters of its kind."""

    reason = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=2000,
        help_text="Why; kept in the action and the audit trail. "
        "Required where the action would destroy something: `would_lose` of a dry run says what.",
    )
    dry_run: serializers.BooleanField = DryRunField()


ENVELOPE_FIELDS = frozenset(Envelope().fields)

MOST_NAMED = 100
"""How many jobs that change, and that follow, a preview names unless all are asked for."""


def submit(
    request: Request,
    kind: ActionKind,
    site: Site,
    experiment: Experiment | None = None,
    *,
    query: Mapping[str, Any],
    given: Mapping[str, Any] | None = None,
) -> Response:
    """Request the action and answer it, or what it would do; a body that is wrong is a recorded refusal too.

    `query` and the parameters in `given` are what the address says.
    """
    given = given or {}
    action_request = ActionRequest(
        actor=get_actor(request),
        origin=make_origin(request),
        kind=kind,
        site=site,
        experiment=experiment,
        parameters=given,
    )
    try:
        body = read_body(request)
        envelope = _read_envelope(body, query.get("dry_run"))
        is_preview = envelope.get("dry_run") is True
        kind = find_dry_run(kind) if envelope.get("dry_run") == AUTOSUBMIT else kind
        parameters = merge({name: body[name] for name in body if name not in ENVELOPE_FIELDS}, given)
        key = None if is_preview else read_key(request, body)
    except (Refusal, APIException, RequestDataTooBig) as refusal:
        record_refusal(action_request, refusal)
        raise
    reason = envelope.get("reason", "")
    action_request = replace(action_request, kind=kind, parameters=parameters, reason=reason, key=key)
    if is_preview:
        return Response(show_preview(action_request, is_whole=query.get("all_changes", False)))
    return answer_action(request, request_action(action_request))


def read_key(request: Request, body: Any) -> IdempotencyKey | None:
    """Return the Idempotency-Key of a request, None without one; raise InvalidParameters for one that is no key."""
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return None
    text, *others = dict.fromkeys(part.strip() for part in header.split(","))
    if others:  # so arrives a header that is sent twice
        raise InvalidParameters({"Idempotency-Key": ["Give one key; a key has no comma."]})
    query = sorted(request.query_params.lists())
    return IdempotencyKey.make(text, [request.method, request.path_info.rstrip("/"), query, body])


def answer_action(request: Request, action: Action) -> Response:
    """Answer 202 and where the action is; 200 if it has ended, by the end of the wait that the client prefers."""
    seconds = read_wait(request.headers.get("Prefer", ""))
    headers = {"Location": reverse("action-detail", args=[action.pk])}
    if seconds is not None:
        headers |= wait_for_ends(request, [action], seconds)
        action.refresh_from_db()
    if action.is_replay:
        headers["Idempotent-Replayed"] = "true"
    # Without a wait, only a repeated request finds an action that has ended.
    has_ended = (action.is_replay or seconds is not None) and not action.is_active
    return Response(ActionItem(action).data, status=200 if has_ended else 202, headers=headers)


def read_wait(header: str) -> int | None:
    """Return the seconds of `wait=` in a Prefer header (RFC 7240), bounded; None if it prefers no wait."""
    for preference in header.split(","):
        match = WAIT.fullmatch(preference.partition(";")[0].strip().lower())
        if match:
            return min(int(match[1]), LONGEST_WAIT_SECONDS)
    return None


def wait_for_ends(request: Request, actions: Sequence[Action], seconds: int) -> dict[str, str]:
    """Wait until all have ended or the time is up, if there is a place to; return the headers that say so."""
    # Nobody knows when a second person comes: what waits for approval is not waited for.
    waiting = Action.objects.active().exclude(state=State.AWAITING_APPROVAL)
    waiting = waiting.filter(pk__in=[action.pk for action in actions])
    return make_headers(seconds, has_waited=wait_until(request, lambda: not waiting.exists(), seconds))


def read_body(request: Request) -> dict[str, Any]:
    """Return the body as a mapping; raise InvalidParameters for anything else, and for text no database can keep."""
    body = read_form(request.data, _find_shape(request)) if isinstance(request.data, QueryDict) else request.data
    if not isinstance(body, dict):
        raise InvalidParameters({"body": ["The body must be a JSON object."]})
    if any(UNSTORABLE.search(name) for name in body):
        raise InvalidParameters({"body": ["A name contains a NUL character or half of a surrogate pair."]})
    errors = {
        name: ["This contains a NUL character or half of a surrogate pair."]
        for name, value in body.items()
        if any(UNSTORABLE.search(text) for text in _read_texts(value))
    }
    if errors:
        raise InvalidParameters(errors)
    return dict(body)


def _find_shape(request: Request) -> Shape | None:
    """Return the shape of the body that a form was made of."""
    handler = getattr(request.parser_context["view"], (request.method or "").lower())
    bodies: Mapping[str, Shape] = handler.described.bodies
    return bodies.get(request.query_params.get("action", ""), next(iter(bodies.values()), None))


def _read_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in _read_texts(part))
    elif isinstance(value, list):
        yield from (text for item in value for text in _read_texts(item))


def _read_envelope(body: Mapping[str, Any], dry_run: bool | str | None) -> dict[str, Any]:
    said = {name: body[name] for name in body if name in ENVELOPE_FIELDS}
    return merge(validate_body(Envelope, said), {} if dry_run is None else {"dry_run": dry_run})


def validate_body(shape: Shape, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body says, as `shape` describes it; raise InvalidParameters naming each field that is wrong."""
    return validate(shape, body, "field")


def require_empty(request: Request, shape: type[Query] = Query) -> Mapping[str, Any]:
    """Raise InvalidParameters for a request that says more than that it wants the one thing; return its query."""
    query = shape.read(request)
    validate_body(serializers.Serializer, read_body(request))
    return query


def merge(body: Mapping[str, Any], address: Mapping[str, Any]) -> dict[str, Any]:
    """Return both together; raise InvalidParameters where the body contradicts the address."""
    errors = {
        name: [f"The body says {body[name]!r:.100}, the address says {address[name]!r:.100}."]
        for name in address
        if name in body and body[name] != address[name]
    }
    if errors:
        raise InvalidParameters(errors)
    return {**body, **address}


def show_preview(
    action_request: ActionRequest, *, is_whole: bool = False, facts: Facts | None = None
) -> dict[str, Any]:
    """Return what the action would do, as DryRun describes it: with all jobs, or the first and how many there are.

    `facts` are those that were read for many requests.
    """
    preview = preview_action(action_request, facts)
    effect, most = preview.effect, None if is_whole else MOST_NAMED
    children = effect.children if effect else []
    return {
        "dry_run": True,
        "kind": action_request.kind.name,
        "site": action_request.site.slug,
        "expid": action_request.expid,
        "command": preview.commands if is_whole else shorten(preview.commands),
        "unix_name": preview.unix_name,
        "needs_approval": preview.needs_approval,
        "warning": action_request.kind.warning,
        "would_lose": preview.would_lose,
        "changes": [asdict(change) for change in effect.changes[:most]] if effect else None,
        "changes_total": len(effect.changes) if effect else None,
        "children": [{"job": row.name, "status": row.status} for row in children[:most]],
        "children_total": len(children),
        "warnings": [*filter(None, [preview.foreseen]), *(effect.warnings if effect else [])],
    }
