"""What all resources of the API have in common."""

from typing import Any

from rest_framework.viewsets import ViewSetMixin

from autosubmit_portal.api.http.renderers import PortalView


class PortalViewSet(ViewSetMixin, PortalView):
    """A resource: `list`, `create`, `retrieve` and so on, which the router binds to methods of HTTP.

    The rows of a list are read as tuples and written without a serializer for each, which DRF's mixins and paginators
    would not do. `title` is that of the list, by default the tag.
    """

    title = ""

    def get_view_name(self) -> str:
        """Return the title of a page."""
        return self.name or (super().get_view_name() if self.detail else self.title or self.tag)

    def get_view_description(self, html: bool = False) -> Any:
        """Return what is said above a page: what stands in the document about its GET."""
        handler = getattr(self, self.action_map.get("get", ""), None)
        self.description = self.description or getattr(handler, "__doc__", None)
        return super().get_view_description(html)
