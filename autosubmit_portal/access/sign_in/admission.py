"""Which accounts may sign in."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.models import User
from django.http import HttpRequest

from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.sign_in.invited import find_opened
from autosubmit_portal.access.sign_in.provision import provide_at_sign_in
from autosubmit_portal.access.sign_in.refusals import SignInRefused
from autosubmit_portal.sentences import say


def may_come_in(request: HttpRequest, user: User) -> bool:
    """Return whether an account may sign in: one that may see something, or that somebody has invited.

    An invitation lets nobody in whom a provider refuses, and makes no account: it is worth a role.
    """
    return policy.may_enter(user) or find_opened(request) is not None


class AccountAdapter(DefaultAccountAdapter):
    """What allauth asks about accounts."""

    def pre_login(  # type: ignore[override] # our accounts are those of Django
        self, request: HttpRequest, user: User, *, signal_kwargs: dict[str, Any] | None, **hook: Any
    ) -> None:
        """Give the account what the provider grants; raise SignInRefused if it is closed or may not see anything."""
        if not user.is_active:
            raise SignInRefused(say("The account “{user}” is closed.", user=user), subject=f"user {user}")
        login = (signal_kwargs or {}).get("sociallogin")
        if login is None:
            return  # the form for name and password has looked at the account
        provide_at_sign_in(login.account, login.person)
        if login.person.refusal:
            raise SignInRefused(login.person.refusal, subject=f"user {user}")
        if not may_come_in(request, User.objects.get(pk=user.pk)):
            reason = say("{user} may not see anything here yet. Ask a manager for a role.", user=user)
            raise SignInRefused(reason, subject=f"user {user}")

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Show nothing: the page says who is signed in."""
