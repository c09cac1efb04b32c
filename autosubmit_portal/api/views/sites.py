"""Routes of sites."""

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.action_requests import read_body, validate_body
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_first
from autosubmit_portal.api.openapi.documentation import Body, answer, operation
from autosubmit_portal.api.openapi.examples import AT, make_example
from autosubmit_portal.api.query.pagination import BY_SLUG, answer_listing, read_page
from autosubmit_portal.api.query.queries import NewestFirstQuery
from autosubmit_portal.api.serializers.experiments import (
    CallEmptyBody,
    HostDetail,
    HostItem,
    HostStateItem,
    SiteDetail,
    SiteItem,
    SiteList,
)
from autosubmit_portal.api.serializers.fields import Query
from autosubmit_portal.audit.origin import get_actor, make_origin
from experiments.actions.call_empty import call_empty, list_states, may_call_empty
from experiments.actions.refusals import InvalidParameters
from experiments.models import Host, Site

CALLED_EMPTY = {"called_empty_at": AT, "called_empty_by": "ana"}
SILENT = {"is_connected": False, "reason": "The host runs2 has been away for 90 s.", "silent_since": AT}
EMPTY = make_example(HostDetail, name="runs2", channel="ssh", **SILENT, **CALLED_EMPTY)


class SiteViewSet(PortalViewSet):
    """The Autosubmit installations."""

    tag = "Sites"
    items = ("results", "slug")
    lookup_url_kwarg = "slug"
    lookup_value_converter = "name"

    def may_offer(self, name: str, kind: str) -> bool:
        """Answer whether the person may say of a host that it is empty, and one is silent."""
        site = find_site(self.request, self.kwargs["slug"])
        if not may_call_empty(site, get_actor(self.request)):
            return False
        return any(state.is_connected is False for state in list_states(site))

    def list_links(self, data: Any) -> dict[str, str]:
        """Return what belongs to a site."""
        found = super().list_links(data)
        if self.detail:
            query = urlencode({"site": self.kwargs["slug"]})
            lists = {"Experiments": "experiment-list", "Actions": "action-list"}
            found |= {title: f"{reverse(route)}?{query}" for title, route in lists.items()}
        return found

    @operation(
        "list_sites", "List sites", {200: answer(SiteList, "The sites, by name.")}, parameters=[NewestFirstQuery]
    )
    def list(self, request: Request) -> Response:
        """List the Autosubmit installations that you have anything to do with, with their health."""
        query = NewestFirstQuery.read(request)
        policy.require_view(request.user, Site)
        sites = Site.objects.visible_to(request.user).prefetch_related("hosts")
        page = read_page(request, sites, BY_SLUG, query)
        return answer_listing(page, SiteItem(page.rows, many=True).data)

    @operation("get_site", "Show a site", {200: answer(SiteDetail, "The site.")})
    def retrieve(self, request: Request, slug: str) -> Response:
        """Show one Autosubmit installation: its health, its version, its hosts, and what may be requested there."""
        Query.read(request)
        return Response(answer_detail(find_site(request, slug)))

    @operation(
        "call_host_empty",
        "Call a host empty",
        {200: answer(SiteDetail, "The site, at which nothing waits for the host.", hosts=[EMPTY])},
        body=Body.make(CallEmptyBody, {"Power cut": {"host": "runs2", "reason": "It was switched off for repair."}}),
        errors=[409],
    )
    @action(["POST"], detail=True, url_path="call-empty")
    def call_empty(self, request: Request, slug: str) -> Response:
        """Say of a host that is silent that nothing runs there, so that other hosts of the site start runs again.

        No answer is no evidence that a run has ended, so the portal never assumes it by itself: make sure that nothing
        runs there, and say how you know. It holds until the host is back. Needs the permission
        `experiments.call_action_lost`.
        """
        Query.read(request)
        site = find_site(request, slug)
        body = validate_body(CallEmptyBody, read_body(request))
        host = find_host(site, body["host"])
        call_empty(host, actor=get_actor(request), origin=make_origin(request), reason=body.get("reason", ""))
        return Response(answer_detail(site))


def find_site(request: Request, slug: str) -> Site:
    """Return a site, or raise Forbidden or NotFound."""
    policy.require_view(request.user, Site)
    return find_first(Site.objects.visible_to(request.user).filter(slug=slug), f"There is no site {slug}.")


def find_host(site: Site, name: str) -> Host:
    """Return the host of a site that has a name, or raise InvalidParameters naming those there are."""
    hosts = {host.name: host for host in site.hosts.all()}
    if name not in hosts:
        raise InvalidParameters({"host": [f"“{name}” is not a host of {site}. Legal: {', '.join(hosts)}."]})
    return hosts[name]


def answer_detail(site: Site) -> dict[str, Any]:
    """Return a site as SiteDetail describes it: what is kept of its hosts, and how they stand now."""
    hosts = [{**HostItem(state.host).data, **HostStateItem(state).data} for state in list_states(site)]
    return {**SiteItem(site).data, "hosts": hosts}
