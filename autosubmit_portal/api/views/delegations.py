"""Routes of delegations: everybody lends their own rights, and sees what they have lent and were lent."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.models import Delegation, Team
from autosubmit_portal.access.rights.delegations import (
    DelegationRequest,
    delegate,
    filter_delegations,
    may_revoke,
    require_lending,
    revoke,
)
from autosubmit_portal.access.rights.teams import filter_teams
from autosubmit_portal.access.roles import Role
from autosubmit_portal.api.action_requests import read_body, require_empty, validate_body
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_experiment, find_first
from autosubmit_portal.api.openapi.documentation import Body, answer, operation
from autosubmit_portal.api.openapi.examples import AT
from autosubmit_portal.api.query.pagination import NEWEST_FIRST, answer_listing, read_page
from autosubmit_portal.api.query.queries import DelegationsQuery
from autosubmit_portal.api.serializers.delegations import DelegationBody, DelegationItem, DelegationList
from autosubmit_portal.api.serializers.fields import Query
from autosubmit_portal.audit.origin import get_actor, make_origin
from experiments.actions.refusals import InvalidParameters

UNTIL_MONDAY = {
    "grantee": "ben",
    "role": "operator",
    "expid": "a000",
    "ends_at": "2026-11-30T08:00:00+00:00",
    "reason": "I am away over the weekend.",
}


class DelegationViewSet(PortalViewSet):
    """What you have lent and were lent."""

    tag = "Delegations"
    lookup_url_kwarg = "delegation_id"
    lookup_value_converter = "int"

    def may_offer(self, name: str, kind: str) -> bool:
        """Answer whether the person may take this one back; everybody may lend."""
        return not self.detail or may_revoke(self.request.user, _find(self.request, self.kwargs["delegation_id"]))

    @operation(
        "list_delegations",
        "List delegations",
        {200: answer(DelegationList, "Delegations, newest first.")},
        parameters=[DelegationsQuery],
    )
    def list(self, request: Request) -> Response:
        """List the rights that you have lent and that were lent to you; managers of all teams see everybody's.

        A token with a limited scope shows your own at most; one that is limited to teams, what is about these.
        """
        query = DelegationsQuery.read(request)
        rows = _filter_rows(request)
        if query.get("active"):
            rows = rows & Delegation.objects.active()
        names = {name: f"{name}__username" for name in ("grantor", "grantee") if name in query}
        rows = rows.filter(**{column: query[name] for name, column in names.items()})
        page = read_page(request, rows, NEWEST_FIRST, query)
        return answer_listing(page, DelegationItem(page.rows, many=True).data)

    @operation(
        "delegate",
        "Lend your rights for a time",
        {201: answer(DelegationItem, "The delegation.")},
        body=Body.make(DelegationBody, {"Until Monday": UNTIL_MONDAY}),
        errors=[404, 409],
    )
    def create(self, request: Request) -> Response:
        """Let a colleague act with your rights, up to a role, on a team's experiments, on one, or on all that you have.

        They can never do more than you can at that moment, cannot lend it on, and what they do stands in the trail as
        theirs for you. It ends by itself, or when you revoke it. A token with a limited scope lends nothing.
        """
        Query.read(request)
        actor, origin = get_actor(request), make_origin(request)
        require_lending(actor, origin)
        made = delegate(
            _read_request(request, validate_body(DelegationBody, read_body(request))), grantor=actor, origin=origin
        )
        headers = {"Location": reverse("delegation-detail", args=[made.pk])}
        return Response(DelegationItem(made).data, status=201, headers=headers)

    @operation("get_delegation", "Show a delegation", {200: answer(DelegationItem, "The delegation.")})
    def retrieve(self, request: Request, delegation_id: int) -> Response:
        """Show a delegation of yours."""
        Query.read(request)
        return Response(DelegationItem(_find(request, delegation_id)).data)

    @operation(
        "revoke_delegation",
        "Revoke a delegation",
        {
            200: answer(
                DelegationItem, "The delegation, which is over.", is_active=False, revoked_by="ana", revoked_at=AT
            )
        },
        errors=[409],
    )
    def destroy(self, request: Request, delegation_id: int) -> Response:
        """End a delegation at once; whoever lent it may, and managers of all teams. It stays in the list.

        A token with a limited scope takes nothing back.
        """
        require_empty(request)
        found = _find(request, delegation_id)
        revoke(found, actor=get_actor(request), origin=make_origin(request))
        return Response(DelegationItem(found).data)


def _filter_rows(request: Request) -> QuerySet[Delegation]:
    return filter_delegations(request.user).select_related("grantor", "grantee", "team", "experiment__site")


def _find(request: Request, delegation_id: int) -> Delegation:
    absence = f"There is no delegation {delegation_id} of yours."
    return find_first(_filter_rows(request).filter(pk=delegation_id), absence)


def _read_request(request: Request, body: Mapping[str, Any]) -> DelegationRequest:
    expid = body.get("expid")
    return DelegationRequest(
        grantee=User.objects.filter(username=body["grantee"]).first(),
        role=Role[body["role"].upper()],
        team=_find_team(request, body["team"]) if "team" in body else None,
        experiment=find_experiment(request, expid, body.get("site")) if expid else None,
        starts_at=body.get("starts_at"),
        ends_at=body["ends_at"],
        reason=body["reason"],
    )


def _find_team(request: Request, slug: str) -> Team:
    found = filter_teams(request.user).filter(slug=slug).first()
    if found is None:
        raise InvalidParameters({"team": [f"There is no team “{slug}” that you are in."]})
    return found
