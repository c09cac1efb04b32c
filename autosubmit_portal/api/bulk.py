"""One request for many experiments: an action for each of them, and an answer for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from autosubmit_portal.access.rights.policy import Forbidden
from autosubmit_portal.api.action_requests import (
    Envelope,
    checked,
    end_within,
    json_body,
    key_of,
    merged,
    preferred_wait,
    preview,
)
from autosubmit_portal.api.http.errors import problem_of, unforeseen
from autosubmit_portal.api.objects import find_each
from autosubmit_portal.api.openapi.documentation import table
from autosubmit_portal.api.serializers.actions import ActionItem
from autosubmit_portal.api.serializers.fields import choice, flag
from autosubmit_portal.audit.origin import actor_of, origin_of
from experiments.actions.facts import Facts
from experiments.actions.idempotency import IdempotencyKey, first_action
from experiments.actions.many import Round, Unfound, record_refusals, request_each
from experiments.actions.parameters import serializer_for
from experiments.actions.refusals import InvalidParameters, Refusal
from experiments.actions.request import Request, facts_of_each, record_early_refusal
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target
from experiments.models import Action, Experiment

# Each target is an action of its own; more would be a queue of hours.
MOST_TARGETS = 500
KINDS = [kind for kind in CATALOGUE.values() if kind.target is not Target.SITE]
KIND_NAMES = [kind.name for kind in KINDS]


class Strict(serializers.Serializer[Any]):
    """Refuses what it does not know: a misspelt `dry_run` must not act."""

    def to_internal_value(self, data: Any) -> Any:
        """Read the value; raise ValidationError naming what is unknown."""
        value = super().to_internal_value(data)
        legal = ", ".join(self.fields)
        unknown = sorted(data.keys() - self.fields.keys())
        if unknown:
            raise serializers.ValidationError({name: [f"Unknown. Legal: {legal}."] for name in unknown})
        return value


class BulkTarget(Strict):
    """An experiment, and the jobs of it that are meant by a kind that is done to jobs."""

    expid = serializers.CharField(max_length=50)
    site = serializers.CharField(
        required=False, max_length=50, help_text="Needed only where several sites have the expid."
    )
    jobs = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Names of jobs, instead of a filter."
    )


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="BulkParameters",
        serializers=[serializer_for(kind) for kind in KINDS],
        resource_type_field_name=None,
    )
)
class ParametersField(serializers.DictField):
    """The parameters of any kind; each target's are validated with its request."""


