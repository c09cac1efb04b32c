"""From an HTTP request to an action request, and from the action to the answer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from autosubmit_portal.api.forms import read_form
from autosubmit_portal.api.http.errors import by_field
from autosubmit_portal.api.serializers.actions import ActionItem
from autosubmit_portal.api.serializers.fields import AUTOSUBMIT, DryRunField, Query
from autosubmit_portal.audit.origin import actor_of, origin_of
from autosubmit_portal.waits import applied, wait_until
from experiments.actions.facts import Facts
from experiments.actions.idempotency import IdempotencyKey
from experiments.actions.preview import effect_of, shortened
from experiments.actions.refusals import InvalidParameters, Refusal
from experiments.actions.request import (
    Request,
    dry_run_of,
    foreseen,
    preview_action,
    record_refusal,
    request_action,
    would_lose,
)
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


MOST_NAMED = 100
"""How many jobs that change, and that follow, a preview names unless all are asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What somebody wants done. `given`, `dry_run` and `all_changes` are what the address says."""

    kind: ActionKind
    site: Site
    experiment: Experiment | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool | str | None = None
    all_changes: bool = False


def fulfil(http: HttpRequest, wish: Wish) -> Response:
    """Request the action and answer it, or what it would do; a body that is wrong is a recorded refusal too."""
    request = Request(
        actor=actor_of(http),
        origin=origin_of(http),
        kind=wish.kind,
        site=wish.site,
        experiment=wish.experiment,
        parameters=wish.given,
    )
    try:
        body = json_body(http)
        envelope = _envelope(body, wish.dry_run)
        is_preview = envelope.get("dry_run") is True
        kind = dry_run_of(wish.kind) if envelope.get("dry_run") == AUTOSUBMIT else wish.kind
        parameters = merged({name: body[name] for name in body if name not in Envelope().fields}, wish.given)
        key = None if is_preview else key_of(http, body)
    except (Refusal, APIException, RequestDataTooBig) as refusal:
        record_refusal(request, refusal)
        raise
    reason = envelope.get("reason", "")
    request = replace(request, kind=kind, parameters=parameters, reason=reason, key=key)
    if is_preview:
        return Response(preview(request, is_whole=wish.all_changes))
    return answer(http, request_action(request))


def key_of(http: HttpRequest, body: Any) -> IdempotencyKey | None:
    """Return the Idempotency-Key of a request, None without one; raise InvalidParameters for one that is no key."""
    header = http.headers.get("Idempotency-Key")
    if header is None:
        return None
    text, *others = dict.fromkeys(part.strip() for part in header.split(","))
    if others:  # so arrives a header that is sent twice
        raise InvalidParameters({"Idempotency-Key": ["Give one key; a key has no comma."]})
    query = sorted(http.query_params.lists())
    return IdempotencyKey.of(text, [http.method, http.path.rstrip("/"), query, body])


def answer(http: HttpRequest, action: Action) -> Response:
    """Answer 202 and where the action is; 200 if it has ended, by the end of the wait that the client prefers."""
    seconds = preferred_wait(http.headers.get("Prefer", ""))
    headers = {"Location": f"/v4/actions/{action.pk}"}
    if seconds is not None:
        headers |= end_within(http, [action], seconds)
        action.refresh_from_db()
    if action.is_replay:
        headers["Idempotent-Replayed"] = "true"
    # Without a wait, only a repeated request finds an action that has ended.
    has_ended = not action.is_active and (action.is_replay or seconds is not None)
    return Response(ActionItem(action).data, status=200 if has_ended else 202, headers=headers)


def preferred_wait(header: str) -> int | None:
    """Return the seconds of `wait=` in a Prefer header (RFC 7240), bounded; None if it prefers no wait."""
    for preference in header.split(","):
        match = WAIT.fullmatch(preference.partition(";")[0].strip().lower())
        if match:
            return min(int(match[1]), LONGEST_WAIT_SECONDS)
    return None


def end_within(http: HttpRequest, actions: Sequence[Action], seconds: int) -> dict[str, str]:
    """Wait until all have ended or the time is up, if there is a place to; return the headers that say so."""
    # Nobody knows when a second person comes: what waits for approval is not waited for.
    waiting = Action.objects.active().exclude(state=State.AWAITING_APPROVAL)
    waiting = waiting.filter(pk__in=[action.pk for action in actions])
    return applied(seconds, has_waited=wait_until(http, lambda: not waiting.exists(), seconds))


def json_body(http: HttpRequest) -> dict[str, Any]:
    """Return the body as a mapping; raise InvalidParameters for anything else, and for text no database can keep."""
    body = read_form(http.data, _shape(http)) if isinstance(http.data, QueryDict) else http.data
    if not isinstance(body, dict):
        raise InvalidParameters({"body": ["The body must be a JSON object."]})
    if any(UNSTORABLE.search(name) for name in body):
        raise InvalidParameters({"body": ["A name contains a NUL character or half of a surrogate pair."]})
    errors = {
        name: ["This contains a NUL character or half of a surrogate pair."]
        for name, value in body.items()
        if any(UNSTORABLE.search(text) for text in _texts(value))
    }
    if errors:
        raise InvalidParameters(errors)
    return dict(body)


def _shape(http: HttpRequest) -> type[serializers.Serializer[Any]] | None:
    """Return the shape of the body that a form was made of."""
    handler = getattr(http.parser_context["view"], (http.method or "").lower())
    bodies: Mapping[str, type[serializers.Serializer[Any]]] = handler.described.bodies
    return bodies.get(http.query_params.get("action", ""), next(iter(bodies.values()), None))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in _texts(part))
    elif isinstance(value, list):
        yield from (text for item in value for text in _texts(item))


def _envelope(body: Mapping[str, Any], dry_run: bool | str | None) -> dict[str, Any]:
    said = {name: body[name] for name in body if name in Envelope().fields}
    return merged(checked(Envelope, said), {} if dry_run is None else {"dry_run": dry_run})


def checked(shape: type[serializers.Serializer[Any]], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body says, as `shape` describes it.

    Raises InvalidParameters naming each field that is wrong, or unknown: it would be ignored.
    """
    serializer = shape(data=dict(body))
    errors = {} if serializer.is_valid() else by_field(serializer.errors)
    legal = ", ".join(serializer.fields) or "none"
    errors.update(
        {name: [f"Unknown field. Legal: {legal}."] for name in body if name not in serializer.fields}
    )
    if errors:
        raise InvalidParameters(errors)
    return dict(serializer.validated_data)


