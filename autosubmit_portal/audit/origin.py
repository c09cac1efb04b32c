"""Where a request comes from: who, from which address, through which door."""

import os
import pwd
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

SESSION = "session"


class Door(StrEnum):
    """How somebody came in."""

    API = "api"
    ADMIN = "admin"
    COMMAND_LINE = "command line"
    WORKER = "worker"
    MIRROR = "mirror"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who did something, and from where. `actor_id` is None for people and programs without an account.

    `credential` is how they signed in, such as “API token ab12cd34 nightly”. `on_behalf_of` is the name, and
    `on_behalf_of_id` the account, of the person they acted for; blank and None for themselves.
    """

    door: Door
    actor_name: str = ""
    actor_id: int | None = None
    address: str | None = None
    credential: str = ""
    on_behalf_of: str = ""
    on_behalf_of_id: int | None = None

    @classmethod
    def make(cls, actor: Any, *, door: Door, address: str | None = None) -> "Origin":
        """Return the origin of what `actor` (a user, possibly anonymous) does.

        The class that authenticated the request has set `actor.credential`.
        """
        return cls(
            door=door,
            actor_name=actor.get_username(),
            actor_id=actor.pk,
            address=address,
            credential=getattr(actor, "credential", ""),
        )


_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


def get_current_origin() -> Origin:
    """Return the origin of the request that is being served; outside of one, the command line."""
    request = _request.get()
    return make_origin(request) if request else Origin(door=Door.COMMAND_LINE, credential=_get_unix_account())


@cache
def _get_unix_account() -> str:
    """Return the name of this process's account, from the system: the environment may say anything."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:  # containers have accounts without a name
        name = str(number)
    return f"Unix account {name}"


def get_client_address(request: HttpRequest) -> str | None:
    """Return the address of the client. Only the last PORTAL_TRUSTED_PROXIES proxies are believed."""
    direct: str | None = request.META.get("REMOTE_ADDR") or None
    forwarded: str = request.META.get("HTTP_X_FORWARDED_FOR", "")
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    if settings.TRUSTED_PROXIES and len(hops) >= settings.TRUSTED_PROXIES:
        return hops[-settings.TRUSTED_PROXIES]
    return direct


def get_door(request: HttpRequest) -> Door:
    """Return the door that a request came through."""
    return Door.API if request.path_info.startswith("/v4") else Door.ADMIN


def get_actor(request: HttpRequest) -> User:
    """Return the user of a request that needs a sign-in."""
    return cast(User, request.user)


def make_origin(request: HttpRequest) -> Origin:
    """Return the origin of an HTTP request. Only DRF's requests know the user of a token; Django's know the session."""
    origin = Origin.make(request.user, door=get_door(request), address=get_client_address(request))
    is_by_session = request.user.is_authenticated and not origin.credential
    return replace(origin, credential=SESSION) if is_by_session else origin


class OriginMiddleware:
    """Keeps the origin of the request for what is recorded deep below a view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve the request with its origin at hand. The user is looked up only when somebody needs it."""
        token = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(token)
