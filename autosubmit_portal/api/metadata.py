"""What OPTIONS tells of a route, as DRF does: its formats, and the fields of what may be sent."""

from typing import Any

from rest_framework.metadata import SimpleMetadata
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request


class PortalMetadata(SimpleMetadata):
    """DRF's metadata, of bodies and query parameters that `documentation.operation` has been told.

    Where a route takes several bodies, as `?action=` says, each stands as an object under the name of its action.
    """

    def determine_metadata(self, request: Request, view: Any) -> dict[str, Any]:
        """Return what is told of a view."""
        told: dict[str, Any] = super().determine_metadata(request, view)
        told["renders"] = [renderer.media_type for renderer in view.get_renderers()]
        methods = {
            method: getattr(getattr(view, method.lower()), "described", None)
            for method in view.allowed_methods
            if method not in ("HEAD", "OPTIONS")
        }
        described = {method: found for method, found in methods.items() if found}
        told["parameters"] = {
            method: self.get_serializer_info(found.query()) if found.query else {}
            for method, found in described.items()
        }
        bodies = {method: found.bodies for method, found in described.items() if method not in SAFE_METHODS}
        told["actions"] = {method: self._told(shapes) for method, shapes in bodies.items()}
        return told

    def _told(self, bodies: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the only body, or each body as an object."""
        if "" in bodies:
            told: dict[str, Any] = self.get_serializer_info(bodies[""]())
            return told
        return {
            name: {
                "type": "nested object",
                "required": False,
                "help_text": shape.__doc__,
                "children": self.get_serializer_info(shape()),
            }
            for name, shape in bodies.items()
        }
