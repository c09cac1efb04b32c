"""The page on which people choose the time zone and the language of their console."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from autosubmit_portal.access.models import Preferences
from autosubmit_portal.access.preferences import find_preferences, get_language, list_time_zones, set_preferences
from autosubmit_portal.audit.origin import get_actor
from autosubmit_portal.console.parts.forms import RuledForm
from autosubmit_portal.console.site import console

LONGEST_ZONE: int = Preferences._meta.get_field("time_zone").max_length or 0


class PreferencesForm(RuledForm):
    """A time zone, which may be typed or taken from the list, and a language."""

    time_zone = forms.CharField(
        label=_("Time zone"),
        required=False,
        max_length=LONGEST_ZONE,
        widget=forms.TextInput(
            attrs={"list": "offers-time_zone", "autocomplete": "off", "spellcheck": "false", "data-zone-of-browser": ""}
        ),
    )
    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=[("", _("As the browser asks")), *settings.LANGUAGES]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.fields["time_zone"]
        zone.offers = list_time_zones()  # type: ignore[attr-defined]  # for field.html
        zone.help_text = gettext(
            "All times of the console are in it. Type a part of a name. Blank: that of the portal, %(zone)s."
        ) % {"zone": settings.TIME_ZONE}

    def clean_time_zone(self) -> str:
        """Return the name of the zone; raise ValidationError for one that the tz database does not have."""
        name: str = self.cleaned_data["time_zone"]
        if name and name not in list_time_zones():
            raise ValidationError(
                _("“%(name)s” is no time zone. Choose one of the list, such as Europe/Madrid."), params={"name": name}
            )
        return name


@require_http_methods(["GET", "HEAD", "POST"])
def preferences_page(request: HttpRequest) -> HttpResponse:
    """Show what somebody prefers, or keep it and show it anew."""
    user = get_actor(request)
    known = find_preferences(user)
    initial = {"time_zone": known.time_zone, "language": get_language(known)}
    form = PreferencesForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_bound and form.is_valid():
        set_preferences(user, **form.cleaned_data)
        with translation.override(form.cleaned_data["language"] or translation.get_language_from_request(request)):
            messages.success(request, str(_("Your preferences are kept.")))
        return HttpResponseRedirect(reverse("admin:preferences"))
    context = {**console.each_context(request), "title": _("Preferences"), "form": form, "now": timezone.now()}
    return TemplateResponse(request, "admin/portal/preferences.html", context)
