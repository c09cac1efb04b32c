"""Signing in: the form for name and password, a new password, and the two addresses of each identity provider."""

from functools import partial
from http import HTTPStatus
from typing import Any

import requests
from allauth.account.utils import perform_login
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.conf import settings
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from autosubmit_portal.access.sign_in import cas, lockout
from autosubmit_portal.access.sign_in.admission import may_come_in
from autosubmit_portal.access.sign_in.providers import CAS, IdentityProvider
from autosubmit_portal.access.sign_in.refusals import SignInRefused, refuse_unavailable
from autosubmit_portal.access.sign_in.single_sign_on import find_offered, list_offered, make_provider
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin, get_client_address, make_origin
from autosubmit_portal.console.parts.presentation import translate
from autosubmit_portal.console.site import console
from autosubmit_portal.sentences import say


class SignInForm(AuthenticationForm):
    """Name and password of somebody who may see something here, or is invited; `is_staff` of Django means nothing."""

    request: HttpRequest

    def confirm_login_allowed(self, user: User) -> None:
        """Refuse, and record, an account that may see nothing."""
        super().confirm_login_allowed(user)
        if not may_come_in(self.request, user):
            reason = say("{user} may not see anything here yet. Ask a manager for a group or a team.", user=user)
            trail.record("sign_in.failed", origin=make_origin(self.request), subject=f"user {user}", message=reason)
            raise ValidationError(translate(reason), code="nothing_to_see")

    def get_invalid_login_error(self) -> ValidationError:
        """Say that the password was wrong, or how long the lockout lasts."""
        error = make_lockout_error(self.request, self.cleaned_data["username"]) or make_away_error(self.request)
        return error or super().get_invalid_login_error()


def make_away_error(request: HttpRequest) -> ValidationError | None:
    """Return the error for a password that may be right: its directory does not answer. None if it has answered."""
    name = getattr(request, "directory_is_away", "")
    text = gettext(
        "{name} does not answer as it should, and no local account has this name and password. Try again later."
    ).format(name=name)
    return ValidationError(text[:1].upper() + text[1:], code="away") if name else None


def make_lockout_error(request: HttpRequest, name: str) -> ValidationError | None:
    """Return the error for a locked-out name or address; None if it is not locked out."""
    if not getattr(request, "axes_locked_out", False):
        return None
    until = lockout.find_end(name, get_client_address(request))
    return ValidationError(translate(lockout.explain(until)), code="locked_out")


class SignInView(LoginView):
    """The form for name and password. Accounts with a second factor need its code before the session begins."""

    template_name = "admin/login.html"
    authentication_form = SignInForm

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in, or go to the page that asks for the code."""
        user = form.get_user()
        answer: HttpResponse = perform_login(
            self.request, user, email_verification="none", redirect_url=self.get_success_url()
        )
        return answer


@never_cache
def sign_in_page(request: HttpRequest) -> HttpResponseBase:
    """Show and take the form for name and password, and offer single sign-on where there is one."""
    if request.method == "POST" and not settings.PASSWORD_LOGIN:
        raise PermissionDenied
    return _find_first_page(request) or _make_form(request)


def _find_first_page(request: HttpRequest) -> HttpResponse | None:
    """Redirect a signed-in person to the first page."""
    is_in = request.method == "GET" and console.has_permission(request)
    return HttpResponseRedirect(reverse("admin:index")) if is_in else None


def _make_form(request: HttpRequest, **context: Any) -> HttpResponseBase:
    shown = {
        **console.each_context(request),
        "title": gettext("Sign in"),
        "app_path": request.get_full_path(),
        "username": request.user.get_username(),
        "providers": list_offered(),
        "password_login": settings.PASSWORD_LOGIN,
    }
    return SignInView.as_view(extra_context=shown | context)(request)


class PasswordForm(AdminPasswordChangeForm):
    """A new password for the user; a wrong old password counts like a failed sign-in."""

    user: User

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        """Return the old password; raise ValidationError when it is wrong, or guessed too often."""
        if not self.user.has_usable_password():
            raise ValidationError(
                gettext("This account has no password here. Change it where you have it from."), code="none"
            )
        name, password = self.user.get_username(), self.cleaned_data["old_password"]
        if authenticate(self.request, username=name, password=password) != self.user:
            wrong = ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
            raise make_lockout_error(self.request, name) or wrong
        return str(password)


def password_page(request: HttpRequest) -> HttpResponseBase:
    """Show and take the form for a new password."""
    view = PasswordChangeView.as_view(
        form_class=partial(PasswordForm, request),
        success_url=reverse("admin:password_change_done"),
        extra_context=console.each_context(request),
        template_name="registration/password_change_form.html",
    )
    return view(request)


@require_safe
@never_cache
def begin_single_sign_on(request: HttpRequest, key: str) -> HttpResponseBase:
    """Redirect the browser to the provider. Only `next` is read from the address, and only for our own host."""
    provider = find_offered(key)
    if provider is None:
        return HttpResponseRedirect(reverse("admin:login"))
    try:
        return make_provider(request, provider).begin(_read_next(request))
    except (requests.RequestException, OAuth2Error) as error:
        return show_refusal(request, refuse_unavailable(provider, error))


@csrf_exempt  # a CAS server says by POST who has signed out: only sessions end that began with the ticket it names
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def finish_single_sign_on(request: HttpRequest, key: str) -> HttpResponseBase:
    """Finish the sign-in of somebody who comes back from the provider, or show on the sign-in page why it failed."""
    provider = find_offered(key)
    if request.method == "POST":
        return _sign_out(request, provider)
    if provider is None:
        return HttpResponseRedirect(reverse("admin:login"))
    try:
        answer = make_provider(request, provider).finish()
    except SignInRefused as refusal:
        return show_refusal(request, refusal)
    except (requests.RequestException, OAuth2Error) as error:
        return show_refusal(request, refuse_unavailable(provider, error))
    if request.user.is_authenticated:
        request.session.set_expiry(settings.PROVIDER_SESSION)
    return answer


def _sign_out(request: HttpRequest, provider: IdentityProvider | None) -> HttpResponse:
    if not isinstance(provider, CAS):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    cas.sign_out(provider, request.POST.get("logoutRequest", ""))
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def show_refusal(request: HttpRequest, refusal: SignInRefused) -> HttpResponseBase:
    """Record the refusal and show it on the sign-in page; the first page to whoever is signed in."""
    origin = Origin(door=Door.ADMIN, address=get_client_address(request))
    trail.record("sign_in.failed", origin=origin, subject=refusal.subject, message=str(refusal))
    return _find_first_page(request) or _make_refusing_form(request, refusal)


def _make_refusing_form(request: HttpRequest, refusal: SignInRefused) -> HttpResponseBase:
    index = reverse("admin:index")
    address = f"{reverse('admin:login')}?{urlencode({'next': index})}"
    page = _make_form(request, refusal=translate(refusal), app_path=address, next=index)
    page.status_code = refusal.status
    return page


def _read_next(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else reverse("admin:index")
