"""In which time zone and language a request is answered.

The console is in those of the person; what they leave blank is the time zone of the portal and the language that the
browser asks for. Programs get UTC and English, whoever asks.
"""

from collections.abc import Callable
from datetime import UTC

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from autosubmit_portal.access.preferences import find_preferences, get_language, get_time_zone
from autosubmit_portal.api.error_answers import is_of_the_api


class LocalizationMiddleware:
    """Activates the time zone and the language of whoever asks. Views and templates then need not know them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request in them. The account is not looked up for a program."""
        if is_of_the_api(request):
            with timezone.override(UTC), translation.override(settings.LANGUAGE_CODE):
                return self.get_response(request)
        return self._serve_person(request)

    def _serve_person(self, request: HttpRequest) -> HttpResponseBase:
        preferences = find_preferences(request.user)
        language = get_language(preferences) or translation.get_language_from_request(request)
        with timezone.override(get_time_zone(preferences)), translation.override(language):
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ["Accept-Language"])
        return response
