"""Rows that addresses call by their names, each with a page of its own, such as people and teams."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from autosubmit_portal.console.addresses import find_named, make_name_key
from autosubmit_portal.console.parts.base import ConsoleAdmin


class NamedAdmin(ConsoleAdmin):
    """The list and the pages of such rows. `get_queryset` says which of them somebody sees; others are not found."""

    row_part = "<row_name:object_id>"
    actions = None
    page_template = ""

    def get_key(self, obj: Any) -> Any:
        """Return the row: its addresses are made of it."""
        return obj

    def find_row(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row of that name; None if there is none that the user sees."""
        return find_named(self.get_queryset(request), object_id)

    def get_visible_object(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row of that name; 404 if there is none that the user sees."""
        found = self.find_row(request, object_id)
        if found is None:
            self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return found

    def change_view(self, request: HttpRequest, object_id: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the page of a row; one that is asked for by number, at the address with the name."""
        row = self.get_visible_object(request, str(object_id))
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        if object_id != make_name_key(row):
            return HttpResponseRedirect(self.get_address("change", row))
        return self.render_page(request, self.page_template, row, self.get_page_context(request, row))

    def get_page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what the page of the row shows besides the row itself."""
        raise NotImplementedError
