"""One request for many experiments: an action for each of them, and an answer for each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.rights.policy import Forbidden
from autosubmit_portal.api.action_requests import (
    Envelope,
    merge,
    read_body,
    read_key,
    read_wait,
    show_preview,
    validate_body,
    wait_for_ends,
)
from autosubmit_portal.api.http.errors import AmbiguousExpid, describe_error, describe_unforeseen
from autosubmit_portal.api.objects import find_each
from autosubmit_portal.api.openapi.documentation import write_table
from autosubmit_portal.api.serializers.actions import ActionItem
from autosubmit_portal.api.serializers.fields import make_choice, make_flag, make_texts
from autosubmit_portal.audit.origin import get_actor, make_origin
from experiments.actions.action_request import ActionRequest, record_early_refusal
from experiments.actions.batches import read_facts
from experiments.actions.bulk import BulkRequest, UnfoundTarget, record_refusals, request_each
from experiments.actions.checks import Facts
from experiments.actions.idempotency import IdempotencyKey, find_first_action
from experiments.actions.parameters import make_serializer
from experiments.actions.refusals import InvalidParameters, Refusal
from experiments.catalogue.kinds import CATALOGUE, Target
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
    jobs = make_texts(required=False, help_text="Names of jobs, instead of a filter.")


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="BulkParameters",
        serializers=[make_serializer(kind) for kind in KINDS],
        resource_type_field_name=None,
    )
)
class ParametersField(serializers.DictField):
    """The parameters of any kind; each target's are validated with its request."""


class BulkBody(Envelope):
    """What is asked for, of which experiments."""

    dry_run = make_flag(required=False, help_text="Answer what each action would do and change nothing.")
    kind = make_choice(KIND_NAMES, help_text=f"The action.\n\n{write_table(KINDS)}")
    targets = serializers.ListField(
        child=BulkTarget(), min_length=1, max_length=MOST_TARGETS, help_text="Each experiment once."
    )
    parameters = ParametersField(required=False, help_text="The parameters of the action, for all targets.")

    def validate_targets(self, targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the targets; raise ValidationError if two of them may be the same experiment."""
        sites: dict[str, list[str | None]] = {}
        for target in targets:
            sites.setdefault(target["expid"], []).append(target.get("site"))
        twice = [expid for expid, named in sites.items() if len(named) > 1 and not _are_all_different(named)]
        if twice:
            raise serializers.ValidationError(f"Named more than once: {', '.join(twice)}.")
        return targets


def _are_all_different(sites: Sequence[str | None]) -> bool:
    return None not in sites and len(set(sites)) == len(sites)


def submit_many(request: Request, is_dry_run: bool | None) -> Response:
    """Request the action on each target; answer 202 if one is under way, 200 if none is."""
    try:
        said, key = _read(request, is_dry_run)
    except (Refusal, APIException, RequestDataTooBig) as refusal:
        record_early_refusal(make_origin(request), refusal, subject="many experiments")
        raise
    bulk = BulkRequest(origin=make_origin(request), kind=CATALOGUE[said["kind"]], parameters=said.get("parameters", {}))
    targets = _find_targets(request, bulk, said, key)
    answers = _preview_each(bulk, targets) if said.get("dry_run") else request_each(bulk, targets)
    results = list(map(_make_result, said["targets"], targets, answers))
    headers = _wait(request, results)
    if any(result.get("is_replay") for result in results):
        headers["Idempotent-Replayed"] = "true"
    is_under_way = any(result["action"].is_active for result in results if "action" in result)
    body = {"results": [_describe(result) for result in results]}
    return Response(body, status=202 if is_under_way else 200, headers=headers)


def _read(request: Request, is_dry_run: bool | None) -> tuple[dict[str, Any], IdempotencyKey | None]:
    """Return what the request says, and its key; raise what is wrong with it as a whole."""
    body = read_body(request)
    said = merge(validate_body(BulkBody, body), {} if is_dry_run is None else {"dry_run": is_dry_run})
    key = None if said.get("dry_run") else read_key(request, body)
    if key:  # the request itself makes no action: this only refuses a key of another one
        find_first_action(get_actor(request), key)
    return said, key


def _find_targets(
    request: Request, bulk: BulkRequest, said: Mapping[str, Any], key: IdempotencyKey | None
) -> list[ActionRequest | UnfoundTarget]:
    """Return the request for each target, or why there is none."""
    targets = said["targets"]
    found = find_each(request, [(target["expid"], target.get("site")) for target in targets])
    shared = {"actor": get_actor(request), "reason": said.get("reason", ""), "key": key}
    return [_make_request(bulk, shared, *about) for about in zip(targets, found, strict=True)]


def _make_request(
    bulk: BulkRequest, shared: dict[str, Any], target: Mapping[str, Any], found: Experiment | Exception
) -> ActionRequest | UnfoundTarget:
    try:
        if isinstance(found, Exception):
            raise found
        parameters = merge(bulk.parameters, {"jobs": target["jobs"]} if "jobs" in target else {})
    except (Forbidden, NotFound, AmbiguousExpid, InvalidParameters) as refusal:
        return UnfoundTarget(expid=target["expid"], site=target.get("site", ""), refusal=refusal)
    key = shared["key"] and replace(shared["key"], item=f"{found.site.slug}/{found.expid}")
    return ActionRequest(
        **shared | {"key": key},
        origin=bulk.origin,
        kind=bulk.kind,
        site=found.site,
        experiment=found,
        parameters=parameters,
    )


def _preview_each(
    bulk: BulkRequest, targets: Sequence[ActionRequest | UnfoundTarget]
) -> list[dict[str, Any] | Exception]:
    """Return what each action would do, or why it would not be made; only what is not there is recorded."""
    record_refusals(bulk, [(one, one.refusal) for one in targets if isinstance(one, UnfoundTarget)])
    requests = [one for one in targets if isinstance(one, ActionRequest)]
    answers = map(_preview, requests, read_facts(requests))
    return [one.refusal if isinstance(one, UnfoundTarget) else next(answers) for one in targets]


def _preview(action_request: ActionRequest, facts: Facts) -> dict[str, Any] | Exception:
    try:
        return show_preview(action_request, facts=facts)
    except (Forbidden, Refusal, OperationalError) as refusal:
        return refusal


def _make_result(
    target: Mapping[str, Any], one: ActionRequest | UnfoundTarget, answer: Action | dict[str, Any] | Exception
) -> dict[str, Any]:
    """Return what came of a target, with the status that it would have alone."""
    site = one.site.slug if isinstance(one, ActionRequest) else target.get("site")
    result: dict[str, Any] = {"expid": target["expid"], "site": site}
    match answer:
        case Action():
            return result | {"action": answer, "is_replay": answer.is_replay}
        case Exception():
            problem = describe_error(answer) or describe_unforeseen(answer)
            return result | {"status": problem["status"], "problem": problem}
    return result | {"status": 200, "dry_run": answer}


def _wait(request: Request, results: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Wait for the ends of the actions as long as the client prefers, then read them again."""
    seconds = read_wait(request.headers.get("Prefer", ""))
    made = [result for result in results if "action" in result]
    if seconds is None or not made:
        return {}
    headers = wait_for_ends(request, [result["action"] for result in made], seconds)
    newest = Action.objects.select_related("site").in_bulk([result["action"].pk for result in made])
    for result in made:
        result["action"] = newest[result["action"].pk]
    return headers


def _describe(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as BulkResult describes it."""
    action = result.get("action")
    if action is None:
        return dict(result)
    return {**result, "status": 202 if action.is_active else 200, "action": ActionItem(action).data}
