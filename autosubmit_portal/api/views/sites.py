"""Routes of sites."""

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_first
from autosubmit_portal.api.openapi.documentation import answer, operation
from autosubmit_portal.api.query.pagination import BY_SLUG, answer_listing, read_page
from autosubmit_portal.api.query.queries import NewestFirstQuery
from autosubmit_portal.api.serializers.experiments import SiteItem, SiteList
from autosubmit_portal.api.serializers.fields import Query
from experiments.models import Site


class SiteViewSet(PortalViewSet):
    """The Autosubmit installations."""

    tag = "Sites"
    items = ("results", "slug")
    lookup_url_kwarg = "slug"
    lookup_value_converter = "name"

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

    @operation("get_site", "Show a site", {200: answer(SiteItem, "The site.")})
    def retrieve(self, request: Request, slug: str) -> Response:
        """Show one Autosubmit installation: whether it is healthy, its version, and what may be requested there."""
        Query.read(request)
        policy.require_view(request.user, Site)
        sites = Site.objects.visible_to(request.user).filter(slug=slug)
        return Response(SiteItem(find_first(sites, f"There is no site {slug}.")).data)
