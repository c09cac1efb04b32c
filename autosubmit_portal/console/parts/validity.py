"""Rows that hold for a time, such as freezes: a form makes them, a button ends them, nobody changes them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.parts.forms import RuledForm


class InstantField(forms.DateTimeField):
    """An instant in UTC, as its label says, whatever the time zone of the portal is."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def to_python(self, value: Any) -> datetime | None:
        """Read it."""
        with timezone.override(UTC):
            return super().to_python(value)


class TermAdmin(ReadOnlyAdmin):
    """The pages of such a model. The form is made for a user; `make` may raise `wrong`, and `end` the `refusals`."""

    form_class: ClassVar[Callable[..., RuledForm]]
    form_title = ""
    form_lead = ""
    form_button = ""
    wrong: ClassVar[type[Exception]]
    refusals: ClassVar[tuple[type[Exception], ...]] = ()

    def make(self, request: HttpRequest, values: dict[str, Any]) -> Model:
        """Make a row of what the form holds; raise `wrong` with its `errors` by field."""
        raise NotImplementedError

    def end(self, request: HttpRequest, row: Any) -> str:
        """End a row and say so; raise one of `refusals`."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        """Add the form and the end."""
        view = self.admin_site.admin_view
        return [
            path("add/", view(self.form_view), name=self._address("add")),
            path("<int:object_id>/end/", view(require_POST(self.end_view)), name=self._address("end")),
            *super().get_urls(),
        ]

    def form_view(self, request: HttpRequest) -> HttpResponse:
        """Show the form, or make a row and go to its page."""
        if not self.has_add_permission(request):
            raise PermissionDenied(f"{request.user} may not make any {self.opts.verbose_name}.")
        form = self.form_class(request.user, request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid():
            try:
                return self._page_of(self.make(request, form.cleaned_data).pk)
            except self.wrong as error:
                form.show_errors(error)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": self.form_title,
            "lead": self.form_lead,
            "button": self.form_button,
            "list": self.list_address(request),
            "form": form,
        }
        return TemplateResponse(request, "admin/portal/new_term.html", context)

    def end_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """End the row and go back to its page."""
        found = self.seen_object(request, str(object_id))
        try:
            messages.success(request, self.end(request, found))
        except self.refusals as refusal:
            messages.error(request, str(refusal))
        return self._page_of(object_id)

    def _page_of(self, key: int) -> HttpResponse:
        return HttpResponseRedirect(reverse(f"admin:{self._address('change')}", args=[key]))

    def _address(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"
