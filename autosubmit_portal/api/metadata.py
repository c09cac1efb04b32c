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
        told |= {"parameters": {}, "actions": {}}
        for method in view.allowed_methods:
            handler = getattr(view, method.lower(), None)
            if hasattr(handler, "described"):
                self._add(told, method, handler, view)
        return told

    def _add(self, told: dict[str, Any], method: str, handler: Any, view: Any) -> None:
        bodies = {} if method in SAFE_METHODS else view.list_bodies(handler)
        if not bodies and method not in SAFE_METHODS:
            return
        query = handler.described.query
        told["parameters"][method] = self.get_serializer_info(query()) if query else {}
        if "" in bodies:
            told["actions"][method] = self._describe_fields(bodies[""], handler, view)
        elif bodies:
            told["actions"][method] = {
                name: {
                    "type": "nested object",
                    "required": False,
                    "help_text": shape.__doc__,
                    "children": self._describe_fields(shape, handler, view),
                }
                for name, shape in bodies.items()
            }

    def _describe_fields(self, shape: Any, handler: Any, view: Any) -> dict[str, Any]:
        """Return the fields of a body, and of what may be chosen in them what the person may."""
        told: dict[str, Any] = self.get_serializer_info(shape()) if shape else {}
        for name, field in told.items():
            if "choices" in field:
                field["choices"] = [one for one in field["choices"] if view.may_choose(handler, name, one["value"])]
        return told
