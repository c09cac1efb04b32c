"""Open tabs that ask for their parts again: few at a time, so that people who do something come first."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from autosubmit_portal.waits import Places

refreshes = Places(settings.WEB_THREADS // 6, settings.WEB_THREADS // 6)
"""Those of tabs in this process."""


class RefreshesMiddleware:
    """Answers 204 to a tab that finds no place: it keeps what it shows and asks again in some seconds."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request; nobody is asked who they are before there is a place."""
        if request.method != "GET" or request.headers.get("HX-Request") != "true":
            return self.get_response(request)
        if not refreshes.take("tabs"):
            return HttpResponse(status=204)
        try:
            return self.get_response(request)
        finally:
            refreshes.give_back("tabs")
