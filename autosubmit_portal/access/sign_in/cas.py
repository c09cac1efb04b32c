"""Sign-in through a server of the CAS protocol, version 3: a ticket for our address, good once, and single sign-out."""

import re
from hashlib import sha256
from itertools import islice
from urllib.parse import urlencode

import requests
from allauth.socialaccount.helpers import complete_social_login
from allauth.socialaccount.internal.statekit import unstash_state
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from autosubmit_portal.access import sessions
from autosubmit_portal.access.models import ServiceTicket
from autosubmit_portal.access.sign_in.cas_answers import (
    InvalidAnswer,
    Success,
    TicketRefused,
    read_answer,
    read_ended_ticket,
)
from autosubmit_portal.access.sign_in.claims import get_values
from autosubmit_portal.access.sign_in.providers import CAS, Person, is_subject
from autosubmit_portal.access.sign_in.refusals import SignInRefused, refuse_expired, refuse_unavailable
from autosubmit_portal.access.sign_in.social import SocialProvider, make_callback_address
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import get_actor, get_current_origin
from autosubmit_portal.sentences import say

TICKET = re.compile(r"ST-[!-~]{1,253}")  # no proxy ticket: what a program got for somebody
SECONDS = 5
LONGEST_ANSWER, CHUNK = 2**20, 2**16
LONGEST_SIGN_OUT = 10_000
SESSION_KEY = "service_ticket"
# Of a ticket that the server does not take, whoever brings it.
NOT_TAKEN = ("INVALID_TICKET", "INVALID_TICKET_SPEC", "INVALID_SERVICE")


class CASServer(SocialProvider):
    """The CAS server of the settings."""

    id = "cas"
    provider: CAS

    def begin(self, next_url: str) -> HttpResponse:
        """Send the browser to the server, which gives a ticket for our address: that of this sign-in, by its state."""
        state = self.stash_redirect_state(self.request, AuthProcess.LOGIN, next_url)
        return HttpResponseRedirect(self._make_address("login", service=self._make_service(state)))

    def finish(self) -> HttpResponse:
        """Sign in whoever comes back with a ticket; raise SignInRefused."""
        state_id, ticket = self.request.GET.get("state", ""), self.request.GET.get("ticket", "")
        state = unstash_state(self.request, provider_id=self.sub_id, state_id=state_id)
        if state is None:
            raise refuse_expired()
        login = self.make_login(self._ask_about(ticket, state_id))
        login.state = state
        answer: HttpResponse = complete_social_login(self.request, login)
        if self.request.user.is_authenticated:
            _remember(self.request, ticket)
        return answer

    def _ask_about(self, ticket: str, state_id: str) -> Person:
        """Return whom the server gave the ticket to, for this sign-in and no other; raise SignInRefused."""
        if not TICKET.fullmatch(ticket):
            raise SignInRefused(say("{name}: the sign-in was cancelled.", name=self.provider.name), status=401)
        address = self._make_address("p3/serviceValidate", service=self._make_service(state_id), ticket=ticket)
        try:
            return self._read_person(read_answer(_fetch(address)))
        except TicketRefused as refusal:
            if str(refusal) not in NOT_TAKEN:
                raise refuse_unavailable(self.provider, refusal) from refusal
            text = say("{name} does not accept the ticket of this sign-in. Begin again.", name=self.provider.name)
            raise SignInRefused(text, status=401) from refusal
        except (InvalidAnswer, requests.RequestException) as error:
            raise refuse_unavailable(self.provider, error) from error

    def _read_person(self, told: Success) -> Person:
        subject = told.get_first(self.provider.subject) if self.provider.subject else told.name
        if not is_subject(subject):
            raise InvalidAnswer(f"It does not say who somebody is: {self.provider.subject or 'user'}.")
        _require_same_writing(self.provider, subject)
        return Person(
            provider=self.provider,
            subject=subject,
            told_at=timezone.now(),
            values=get_values(told.attributes, self.provider.claims),
            username=told.name,
            full_name=told.get_first("displayName", "cn"),
            first_name=told.get_first("givenName"),
            last_name=told.get_first("sn"),
            email=told.get_first("mail", "email"),
        )

    def _make_service(self, state_id: str) -> str:
        return f"{make_callback_address(self.request, self.provider)}?{urlencode({'state': state_id})}"

    def _make_address(self, path: str, **parameters: str) -> str:
        return f"{self.provider.address.rstrip('/')}/{path}?{urlencode(parameters)}"


def sign_out(provider: CAS, text: str) -> None:
    """End the sessions of a ticket, as the server asks; whoever knows no ticket that is in use changes nothing."""
    try:
        ticket = read_ended_ticket(text[:LONGEST_SIGN_OUT])
    except InvalidAnswer:
        return
    digest = _compute_digest(ticket)
    row = ServiceTicket.objects.filter(digest=digest).select_related("user").first()
    if row:
        sessions.end_sessions(row.user, marked={SESSION_KEY: digest})
        row.delete()
        message = say("Signed out at {provider}.", provider=provider.name)
        trail.record("sign_in.ended", origin=get_current_origin(), subject=f"user {row.user}", message=message)


def _remember(request: HttpRequest, ticket: str) -> None:
    """Note by which ticket the session began. Those of sessions that have ended by themselves are forgotten."""
    ServiceTicket.objects.filter(taken_at__lt=timezone.now() - settings.PROVIDER_SESSION).delete()
    digest = _compute_digest(ticket)
    ServiceTicket.objects.update_or_create(digest=digest, defaults={"user": get_actor(request)})
    request.session[SESSION_KEY] = digest


def _compute_digest(ticket: str) -> str:
    return sha256(ticket.encode()).hexdigest()


def _require_same_writing(provider: CAS, subject: str) -> None:
    """Refuse a name that differs from a known one in capitals only: most servers take both for the same person."""
    known = SocialAccount.objects.filter(provider=provider.source, uid__iexact=subject).exclude(uid=subject).first()
    if known:
        text = say(
            "At {provider} you are “{uid}” here, in this writing. Sign out there, and begin again so.",
            provider=provider.name,
            uid=known.uid,
        )
        raise SignInRefused(text)


def _fetch(address: str) -> bytes:
    with requests.get(address, timeout=SECONDS, allow_redirects=False, stream=True) as answer:
        answer.raise_for_status()
        content = b"".join(islice(answer.iter_content(CHUNK), LONGEST_ANSWER // CHUNK + 1))
    if answer.status_code != requests.codes.ok or len(content) > LONGEST_ANSWER:
        raise InvalidAnswer("It is a redirect, or too long.")
    return content
