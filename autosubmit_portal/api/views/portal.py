"""Routes about the API itself: its index, its document and its pages."""

from typing import Any

from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.utils import OpenApiResponse, extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from autosubmit_portal.api.http.renderers import OptionsMixin, PortalView
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.openapi.documentation import answer, make_format_parameter, operation
from autosubmit_portal.api.serializers.common import Index
from autosubmit_portal.api.serializers.fields import Query

ROUTES = {
    "experiments": "experiment-list",
    "actions": "action-list",
    "sites": "site-list",
    "freezes": "freeze-list",
    "delegations": "delegation-list",
    "audit": "audit-entry-list",
    "tokens": "token-list",
    "schema": "schema",
    "docs": "docs",
    "health": "health",
}


class IndexViewSet(PortalViewSet):
    """The API of Autosubmit Portal."""

    title = "Index"

    @operation("get_index", "Show where to go", {200: answer(Index, "Addresses.")})
    def list(self, request: Request) -> Response:
        """Show the addresses of the lists and of this documentation."""
        Query.read(request)
        return Response({name: reverse(route, request=request) for name, route in ROUTES.items()})


class SchemaView(OptionsMixin, SpectacularAPIView):
    """The OpenAPI document."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer]

    @operation(
        "get_schema",
        "Get the OpenAPI document",
        {
            (200, "application/json"): OpenApiResponse(dict, "The document as JSON."),
            (200, "application/vnd.oai.openapi"): OpenApiResponse(str, "The document as YAML (`?format=yaml`)."),
        },
        parameters=[make_format_parameter("json", "yaml")],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Get the OpenAPI 3.1 document that describes this API, as JSON or YAML."""
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        return response


class DocsView(OptionsMixin, SpectacularSwaggerSplitView):
    """The OpenAPI document as pages to read and to try. Everything they need comes from the portal itself."""

    url_name = "schema"


@extend_schema(exclude=True)
class UnknownRouteView(PortalView):
    """Any address under /v4 that means nothing."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer 404, whatever the method, once it is known who asks."""
        super().initial(request, *args, **kwargs)
        index, docs = reverse("index-list"), reverse("docs")
        raise NotFound(f"There is no route {request.path}. {index} shows where to go, {docs} describes it.")
