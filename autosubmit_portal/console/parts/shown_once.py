"""What is shown once, right after it was made: until then only the browser keeps it, in a signed cookie."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

SHOWN_WITHIN_SECONDS = 60


def show_next(request: HttpRequest, name: str, text: str) -> HttpResponse:
    """Lead to the same address, whose page shows a text; `name` is that of the cookie that carries it there."""
    response = HttpResponseRedirect(request.get_full_path())
    response.set_signed_cookie(
        name,
        text,
        salt=_get_salt(request, name),
        max_age=SHOWN_WITHIN_SECONDS,
        path=request.path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return response


def read_shown(request: HttpRequest, name: str) -> str | None:
    """Return the text that was made just now, None if none was."""
    if request.method == "POST":
        return None
    made: str | None = request.get_signed_cookie(
        name, default=None, salt=_get_salt(request, name), max_age=SHOWN_WITHIN_SECONDS
    )
    return made


def forget_shown(request: HttpRequest, name: str, response: HttpResponse) -> None:
    """Have the browser forget the text, and keep no copy of the page."""
    response["Cache-Control"] = "no-store"
    if name in request.COOKIES:
        response.delete_cookie(name, path=request.path)


def _get_salt(request: HttpRequest, name: str) -> str:
    return f"{name} of {request.user.pk}"
