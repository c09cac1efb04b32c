"""The pages of the second factor: to give a code at the sign-in, and to set the factor up, renew it or remove it."""

from typing import Any

from allauth.account.internal.decorators import login_stage_required
from allauth.mfa.models import Authenticator
from allauth.mfa.stages import AuthenticateStage
from allauth.mfa.totp.forms import ActivateTOTPForm
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from autosubmit_portal.access.sign_in import second_factor
from autosubmit_portal.access.sign_in.second_factor import Adapter, CodeForm
from autosubmit_portal.audit.origin import get_actor
from autosubmit_portal.console.site import console

# In the session: the recovery codes that its next page shows.
NEW_CODES = "new_recovery_codes"
both = require_http_methods(["GET", "HEAD", "POST"])


@both
@sensitive_post_parameters("code")
@login_stage_required(  # type: ignore[untyped-decorator] # allauth has no types
    stage=AuthenticateStage.key, redirect_urlname="admin:login"
)
def ask_for_code(request: HttpRequest) -> HttpResponse:
    """Ask for a code after a correct password, and sign in when it is correct."""
    stage = request._login_stage  # type: ignore[attr-defined] # set by the decorator
    form = CodeForm(request.POST if request.method == "POST" else None, user=stage.login.user)
    if form.is_bound and form.is_valid():
        form.save()
        answer: HttpResponse = stage.exit()
        return answer
    return _render_page(request, "code", form=form, title=gettext("Sign in"))


@both
@never_cache
@sensitive_post_parameters("code")
@login_required
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """Show the second factor of the user's account, with forms to set it up, renew or remove it."""
    user = get_actor(request)
    if not user.has_usable_password():
        return _render_page(request, "second_factor", is_elsewhere=True)
    if not second_factor.is_on(user):
        return _set_up(request, user)
    if second_factor.is_missing(request):  # this session is older than the factor
        logout(request)
        return HttpResponseRedirect(reverse("admin:login"))
    return _manage(request)


def _set_up(request: HttpRequest, user: User) -> HttpResponse:
    form = ActivateTOTPForm(request.POST if request.method == "POST" else None, user=user)
    if form.is_bound and form.is_valid():
        return _show_codes_next(request, second_factor.set_up(request, form))
    adapter = Adapter()
    drawing = adapter.build_totp_svg(adapter.build_totp_url(user, form.secret))
    is_required = second_factor.is_required(user)
    # The drawing is made of the secret and the names that allauth quotes into an address.
    safe = mark_safe(drawing)  # noqa: S308
    return _render_page(request, "second_factor", form=form, drawing=safe, is_required=is_required)


def _manage(request: HttpRequest) -> HttpResponse:
    new = request.session.pop(NEW_CODES, None) if request.method == "GET" else None
    recovery = Authenticator.objects.filter(user=request.user, pk=new).first() if new else None
    if recovery:
        return _render_page(request, "second_factor", codes=recovery.wrap().get_unused_codes())
    rows = {row.type: row for row in Authenticator.objects.filter(user=request.user)}
    form = CodeForm(request.POST if request.method == "POST" else None, user=request.user)
    if form.is_bound and form.is_valid():
        form.save()
        if "renew" in request.POST:
            return _show_codes_next(request, second_factor.renew_recovery_codes(request))
        second_factor.switch_off(request, rows[Authenticator.Type.TOTP])
        return HttpResponseRedirect(reverse("second_factor"))
    recovery = rows.get(Authenticator.Type.RECOVERY_CODES)
    left = len(recovery.wrap().get_unused_codes()) if recovery else 0
    context = {"factor": rows[Authenticator.Type.TOTP], "codes_left": left}
    return _render_page(request, "second_factor", form=form, **context)


def _show_codes_next(request: HttpRequest, recovery: Authenticator | None) -> HttpResponse:
    """Lead to the page that shows new recovery codes once."""
    if recovery:
        request.session[NEW_CODES] = recovery.pk
    return HttpResponseRedirect(reverse("second_factor"))


def _render_page(request: HttpRequest, name: str, **context: Any) -> HttpResponse:
    shared = {**console.each_context(request), "title": gettext("Second factor")}
    answer = TemplateResponse(request, f"admin/portal/{name}.html", shared | context)
    answer["Cache-Control"] = "no-store"
    return answer
