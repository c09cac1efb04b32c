"""What every answer tells browsers that they may do with it.

Django's own middleware sends the rest: no sniffing of types, no referrer to others, an opener of its own, HSTS.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase


def _policy(directives: dict[str, str]) -> str:
    return "; ".join(f"{name} {sources}".strip() for name, sources in directives.items())


# Pages run and show what the portal serves as files, and nothing that stands in them.
PAGE_POLICY = _policy(
    {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": " ".join(["'self'", *settings.FORM_TARGETS]),
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
)
# Everything else is no page, whatever a browser takes it for: logs, outputs, JSON and exports run nothing.
DATA_POLICY = _policy(
    {
        "default-src": "'none'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "sandbox": "",
    }
)
# An answer is for who asked, and asked for again before it is shown again. Static files and secrets say so themselves.
CACHE_CONTROL = "private, no-cache"
NEVER_NEEDED = ("camera", "geolocation", "microphone", "payment", "usb")
PERMISSIONS_POLICY = ", ".join(f"{feature}=()" for feature in NEVER_NEEDED)


class HeadersMiddleware:
    """Adds the headers. They are constant: what they say costs a request nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request; a static file is answered further in and gets the headers too."""
        response = self.get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        response.headers["Content-Security-Policy"] = PAGE_POLICY if is_page else DATA_POLICY
        response.headers.setdefault("Cache-Control", CACHE_CONTROL)
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response
