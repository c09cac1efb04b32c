"""One request for many experiments: an action for each of them, and an answer for each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request as HttpRequest
from rest_framework.response import Response

from autosubmit_portal.access.policy import Forbidden
from autosubmit_portal.api.documentation import table
from autosubmit_portal.api.errors import AmbiguousExpid, problem_of
from autosubmit_portal.api.fields import choice, flag
from autosubmit_portal.api.lookup import actor_of, find_experiment_to_change
from autosubmit_portal.api.requests import (
    Envelope,
    end_within,
    json_body,
    key_of,
    merged,
    preferred_wait,
    preview,
)
from autosubmit_portal.api.shapes.actions import ActionItem
from autosubmit_portal.audit.origin import origin_of
from experiments.actions.idempotency import IdempotencyKey, require_same_request
from experiments.actions.parameters import serializer_for
from experiments.actions.refusals import InvalidParameters, Refusal
from experiments.actions.request import MOST_TARGETS, Request, record_refusal_of_many, request_action
from experiments.catalogue import CATALOGUE, Target
from experiments.models import Action

KINDS = [kind for kind in CATALOGUE.values() if kind.target is not Target.SITE]
KIND_NAMES = [kind.name for kind in KINDS]
REFUSALS = (Forbidden, Refusal, AmbiguousExpid, APIException, OperationalError)


class BulkTarget(serializers.Serializer[Any]):
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


class Bulk:
    """A request for many experiments; raises what is wrong with it as a whole, which is recorded."""

    def __init__(self, http: HttpRequest, is_dry_run: bool | None) -> None:
        self.http = http
        self.actions: list[Action] = []
        try:
            body = json_body(http)
            self.said = merged(_validated(body), {} if is_dry_run is None else {"dry_run": is_dry_run})
            self.is_dry_run = bool(self.said.get("dry_run"))
            self.key = None if self.is_dry_run else key_of(http, body)
            if self.key:
                require_same_request(actor_of(http), self.key)
        except (Refusal, APIException, RequestDataTooBig) as refusal:
            record_refusal_of_many(origin_of(http), refusal)
            raise

    def answer(self) -> Response:
        """Ask for each action; answer 202 if one is under way, 200 if none is."""
        results = [self._result(target) for target in self.said["targets"]]
        headers = self._wait()
        if any(result.get("is_replay") for result in results):
            headers["Idempotent-Replayed"] = "true"
        shown = {action.pk: action for action in self.actions}
        for result in results:
            if isinstance(result.get("action"), Action):
                action = shown[result["action"].pk]
                result |= {"action": ActionItem(action).data, "status": 202 if action.is_active else 200}
        is_under_way = any(action.is_active for action in self.actions)
        return Response({"results": results}, status=202 if is_under_way else 200, headers=headers)

    def _wait(self) -> dict[str, str]:
        seconds = preferred_wait(self.http.headers.get("Prefer", ""))
        if seconds is None or not self.actions:
            return {}
        end_within(self.actions, seconds)
        keys = [action.pk for action in self.actions]
        self.actions = list(Action.objects.filter(pk__in=keys).select_related("site"))
        return {"Preference-Applied": f"wait={seconds}"}

    def _result(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for the action on one target; return what came of it, with the status that it would have alone."""
        result: dict[str, Any] = {"expid": target["expid"], "site": target.get("site")}
        try:
            request = self._request(target)
            result["site"] = request.site.slug
            if self.is_dry_run:
                return result | {"status": 200, "dry_run": preview(request)}
            action = request_action(request)
        except REFUSALS as refusal:
            problem = problem_of(refusal) or {}
            return result | {"status": problem["status"], "problem": problem}
        self.actions.append(action)
        return result | {"action": action, "is_replay": action.is_replay}

    def _request(self, target: Mapping[str, Any]) -> Request:
        kind = CATALOGUE[self.said["kind"]]
        experiment = find_experiment_to_change(self.http, kind, target["expid"], target.get("site"))
        jobs = {"jobs": target["jobs"]} if "jobs" in target else {}
        return Request(
            actor=actor_of(self.http),
            origin=origin_of(self.http),
            kind=kind,
            site=experiment.site,
            experiment=experiment,
            parameters=merged(self.said.get("parameters", {}), jobs),
            reason=self.said.get("reason", ""),
            key=self._key(f"{experiment.site.slug}/{experiment.expid}"),
        )

    def _key(self, item: str) -> IdempotencyKey | None:
        return replace(self.key, item=item) if self.key else None


def _validated(body: dict[str, Any]) -> dict[str, Any]:
    serializer = BulkBody(data=body)
    serializer.is_valid(raise_exception=True)
    errors = _unknown("body", body, serializer.fields)
    seen = set()
    for number, target in enumerate(body["targets"]):
        errors |= _unknown(f"targets.{number}", target, BulkTarget().fields)
        name = (target.get("site"), target["expid"])
        if name in seen:
            errors[f"targets.{number}"] = [f"{target['expid']} is named twice."]
        seen.add(name)
    if errors:
        raise InvalidParameters(errors)
    return dict(serializer.validated_data)


def _unknown(place: str, given: Mapping[str, Any], legal: Mapping[str, Any]) -> dict[str, list[str]]:
    """Refuse what would be ignored silently: a misspelt `dry_run` must not act."""
    unknown = sorted(given.keys() - legal.keys())
    return {place: [f"Unknown: {', '.join(unknown)}. Legal: {', '.join(legal)}."]} if unknown else {}
