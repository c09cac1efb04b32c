"""`GET /metrics`, for Prometheus."""

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from autosubmit_portal import metrics
from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.http.renderers import PortalView, TextRenderer
from experiments.models import Action


@extend_schema(exclude=True)
class MetricsView(PortalView):
    """The numbers of the portal, for whoever may see all actions, or for everybody if PORTAL_METRICS_OPEN says so."""

    renderer_classes = (TextRenderer, JSONRenderer)

    def get_permissions(self) -> list[BasePermission]:
        """Ask for a sign-in unless the metrics are open."""
        return [] if settings.METRICS_OPEN else [IsAuthenticated()]

    def get(self, request: Request) -> HttpResponse:
        """Answer in the format that `Accept` prefers among those of Prometheus."""
        if not settings.METRICS_OPEN:
            policy.require_view_of_all(request.user, Action)
        text, content_type = metrics.write_metrics(request.headers.get("Accept", ""))
        return HttpResponse(text, content_type=content_type, headers={"Cache-Control": "no-store"})
