"""Routes about the API itself: its index, its document and its pages."""

from typing import Any

from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.utils import OpenApiResponse, extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from autosubmit_portal.api.http.renderers import PortalView
from autosubmit_portal.api.openapi.documentation import answer, format_parameter, operation
from autosubmit_portal.api.serializers.common import Index
from autosubmit_portal.api.serializers.fields import Query

INDEX = (
    "experiments",
    "actions",
    "sites",
    "freezes",
    "delegations",
    "audit",
    "tokens",
    "schema",
    "docs",
    "health",
)


class IndexView(PortalView):
    """The API of Autosubmit Portal."""

    @operation(
        "get_index",
        "Show where to go",
        answers={
            200: answer(
                Index, "Addresses.", {name: f"https://portal.example.org/v4/{name}" for name in INDEX}
            )
        },
        errors=[400],
    )
    def get(self, request: Request) -> Response:
        """Show the addresses of the lists and of this documentation."""
        Query.of(request)
        return Response({name: reverse(f"api-{name}", request=request) for name in INDEX})


class SchemaView(SpectacularAPIView):
    """The OpenAPI document."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer]

    @operation(
        "get_schema",
        "Get the OpenAPI document",
        parameters=[format_parameter("json", "yaml")],
        answers={
            (200, "application/json"): OpenApiResponse(dict, "The document as JSON."),
            (200, "application/vnd.oai.openapi"): OpenApiResponse(
                str, "The document as YAML (`?format=yaml`)."
            ),
        },
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Get the OpenAPI 3.1 document that describes this API, as JSON or YAML."""
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        return response


class DocsView(SpectacularSwaggerSplitView):
    """The OpenAPI document as pages to read and to try. Everything they need comes from the portal itself."""

    url_name = "api-schema"


@extend_schema(exclude=True)
class UnknownRouteView(PortalView):
    """Any address under /v4 that means nothing."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer 404, whatever the method, once it is known who asks."""
        super().initial(request, *args, **kwargs)
        raise NotFound(f"There is no route {request.path}. /v4 shows where to go, /v4/docs describes it.")
