"""Routes of actions."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.action_requests import read_body, require_empty, validate_body
from autosubmit_portal.api.bulk import KINDS, BulkBody, submit_many
from autosubmit_portal.api.http.renderers import FastJSONRenderer, TextRenderer
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_action
from autosubmit_portal.api.openapi.documentation import (
    KEY,
    PREFER,
    REPLAYED,
    Body,
    answer,
    make_format_parameter,
    operation,
)
from autosubmit_portal.api.openapi.examples import FINISHED, LATER, PROBLEMS, SIM, make_example
from autosubmit_portal.api.query.filters.common import match_site
from autosubmit_portal.api.query.pagination import NEWEST_FIRST, answer_listing, read_page
from autosubmit_portal.api.query.queries import ActionsQuery, BulkQuery, OutputQuery
from autosubmit_portal.api.serializers.actions import (
    ActionBrief,
    ActionItem,
    ActionList,
    BulkAnswer,
    BulkResult,
    CallLostBody,
    DryRun,
    Output,
    RejectBody,
)
from autosubmit_portal.api.serializers.fields import Query
from autosubmit_portal.audit.origin import get_actor, make_origin
from experiments import commands
from experiments.actions.approve import approve, may_approve, reject
from experiments.actions.call_lost import call_lost, may_call_lost
from experiments.actions.cancel import cancel_action
from experiments.actions.refusals import InvalidParameters
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import ACTIVE_STATES, Action
from jobs.autosubmit.characters import describe_part

PIECE_BYTES = 65_536
BULK_BODIES = {
    "Start two": {"kind": "run", "targets": [{"expid": "a000"}, {"expid": "a001"}], "reason": "first year"},
    "Set status": {
        "kind": "set_status",
        "targets": [{"expid": "a000", "site": "local", "jobs": [SIM]}],
        "parameters": {"status": "WAITING"},
    },
}
BULK_RESULTS = [
    make_example(BulkResult, is_replay=False, action=make_example(ActionItem)),
    make_example(BulkResult, expid="a001", status=409, problem=PROBLEMS[409]),
]


class ActionViewSet(PortalViewSet):
    """What was requested, and what came of it."""

    tag = "Actions"
    lookup_url_kwarg = "action_id"
    lookup_value_converter = "int"

    def may_offer(self, name: str, kind: str) -> bool:
        """Answer whether the person may request something somewhere, or do this with this action now."""
        actor = get_actor(self.request)
        if not self.detail:
            kinds = [CATALOGUE[kind]] if kind else KINDS
            return any(policy.may_request(actor, catalogued) for catalogued in kinds)
        found = find_action(self.request, self.kwargs["action_id"])
        if name == "call_lost":
            return may_call_lost(found, actor)
        if name != "cancel":
            return may_approve(found, actor)
        return found.is_active and policy.may_request(
            actor, found.catalogue_kind, site=found.site, experiment=found.experiment
        )

    def list_links(self, data: Any) -> dict[str, str]:
        """Return what belongs to an action."""
        found = super().list_links(data)
        if not self.detail or "expid" not in data:
            return found
        if data["expid"]:
            found["Jobs"] = self.get_address("job-list", {"expid": data["expid"]}, data["site"])
        return found | {"Audit trail": f"{reverse('audit-entry-list')}?{urlencode({'action': data['id']})}"}

    @operation(
        "list_actions", "List actions", {200: answer(ActionList, "Actions, newest first.")}, parameters=[ActionsQuery]
    )
    def list(self, request: Request) -> Response:
        """List the actions that you may see, newest first.

        Long lists and texts in them are cut: `jobs` has the first 20 names and `jobs_count` says how many there are,
        and likewise `job_changes`, `parameters` and `command`. The action itself has all.
        """
        query = ActionsQuery.read(request)
        policy.require_view(request.user, Action)
        found = _filter_matching(query, Action.objects.visible_to(request.user).select_related("site"))
        page = read_page(request, found, NEWEST_FIRST, query)
        return answer_listing(page, ActionBrief(page.rows, many=True).data)

    @operation(
        "act_on_many",
        "Act on many experiments",
        {
            202: answer(BulkAnswer, "Some actions are under way.", results=BULK_RESULTS),
            200: answer(
                BulkAnswer,
                "No action is under way.",
                results=[make_example(BulkResult, status=200, dry_run=make_example(DryRun))],
            ),
        },
        parameters=[BulkQuery, PREFER, KEY, REPLAYED],
        body=Body.make(BulkBody, BULK_BODIES),
        errors=[409],
    )
    def create(self, request: Request) -> Response:
        """Request one action for each of up to 500 experiments.

        Each target is asked for as if alone: `results` says for each which action was made or what is against it. What
        is refused is recorded together. Actions are made 50 at a time: if a part fails, `status` says so for each of
        its targets, and all others stand. With an `Idempotency-Key` the targets that were accepted answer their first
        actions, and the others are asked for again.
        """
        return submit_many(request, BulkQuery.read(request).get("dry_run"))

    @operation("get_action", "Show an action", {200: answer(ActionItem, "The action.", **FINISHED)})
    def retrieve(self, request: Request, action_id: int) -> Response:
        """Show one action: what was asked, by whom, the exact commands, and what came of it."""
        Query.read(request)
        return Response(ActionItem(find_action(request, action_id)).data)

    @operation(
        "cancel_action",
        "Cancel an action that has not started",
        {200: answer(ActionItem, "The cancelled action.", state="cancelled")},
        errors=[409],
    )
    @action(["POST"], detail=True)
    def cancel(self, request: Request, action_id: int) -> Response:
        """Cancel an action that is still queued or waits for approval.

        One that has started cannot be cancelled: stop the experiment.
        """
        require_empty(request)
        action = find_action(request, action_id)
        cancel_action(action, actor=get_actor(request), origin=make_origin(request))
        return Response(ActionItem(action).data)

    @operation(
        "approve_action",
        "Approve an action",
        {200: answer(ActionItem, "The action, which is queued now.", approved_by="ben", approved_at=LATER)},
        errors=[409],
    )
    @action(["POST"], detail=True)
    def approve(self, request: Request, action_id: int) -> Response:
        """Approve an action that another person has asked for, with the permission to ask for it yourself.

        Everything is checked again as it was when the action was asked for: if it could not be asked for now, or would
        run other commands, `409` says why and the action goes on waiting.
        """
        require_empty(request)
        action = find_action(request, action_id)
        approve(action, actor=get_actor(request), origin=make_origin(request))
        return Response(ActionItem(action).data)

    @operation(
        "reject_action",
        "Reject an action",
        {200: answer(ActionItem, "The action, which is cancelled now.", state="cancelled")},
        body=Body.make(RejectBody, {"Too early": {"reason": "Wait for the new forcing."}}),
        errors=[409],
    )
    @action(["POST"], detail=True)
    def reject(self, request: Request, action_id: int) -> Response:
        """Reject an action that another person has asked for, and say why. To take back your own, cancel it."""
        Query.read(request)
        action = find_action(request, action_id)
        reason = validate_body(RejectBody, read_body(request)).get("reason", "")
        reject(action, actor=get_actor(request), origin=make_origin(request), reason=reason)
        return Response(ActionItem(action).data)

    @operation(
        "call_action_lost",
        "Call an action lost",
        {200: answer(ActionItem, "The action, which is lost now.", state="lost")},
        body=Body.make(CallLostBody, {"Power cut": {"reason": "The host was switched off for good."}}),
        errors=[409],
    )
    @action(["POST"], detail=True, url_path="call-lost")
    def call_lost(self, request: Request, action_id: int) -> Response:
        """End an action whose command nobody can see, because its host does not answer.

        No answer is no evidence that a command has ended, so the portal never does this by itself: make sure that it
        does not run any more, and say how you know. Needs the permission `experiments.call_action_lost`.
        """
        Query.read(request)
        action = find_action(request, action_id)
        reason = validate_body(CallLostBody, read_body(request)).get("reason", "")
        call_lost(action, actor=get_actor(request), origin=make_origin(request), reason=reason)
        return Response(ActionItem(action).data)

    @operation(
        "get_action_output",
        "Read what an action printed",
        {
            (200, "text/plain"): OpenApiResponse(str, "The output."),
            (200, "application/json"): answer(Output, "A part of the output."),
        },
        parameters=[OutputQuery, make_format_parameter("txt", "json")],
    )
    @action(detail=True, renderer_classes=(TextRenderer, FastJSONRenderer))
    def output(self, request: Request, action_id: int) -> HttpResponseBase:
        """Read what the command of one step printed, standard output and errors in the order in which they came.

        As text it is the whole output, or the part that `offset` and `limit` say. As JSON (`?format=json` or
        `Accept: application/json`) it is a part with where it ends, to follow a command while it runs: ask again with
        `offset=next_offset` until `is_over`.
        """
        query = OutputQuery.read(request)
        action = find_action(request, action_id)
        part = OutputPart(action, query)
        if request.accepted_renderer.format == "json":
            return Response(part.describe())
        return StreamingHttpResponse(part.iterate_pieces(), content_type="text/plain; charset=utf-8")


class OutputPart:
    """A part of the output of one step of an action."""

    def __init__(self, action: Action, query: Mapping[str, Any]) -> None:
        self.action = action
        self.step: int = query.get("step", action.step)
        self.limit: int | None = query.get("limit")
        if self.step >= len(action.command):
            raise InvalidParameters({"step": [f"Legal: 0 to {len(action.command) - 1}."]})
        self._read = commands.make_reader(action, self.step)
        offset: int = query["offset"]
        self.is_from_end = offset < 0
        size = self._read(0, 0)[1]
        self.offset = max(0, size + offset) if offset < 0 else offset

    def describe(self) -> dict[str, Any]:
        """Return the part as Output describes it; it ends at the end of a character."""
        is_ended = self.action.state not in ACTIVE_STATES or self.step < self.action.step
        found, size = self._read(self.offset, self.limit or PIECE_BYTES)
        part = describe_part(found, self.offset, size, is_from_end=self.is_from_end, is_ended=is_ended)
        return {"step": self.step, "steps": len(self.action.command), **part}

    def iterate_pieces(self) -> Iterator[bytes]:
        """Yield the part, or the whole rest as it is now, piece by piece."""
        end = self._read(0, 0)[1] if self.limit is None else self.offset + self.limit
        offset = self.offset
        while offset < end:
            piece, _ = self._read(offset, min(PIECE_BYTES, end - offset))
            if not piece:
                return
            offset += len(piece)
            yield piece


def _filter_matching(query: Mapping[str, Any], actions: QuerySet[Action]) -> QuerySet[Action]:
    columns = {
        "kind": "kind",
        "state": "state",
        "expid": "expid",
        "actor": "actor_name",
        "approver": "approved_by_name",
    }
    found = actions.filter(**{column: query[name] for name, column in columns.items() if name in query})
    if "site" in query:
        found = found.filter(match_site(query["site"]))
    if "active" not in query:
        return found
    if not query["active"]:
        return found.exclude(state__in=ACTIVE_STATES)
    return found.filter(pk__in=Action.objects.active().order_by().values("pk"))  # few, and found by their index
