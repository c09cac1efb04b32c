"""The answer to OPTIONS in DRF's form: formats, query parameters and fields of bodies."""

from typing import Any

from rest_framework.metadata import SimpleMetadata
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request


class PortalMetadata(SimpleMetadata):
    """DRF's metadata, of bodies and query parameters that `documentation.operation` has been told.

    Where a route takes several bodies, as `?action=` says, each stands as an object under the name of its action. What
    the person may not send is left out.
    """

    def determine_metadata(self, request: Request, view: Any) -> dict[str, Any]:
        """Return what is told of a view."""
        told: dict[str, Any] = super().determine_metadata(request, view)
        told["renders"] = [renderer.media_type for renderer in view.get_renderers()]
        handlers = {
            method: getattr(view, method.lower())
            for method in view.allowed_methods
            if hasattr(getattr(view, method.lower(), None), "described")
        }
        queries = {method: handler.described.query for method, handler in handlers.items()}
        told["parameters"] = {
            method: self.get_serializer_info(query()) if query else {} for method, query in queries.items()
        }
        bodies = {
            method: view.bodies_of(handlers[method]) for method in handlers if method not in SAFE_METHODS
        }
        told["actions"] = {method: self._told(found) for method, found in bodies.items() if found}
        return told

    def _told(self, bodies: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the only body, or each body as an object."""
        if "" in bodies:
            told: dict[str, Any] = self.get_serializer_info(bodies[""]()) if bodies[""] else {}
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