def require_nothing_said(http: HttpRequest) -> None:
    """Raise InvalidParameters for a request whose address or body says more than that it wants the one thing."""
    Query.of(http)
    checked(serializers.Serializer, json_body(http))


def merged(body: Mapping[str, Any], address: Mapping[str, Any]) -> dict[str, Any]:
    """Return both together; raise InvalidParameters where the body contradicts the address."""
    errors = {
        name: [f"The body says {body[name]!r:.100}, the address says {address[name]!r:.100}."]
        for name in address
        if name in body and body[name] != address[name]
    }
    if errors:
        raise InvalidParameters(errors)
    return {**body, **address}


def preview(request: Request, *, is_whole: bool = False, facts: Facts | None = None) -> dict[str, Any]:
    """Return what the action would do, as DryRun describes it: with all jobs, or the first and how many there are.

    `facts` are those that were read for many requests.
    """
    facts = facts or Facts([request])
    commands = preview_action(request, facts)
    effect = effect_of(request)
    most = None if is_whole else MOST_NAMED
    children = effect.children if effect else []
    return {
        "dry_run": True,
        "kind": request.kind.name,
        "site": request.site.slug,
        "expid": request.expid,
        "command": commands if is_whole else shortened(commands),
        "unix_name": facts.unix_name(request),
        "needs_approval": request.needs_approval,
        "warning": request.kind.warning,
        "would_lose": would_lose(request),
        "changes": [asdict(change) for change in effect.changes[:most]] if effect else None,
        "changes_total": len(effect.changes) if effect else None,
        "children": [{"job": row.name, "status": row.status} for row in children[:most]],
        "children_total": len(children),
        "warnings": [*filter(None, [foreseen(request)]), *(effect.warnings if effect else [])],
    }
