"""The two addresses of single sign-on: where it begins and where the provider sends people back to."""

import requests
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from autosubmit_portal.access.single_sign_on import CodeFlow, SignInRefused, is_offered, unavailable
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin, client_address


@require_safe
@never_cache
def begin(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider. Nothing of the address counts but `next`, and that only on our host."""
    if not is_offered():
        return HttpResponseRedirect(reverse("admin:login"))
    try:
        provider = CodeFlow(request).get_provider()
        answer: HttpResponse = provider.redirect(request, AuthProcess.LOGIN, next_url=_next(request))
    except (requests.RequestException, OAuth2Error):
        return refused(request, unavailable())
    return answer


@require_safe
@never_cache
def callback(request: HttpRequest) -> HttpResponse:
    """Take somebody who comes back from the provider; the sign-in page says why if that fails."""
    if not is_offered():
        return HttpResponseRedirect(reverse("admin:login"))
    try:
        answer: HttpResponse = OAuth2CallbackView.adapter_view(CodeFlow(request))(request)
    except SignInRefused as refusal:
        return refused(request, refusal)
    except (requests.RequestException, OAuth2Error):
        return refused(request, unavailable())
    if request.user.is_authenticated:
        request.session.set_expiry(settings.OIDC_SESSION_HOURS * 3600)
    return answer


def refused(request: HttpRequest, refusal: SignInRefused) -> HttpResponse:
    """Record the refusal and show it on the sign-in page."""
    from autosubmit_portal.admin.console import console

    origin = Origin(door=Door.ADMIN, address=client_address(request))
    trail.record("sign_in.failed", origin=origin, subject=refusal.subject, message=str(refusal))
    return console.sign_in_page(request, refusal=str(refusal), status=refusal.status)


def _next(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else reverse("admin:index")
