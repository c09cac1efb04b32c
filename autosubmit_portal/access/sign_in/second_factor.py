"""The second factor of accounts with a password: a code of an authenticator app (TOTP), or a recovery code.

Accounts of the identity provider need none here: the provider asks for its own.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.core import context
from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa import signals
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.flows import generate_recovery_codes
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.flows import activate_totp, deactivate_totp
from axes.handlers.proxy import AxesProxyHandler
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext, override

from autosubmit_portal.access import sessions
from autosubmit_portal.access.rights import teams
from autosubmit_portal.access.rights.grants import read_grants
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in import lockout
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import get_actor, get_client_address, get_current_origin
from autosubmit_portal.sentences import say, translate

# A code fits for a minute and a half, clocks that differ included: so many codes are remembered as used.
REMEMBERED_CODES = 3
# How somebody has signed in that needs no further factor.
SUFFICIENT = {"mfa", "socialaccount"}


class Adapter(DefaultMFAAdapter):
    """What allauth asks about second factors. Secrets are encrypted: a database dump alone cannot make codes."""

    def get_totp_issuer(self) -> str:
        """Return the name of the portal in authenticator apps."""
        return f"Autosubmit Portal {context.request.get_host()}"

    def encrypt(self, text: str) -> str:
        """Return the text encrypted with the secret key."""
        return _make_cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return the text; raise ValidationError when it was encrypted with another secret key."""
        try:
            return _make_cipher().decrypt(encrypted_text.encode()).decode()
        except InvalidToken as error:
            raise ValidationError(
                say("Your second factor was set up under another secret key. Ask an administrator to reset it.")
            ) from error


def _make_cipher() -> Fernet:
    digest = hashlib.sha256(f"second factor:{settings.SECRET_KEY}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


class CodeForm(AuthenticateForm):
    """A code, valid once. Wrong codes count towards the lockout like wrong passwords."""

    user: User
    authenticator: Authenticator

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs.update(autofocus=True, inputmode="numeric")

    def clean_code(self) -> str:
        """Return the code; raise ValidationError when it is wrong, was used, or the account is locked."""
        request, name = context.request, self.user.get_username()
        if not AxesProxyHandler.is_allowed(request, {"username": name}):
            request.axes_locked_out = True
            user_login_failed.send(__name__, credentials={"username": name}, request=request)
            until = lockout.find_end(name, get_client_address(request))
            raise ValidationError(translate(lockout.explain(until), gettext, str), code="locked_out")
        code: str = super().clean_code()
        if self.authenticator.type == Authenticator.Type.TOTP and not _use(self.authenticator, code):
            raise ValidationError(say("This code has been used. Wait for the next one."), code="used")
        return code


def _use(authenticator: Authenticator, code: str) -> bool:
    """Mark the code as used; False if it was used before, on any host. Blanks do not make another code."""
    code = normalize_user_code(code)
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
        used = row.data.get("used", [])
        if code in used:
            return False
        row.data["used"] = [*used, code][-REMEMBERED_CODES:]
        row.save(update_fields=["data"])
    return True


def is_on(user: User) -> bool:
    """Return whether the account has a second factor."""
    return Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()


def is_required(user: User) -> bool:
    """Return whether the account must have a second factor, as PORTAL_REQUIRE_SECOND_FACTOR says."""
    match settings.REQUIRE_SECOND_FACTOR:
        case "everyone":
            return True
        case "managers":
            return teams.may_change_all(user) or bool(read_grants(user).filter_least(Role.MANAGER))
    return False


def is_missing(request: HttpRequest) -> bool:
    """Return whether the session needs a second factor that whoever began it has not given."""
    if settings.REQUIRE_SECOND_FACTOR == "none" or not request.user.is_authenticated:
        return False
    methods = {record["method"] for record in get_authentication_records(request, request.user)}
    return not methods & SUFFICIENT and is_required(request.user)


def set_up(request: HttpRequest, form: ActivateTOTPForm) -> Authenticator | None:
    """Switch on the second factor of the request's user, with a valid form; return new recovery codes, if any.

    The code counts as used. This session has a second factor from now on; all other sessions end.
    """
    user = get_actor(request)
    with transaction.atomic():
        totp, recovery = activate_totp(request, form)
        _use(totp, form.cleaned_data["code"])
        sessions.end_other_sessions(request, user)
    record_authentication(request, user, "mfa")
    return recovery


def renew_recovery_codes(request: HttpRequest) -> Authenticator:
    """Replace the recovery codes of the request's user; all other sessions end."""
    with transaction.atomic():
        recovery = generate_recovery_codes(request)
        sessions.end_other_sessions(request, get_actor(request))
    return recovery


def switch_off(request: HttpRequest, totp: Authenticator) -> None:
    """Remove the second factor of the request's user; all other sessions end."""
    with transaction.atomic():
        deactivate_totp(request, totp)
        sessions.end_other_sessions(request, get_actor(request))


def reset(user: User) -> bool:
    """Remove the second factor and the recovery codes of an account, and end its sessions.

    Returns whether it had any.
    """
    with transaction.atomic():
        sessions.end_sessions(user)
        return bool(Authenticator.objects.filter(user=user).delete()[0])


class SecondFactorMiddleware:
    """Redirects a session without its required second factor to the set-up page; the API treats it as not signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve the request, or redirect it to the set-up page."""
        if not is_missing(request):
            return self.get_response(request)
        page = reverse("second_factor")
        if request.path in (page, reverse("admin:logout"), reverse("admin:jsi18n")):
            return self.get_response(request)
        if request.path_info.startswith("/v4"):
            request.user = AnonymousUser()
            return self.get_response(request)
        return HttpResponseRedirect(page)


@receiver(signals.authentication_failed)
def _record_failed(user: User, request: HttpRequest, **_: Any) -> None:
    """Count and record a wrong code like a wrong password."""
    credentials = {"username": user.get_username()}
    user_login_failed.send(
        __name__, credentials=credentials, request=request, reason=say("Wrong code of the second factor.")
    )


@receiver(post_save, sender=Authenticator)
def _record_added(instance: Authenticator, created: bool, **_: Any) -> None:
    if created:
        _record("added", instance)


@receiver(post_delete, sender=Authenticator)
def _record_removed(instance: Authenticator, **_: Any) -> None:
    _record("removed", instance)


@receiver(signals.authenticator_used)
def _record_used(authenticator: Authenticator, **_: Any) -> None:
    _record("used", authenticator)


def _record(what: str, authenticator: Authenticator) -> None:
    with override(None):  # the trail is in English, whatever language the page speaks
        details = {"type": str(authenticator.get_type_display())}
    subject = f"user {authenticator.user}"
    trail.record(f"second_factor.{what}", origin=get_current_origin(), subject=subject, details=details)
