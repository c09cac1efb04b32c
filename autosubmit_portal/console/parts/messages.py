"""What a page tells once, such as “The action was requested.”: Django keeps it in a cookie of the whole host."""

from typing import Any

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.http import HttpResponseBase


class _OwnCookie(CookieStorage):
    """The cookie, under the path of the portal."""

    cookie_name = f"messages{settings.COOKIE_SUFFIX}"

    def _update_cookie(self, encoded_data: Any, response: HttpResponseBase) -> None:
        super()._update_cookie(encoded_data, response)  # type: ignore[misc] # the stubs leave it out
        response.cookies[self.cookie_name]["path"] = settings.SESSION_COOKIE_PATH


class MessageStorage(FallbackStorage):
    """The cookie, or the session for what is too long for it."""

    storage_classes = (_OwnCookie, SessionStorage)
