"""Routes of freezes."""

from collections.abc import Iterator
from typing import Any

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.action_requests import read_body, require_empty, validate_body
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_first, find_site_to_change
from autosubmit_portal.api.openapi.documentation import Body, answer, operation
from autosubmit_portal.api.openapi.examples import AT, LATER
from autosubmit_portal.api.query.filters.common import match_site
from autosubmit_portal.api.query.pagination import NEWEST_FIRST, answer_listing, read_page
from autosubmit_portal.api.query.queries import FreezesQuery
from autosubmit_portal.api.serializers.fields import Query
from autosubmit_portal.api.serializers.freezes import FreezeBody, FreezeDetail, FreezeItem, FreezeList
from autosubmit_portal.audit.origin import get_actor, make_origin
from experiments.actions.freeze import (
    FreezePlan,
    end_freeze,
    filter_sites_to_freeze,
    freeze,
    may_freeze,
    require_freeze_somewhere,
)
from experiments.models import Experiment, Freeze, Site
from experiments.permissions import FREEZE


class FreezeViewSet(PortalViewSet):
    """Freezes of sites and platforms."""

    tag = "Freezes"
    lookup_url_kwarg = "freeze_id"
    lookup_value_converter = "int"

    def may_offer(self, name: str, kind: str) -> bool:
        """Answer whether there is a site that the person may freeze, or this is one."""
        actor = self.request.user
        if not self.detail:
            return filter_sites_to_freeze(actor).exists()
        found = find_freeze(self.request, self.kwargs["freeze_id"])
        return not found.is_over and may_freeze(actor, found.site)

    def list_row_links(self, data: Any) -> tuple[str, Iterator[str]]:
        """Return what names each freeze of a list, or each experiment that one affects, and their addresses."""
        if not self.detail:
            return super().list_row_links(data)
        expids = ({"expid": row["expid"]} for row in data.get("affected") or ())
        return "expid", (self.get_address("experiment-detail", expid, data["site"]) for expid in expids)

    @operation(
        "list_freezes", "List freezes", {200: answer(FreezeList, "Freezes, newest first.")}, parameters=[FreezesQuery]
    )
    def list(self, request: Request) -> Response:
        """List the freezes of sites and platforms, newest first; `active=true` leaves those that hold now."""
        query = FreezesQuery.read(request)
        policy.require_view(request.user, Site)
        rows = Freeze.objects.visible_to(request.user).select_related("site")
        if query.get("active"):
            rows = rows.active()
        if "site" in query:
            rows = rows.filter(match_site(query["site"]))
        page = read_page(request, rows, NEWEST_FIRST, query)
        return answer_listing(page, FreezeItem(page.rows, many=True).data)

    @operation(
        "freeze",
        "Freeze a site or a platform",
        {201: answer(FreezeDetail, "The freeze, with who is affected.")},
        body=Body.make(
            FreezeBody,
            {"Maintenance": {"platform": "MN5", "message": "The batch system is updated.", "ends_at": LATER}},
        ),
        errors=[409],
    )
    def create(self, request: Request) -> Response:
        """Refuse whatever submits jobs at a site, or on one platform of it, for a time.

        What runs goes on, and can be stopped; queued actions that would submit jobs are cancelled with the message when
        their turn comes. A platform freeze touches the experiments whose HPC it is, and those that have an unfinished
        job there. Needs the permission `experiments.freeze_site`.
        """
        Query.read(request)
        actor, origin = get_actor(request), make_origin(request)
        require_freeze_somewhere(actor, origin)
        body = validate_body(FreezeBody, read_body(request))
        plan = FreezePlan(
            site=find_site_to_change(request, FREEZE, body.get("site")),
            platform=body.get("platform", ""),
            message=body["message"],
            starts_at=body.get("starts_at"),
            ends_at=body.get("ends_at"),
        )
        made = freeze(plan, actor=actor, origin=origin)
        headers = {"Location": reverse("freeze-detail", args=[made.pk])}
        return Response(answer_detail(request, made), status=201, headers=headers)

    @operation("get_freeze", "Show a freeze", {200: answer(FreezeDetail, "The freeze, with who is affected.")})
    def retrieve(self, request: Request, freeze_id: int) -> Response:
        """Show a freeze, and which running experiments it concerns: their runs go on, but their owners should know."""
        Query.read(request)
        return Response(answer_detail(request, find_freeze(request, freeze_id)))

    @operation(
        "end_freeze",
        "End a freeze",
        {
            200: answer(
                FreezeDetail, "The freeze, which is over.", is_active=False, ended_by="ana", ended_at=AT, affected=[]
            )
        },
        errors=[409],
    )
    def destroy(self, request: Request, freeze_id: int) -> Response:
        """End a freeze before its time, or call off a planned one; it stays in the list.

        Needs the permission `experiments.freeze_site`.
        """
        require_empty(request)
        found = find_freeze(request, freeze_id)
        end_freeze(found, actor=get_actor(request), origin=make_origin(request))
        return Response(answer_detail(request, found))


def find_freeze(request: Request, freeze_id: int) -> Freeze:
    """Return a freeze, or raise Forbidden or NotFound."""
    policy.require_view(request.user, Site)
    freezes = Freeze.objects.visible_to(request.user).select_related("site")
    return find_first(freezes.filter(pk=freeze_id), f"There is no freeze {freeze_id}.")


def answer_detail(request: Request, freeze: Freeze) -> dict[str, Any]:
    """Return a freeze as FreezeDetail describes it, with those experiments that the actor may see."""
    seen = Experiment.objects.visible_to(request.user).filter(pk__in=freeze.find_running_experiments().values("pk"))
    affected = list(seen.order_by("owner", "expid").values("expid", "owner", "hpc"))
    return {**FreezeItem(freeze).data, "affected": affected if not freeze.is_over else []}
