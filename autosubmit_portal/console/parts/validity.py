"""Rows with a limited time, such as freezes: a form makes them, a button ends them, nobody changes them."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.forms.boundfield import BoundField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.parts.forms import RuledForm
from autosubmit_portal.console.parts.times import TYPED
from autosubmit_portal.console.text import Text


class InstantField(forms.DateTimeField):
    """An instant in the time zone of whoever types, as its label says."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=TYPED)

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> BoundField:
        """Say the time zone behind the label."""
        bound = super().get_bound_field(form, field_name)
        bound.label = f"{bound.label} ({timezone.get_current_timezone_name()})"
        return bound

    def to_python(self, value: Any) -> datetime | None:
        """Read it; raise ValidationError for what no clock shows, or shows twice because it is turned back."""
        try:
            return super().to_python(value)
        except ValidationError as error:
            raise ValidationError(self._explain(str(value)) or error.messages) from error

    def _explain(self, typed: str) -> str:
        """Return why an instant is none in the time zone; blank for what is none anywhere."""
        try:
            with timezone.override(UTC):
                super().to_python(typed)
        except ValidationError:
            return ""
        zone = timezone.get_current_timezone_name()
        return gettext("Clocks are turned then in {zone}: write an hour earlier or later.").format(zone=zone)


class ValidityAdmin(ReadOnlyAdmin):
    """The pages of such a model. The form is made for a user; `make` may raise `wrong`, and `end` its `refusals`."""

    form_class: ClassVar[Callable[..., RuledForm]]
    form_title: Text = ""
    form_lead: Text = ""
    form_button: Text = ""
    wrong: ClassVar[type[Exception]]

    def make(self, request: HttpRequest, values: dict[str, Any]) -> Model:
        """Make a row of what the form holds; raise `wrong` with its `errors` by field."""
        raise NotImplementedError

    def end(self, request: HttpRequest, row: Any) -> str:
        """End a row and say so; raise one of `refusals`."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        """Add the form and the end."""
        return [
            path("add/", self.admin_site.admin_view(self.form_view), name=self.get_route("add")),
            self.make_row_url("end", require_POST(self.end_view)),
            *super().get_urls(),
        ]

    def form_view(self, request: HttpRequest) -> HttpResponse:
        """Show the form, or make a row and go to its page."""
        if not self.has_add_permission(request):
            raise PermissionDenied(
                gettext("{user} may not make any {verbose_name}.").format(
                    user=request.user, verbose_name=self.opts.verbose_name
                )
            )
        form = self.form_class(request.user, request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid():
            try:
                made = self.make(request, form.cleaned_data)
                return HttpResponseRedirect(self.get_address("change", made.pk))
            except self.wrong as error:
                form.show_errors(error)
        context = {
            "title": self.form_title,
            "lead": self.form_lead,
            "button": self.form_button,
            "list": self.get_list_address(request),
            "form": form,
        }
        return self.render_page(request, "admin/portal/new_term.html", None, context)

    def end_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """End the row and go back to its page."""
        return self.change_row(request, object_id, partial(self.end, request))
