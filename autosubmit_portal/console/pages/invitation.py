"""An invitation into a team: its link is opened, and whoever has signed in or makes an account joins.

The secret of a link stands behind its `#`. Browsers send that to nobody, so that no log, proxy or preview of a message
has it; a script of the page puts it into a form. From then on the session knows which invitation is meant.
"""

from typing import TYPE_CHECKING, Any

from allauth.account.utils import perform_login
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts
from django.contrib.auth.signals import user_login_failed
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from autosubmit_portal.access.models import Invitation
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.invitations import (
    AlreadyMember,
    NotInvited,
    find_role,
    join,
    may_bring_new_account,
)
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in import invited
from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console.pages.sign_in import make_lockout_error
from autosubmit_portal.console.site import console
from autosubmit_portal.sentences import say

if TYPE_CHECKING:
    _Creation = UserCreationForm[User]
else:
    _Creation = UserCreationForm

REFUSALS = (NotInvited, AlreadyMember, policy.Forbidden)


class NewAccountForm(_Creation):
    """The name and the password of a new account. A name that is taken counts like a wrong password."""

    def __init__(self, request: HttpRequest, data: Any = None) -> None:
        super().__init__(data)
        self.request: Any = request
        self.fields["username"].label = gettext("Name of the account")
        self.fields["username"].widget.attrs.pop("autofocus", None)
        self.fields["password1"].help_text = " ".join(password_validators_help_texts())

    def clean_username(self) -> str:
        """Return the name; refuse one that is taken. Nobody learns many names here: that leads to a lockout."""
        name: str = self.cleaned_data["username"]
        if not AxesProxyHandler.is_allowed(self.request, {"username": name}):
            self.request.axes_locked_out = True
        else:
            super().clean_username()
        if self.has_error("username"):
            reason = say("An account of this name was to be made, but there is one.")
            user_login_failed.send(__name__, credentials={"username": name}, request=self.request, reason=reason)
        error = make_lockout_error(self.request, name)
        if error:
            raise error
        return name


def make_link(request: HttpRequest, secret: str) -> str:
    """Return the link of an invitation, to be sent to somebody."""
    return f"{request.build_absolute_uri(reverse('admin:invitation'))}#{secret}"


@sensitive_post_parameters("link")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation_page(request: HttpRequest) -> HttpResponse:
    """Show the invitation whose link was opened in this browser; take a link."""
    if request.method == "POST":
        holds = invited.open_invitation(request, request.POST.get("link", ""))
        return _go_back() if holds else _render(request, {"is_over": True}, status=404)
    invitation = invited.find_opened(request)
    if invitation:
        return _show(request, invitation)
    is_over = invited.has_opened(request)
    return _render(request, {"is_over": is_over}, status=404 if is_over else 200)


@require_POST
def join_page(request: HttpRequest) -> HttpResponse:
    """Let whoever is signed in join; the page of the invitation says why that is not possible."""
    invitation = invited.find_opened(request)
    if invitation is None or not request.user.is_authenticated:
        return _go_back()
    try:
        join(invitation, get_actor(request), origin=make_origin(request))
    except (*REFUSALS, IntegrityError):  # somebody may have added them meanwhile
        return _go_back()
    return HttpResponseRedirect(_welcome(request, invitation))


@sensitive_post_parameters("password1", "password2")
@require_POST
def account_page(request: HttpRequest) -> HttpResponse:
    """Make an account that joins, and sign in with it."""
    invitation = invited.find_opened(request)
    if invitation is None or request.user.is_authenticated or not may_bring_new_account(invitation.inviter):
        return _go_back()
    form = NewAccountForm(request, request.POST)
    if not form.is_valid():
        return _show(request, invitation, form)
    account: User = form.save(commit=False)
    try:
        join(invitation, account, origin=make_origin(request))
    except REFUSALS:
        return _go_back()
    except IntegrityError:  # somebody else has taken the name meanwhile
        return _show(request, invitation, NewAccountForm(request, request.POST))
    address = _welcome(request, invitation)
    answer: HttpResponse = perform_login(request, account, email_verification="none", redirect_url=address)
    return answer


def _welcome(request: HttpRequest, invitation: Invitation) -> str:
    """Say to somebody who has joined what they are now; return the address of the team."""
    invited.forget_opened(request)
    said = gettext("You are {role} of {team} now.")
    messages.success(request, said.format(role=invitation.get_role_display().lower(), team=invitation.team.name))
    return reverse("admin:access_team_change", args=[invitation.team])


def _go_back() -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:invitation"))


def _show(request: HttpRequest, invitation: Invitation, form: NewAccountForm | None = None) -> HttpResponse:
    is_in, inviter = request.user.is_authenticated, invitation.inviter
    may_make = not is_in and may_bring_new_account(inviter)
    about = {
        "invitation": invitation,
        # Anybody may be called anything; the name of the account is one person's.
        "inviter": f"{inviter.get_full_name()} ({inviter})" if inviter.get_full_name() else str(inviter),
        "role": Role(invitation.role),
        "held": find_role(invitation.team, request.user) if is_in else None,
        "form": (form or NewAccountForm(request)) if may_make else None,
        "makes_accounts": bool(settings.PROVIDERS),
    }
    return _render(request, about)


def _render(request: HttpRequest, about: dict[str, Any], status: int = 200) -> HttpResponse:
    """Answer the page. It is the same one for all invitations that do not hold, whatever the reason."""
    context = {**console.each_context(request), "title": gettext("Invitation"), **about}
    answer = TemplateResponse(request, "admin/portal/invitation.html", context, status=status)
    answer["Cache-Control"] = "no-store"
    return answer