class BulkBody(Envelope):
    """What is asked for, of which experiments."""

    dry_run = flag(required=False, help_text="Answer what each action would do and change nothing.")
    kind = choice(KIND_NAMES, help_text=f"The action.\n\n{table(KINDS)}")
    targets = serializers.ListField(
        child=BulkTarget(), min_length=1, max_length=MOST_TARGETS, help_text="Each experiment once."
    )
    parameters = ParametersField(required=False, help_text="The parameters of the action, for all targets.")

    def validate_targets(self, targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the targets; raise ValidationError if two of them may be the same experiment."""
        sites: dict[str, list[str | None]] = {}
        for target in targets:
            sites.setdefault(target["expid"], []).append(target.get("site"))
        twice = [expid for expid, named in sites.items() if len(named) > 1 and not _all_differ(named)]
        if twice:
            raise serializers.ValidationError(f"Named more than once: {', '.join(twice)}.")
        return targets


def _all_differ(sites: Sequence[str | None]) -> bool:
    return None not in sites and len(set(sites)) == len(sites)


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkWish:
    """What somebody wants done to many experiments."""

    kind: ActionKind
    targets: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    reason: str
    is_dry_run: bool
    key: IdempotencyKey | None


def fulfil_many(http: HttpRequest, is_dry_run: bool | None) -> Response:
    """Request the action on each target; answer 202 if one is under way, 200 if none is."""
    try:
        wish = _wish(http, is_dry_run)
    except (Refusal, APIException, RequestDataTooBig) as refusal:
        record_early_refusal(origin_of(http), refusal, subject="many experiments")
        raise
    asked = Round(origin=origin_of(http), kind=wish.kind, parameters=wish.parameters)
    results = _results(wish, _wanted(http, wish), asked)
    headers = _wait(http, results)
    if any(result.get("is_replay") for result in results):
        headers["Idempotent-Replayed"] = "true"
    is_under_way = any(result["action"].is_active for result in results if "action" in result)
    body = {"results": [_shown(result) for result in results]}
    return Response(body, status=202 if is_under_way else 200, headers=headers)


def _wish(http: HttpRequest, is_dry_run: bool | None) -> BulkWish:
    """Return what the request says; raise what is wrong with it as a whole."""
    body = json_body(http)
    said = merged(checked(BulkBody, body), {} if is_dry_run is None else {"dry_run": is_dry_run})
    wish = BulkWish(
        kind=CATALOGUE[said["kind"]],
        targets=said["targets"],
        parameters=said.get("parameters", {}),
        reason=said.get("reason", ""),
        is_dry_run=said.get("dry_run", False),
        key=None if said.get("dry_run") else key_of(http, body),
    )
    if wish.key:  # the request itself makes no action: this only refuses a key of another one
        first_action(actor_of(http), wish.key)
    return wish


def _results(wish: BulkWish, wanted: Sequence[Request | Unfound], asked: Round) -> list[dict[str, Any]]:
    """Return what came of each target, with the status that it would have alone."""
    answers = _previews(asked, wanted) if wish.is_dry_run else request_each(asked, wanted)
    return [_result(*about) for about in zip(wish.targets, wanted, answers, strict=True)]


def _result(
    target: Mapping[str, Any], one: Request | Unfound, answer: Action | dict[str, Any] | Exception
) -> dict[str, Any]:
    site = one.site.slug if isinstance(one, Request) else target.get("site")
    result: dict[str, Any] = {"expid": target["expid"], "site": site}
    match answer:
        case Action():
            return result | {"action": answer, "is_replay": answer.is_replay}
        case Exception():
            problem = problem_of(answer) or unforeseen(answer)
            return result | {"status": problem["status"], "problem": problem}
    return result | {"status": 200, "dry_run": answer}


def _previews(asked: Round, wanted: Sequence[Request | Unfound]) -> list[dict[str, Any] | Exception]:
    """Return what each action would do, or why it would not be made; only what is not there is recorded."""
    record_refusals(asked, [(one, one.refusal) for one in wanted if isinstance(one, Unfound)])
    requests = [one for one in wanted if isinstance(one, Request)]
    answers = map(_preview, requests, facts_of_each(requests))
    return [one.refusal if isinstance(one, Unfound) else next(answers) for one in wanted]


def _preview(request: Request, facts: Facts) -> dict[str, Any] | Exception:
    try:
        return preview(request, facts=facts)
    except (Forbidden, Refusal, OperationalError) as refusal:
        return refusal


def _wanted(http: HttpRequest, wish: BulkWish) -> list[Request | Unfound]:
    found = find_each(http, [(target["expid"], target.get("site")) for target in wish.targets])
    return [_request(http, wish, *about) for about in zip(wish.targets, found, strict=True)]


def _request(
    http: HttpRequest, wish: BulkWish, target: Mapping[str, Any], found: Experiment | Exception
) -> Request | Unfound:
    unfound = partial(Unfound, expid=target["expid"], site=target.get("site", ""))
    if isinstance(found, Exception):
        return unfound(refusal=found)
    try:
        parameters = merged(wish.parameters, {"jobs": target["jobs"]} if "jobs" in target else {})
    except InvalidParameters as refusal:
        return unfound(refusal=refusal)
    return Request(
        actor=actor_of(http),
        origin=origin_of(http),
        kind=wish.kind,
        site=found.site,
        experiment=found,
        parameters=parameters,
        reason=wish.reason,
        key=replace(wish.key, item=f"{found.site.slug}/{found.expid}") if wish.key else None,
    )


def _wait(http: HttpRequest, results: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Wait for the ends of the actions as long as the client prefers, then read them again."""
    seconds = preferred_wait(http.headers.get("Prefer", ""))
    made = [result for result in results if "action" in result]
    if seconds is None or not made:
        return {}
    headers = end_within(http, [result["action"] for result in made], seconds)
    newest = Action.objects.select_related("site").in_bulk([result["action"].pk for result in made])
    for result in made:
        result["action"] = newest[result["action"].pk]
    return headers


def _shown(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as BulkResult describes it."""
    action = result.get("action")
    if action is None:
        return dict(result)
    return {**result, "status": 202 if action.is_active else 200, "action": ActionItem(action).data}
