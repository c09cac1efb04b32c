"""Security headers of every answer: content policy, permissions and caching.

Django's own middleware sends the others: no sniffing of types, no referrer to other sites, opener policy, HSTS.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase


def _join_policy(directives: dict[str, str]) -> str:
    return "; ".join(f"{name} {sources}".strip() for name, sources in directives.items())


# Pages may use scripts and styles that the portal serves as files, and nothing inline.
PAGE_POLICY = _join_policy(
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
# Everything else (logs, outputs, JSON, exports) may run nothing, even if a browser takes it for a page.
DATA_POLICY = _join_policy(
    {"default-src": "'none'", "form-action": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'", "sandbox": ""}
)
# An answer is for one user, and browsers ask again before they show it again. Static files and secrets have their own.
CACHE_CONTROL = "private, no-cache"
NEVER_NEEDED = ("camera", "geolocation", "microphone", "payment", "usb")
PERMISSIONS_POLICY = ", ".join(f"{feature}=()" for feature in NEVER_NEEDED)


class HeadersMiddleware:
    """Adds the headers, which are constant and cost nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request. Static files are served by an inner middleware, so they get the headers too."""
        response = self.get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        response.headers["Content-Security-Policy"] = PAGE_POLICY if is_page else DATA_POLICY
        response.headers.setdefault("Cache-Control", CACHE_CONTROL)
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response
