"""What all resources of the API have in common."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from rest_framework.reverse import reverse
from rest_framework.viewsets import ViewSetMixin

from autosubmit_portal.api.http.errors import UNSEEN
from autosubmit_portal.api.http.renderers import PortalView


class PortalViewSet(ViewSetMixin, PortalView):
    """A resource: the router binds `list`, `create`, `retrieve` and so on to methods of HTTP.

    The rows of a list are read as tuples and written without a serializer for each, which DRF's mixins and paginators
    would not do. `title` is that of the list, by default the tag; `items` is where a list has its rows, and what names
    each of them.
    """

    title = ""
    items: ClassVar[tuple[str, str]] = ("results", "id")
    lookup_url_kwarg = "id"

    def get_view_name(self) -> str:
        """Return the title of a page."""
        return self.name or (super().get_view_name() if self.detail else self.title or self.tag)

    def get_view_description(self, html: bool = False) -> Any:
        """Return the description of GET from the OpenAPI document, shown above the page."""
        handler = getattr(self, self.action_map.get("get", ""), None)
        self.description = self.description or getattr(handler, "__doc__", None)
        return super().get_view_description(html)

    def may_offer(self, name: str, kind: str) -> bool:
        """Return whether to offer a form of a method, and of an action kind if it requests one."""
        return True

    def may_choose(self, handler: Any, field: str, value: str) -> bool:
        """Return whether to offer a value of a field: an action kind only to whoever may request it."""
        return field != "kind" or self.may_offer(handler.__name__, value)

    def list_bodies(self, handler: Any) -> dict[str, Any]:
        """Return the bodies of a method that the person may send, by name; None for a method without a body."""
        bodies = handler.described.bodies or {"": None}
        try:
            return {name: shape for name, shape in bodies.items() if self.may_offer(handler.__name__, name)}
        except UNSEEN:
            return {}

    def list_links(self, data: Any) -> dict[str, str]:
        """Return the links of an answer's page, by title: what the resource offers, and what a single one is about."""
        actions: Sequence[Any] = self.get_extra_actions()
        offered = {
            str(action.kwargs["name"]): self.get_address(f"{self.basename}-{action.url_name}")
            for action in actions
            if action.detail == self.detail and "get" in self.action_map and "get" in action.mapping
        }
        return offered | (self._list_subjects(data) if self.detail and isinstance(data, dict) else {})

    def _list_subjects(self, data: dict[str, Any]) -> dict[str, str]:
        site, expid, action_id = (data.get(name) for name in ("site", "expid", "action"))
        found = {}
        if expid:
            found["Experiment"] = self.get_address("experiment-detail", {"expid": expid}, site)
        if isinstance(action_id, int):
            found["Action"] = self.get_address("action-detail", {"action_id": action_id})
        if site:
            found["Site"] = self.get_address("site-detail", {"slug": site})
        return found

    def list_row_links(self, data: Any) -> tuple[str, Iterator[str]]:
        """Return the field that names a row of a list, and the addresses of the rows."""
        rows, key = self.items
        found = data.get(rows) or () if isinstance(data, dict) and not self.detail else ()
        return key, (self.get_row_address(row[key], row) for row in found if key in row)

    def get_row_address(self, name: Any, row: dict[str, Any]) -> str:
        """Return the address of one row of a list."""
        return self.get_address(
            f"{self.basename}-detail", {**self.kwargs, self.lookup_url_kwarg: name}, row.get("site")
        )

    def get_address(self, route: str, names: dict[str, Any] | None = None, site: Any = None) -> str:
        """Return the address of a route, by default of this very thing; one of an experiment names its site."""
        names = self.kwargs if names is None else names
        slug = site if isinstance(site, str) else self.request.query_params.get("site")
        query = f"?{urlencode({'site': slug})}" if slug and "expid" in names else ""
        return f"{reverse(route, kwargs=names)}{query}"
