"""What a server of the CAS protocol (version 3) writes: who a ticket is for, and who has signed out.

Its XML is read without document types: entities, and with them bombs and files of this host, are refused.
"""

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

CAS = "{http://www.yale.edu/tp/cas}"
SAML = "{urn:oasis:names:tc:SAML:2.0:protocol}"


class InvalidAnswer(Exception):
    """This is no answer of the protocol; the text says why."""


class TicketRefused(Exception):
    """The server knows no such ticket for this service; the text is the code of the protocol."""


@dataclass(frozen=True, slots=True)
class Success:
    """Whom a ticket is for: the name, and the values of each attribute."""

    name: str
    attributes: dict[str, list[str]] = field(default_factory=dict)

    def get_first(self, *names: str) -> str:
        """Return the first value of the first of these attributes that has one, blank without any."""
        return next((values[0] for name in names for values in [self.attributes.get(name)] if values), "")


def read_answer(content: bytes) -> Success:
    """Return whom the ticket is for; raise TicketRefused or InvalidAnswer."""
    parts = list(_parse(content, f"{CAS}serviceResponse"))
    if len(parts) != 1:
        raise InvalidAnswer("It has not exactly one part.")
    part = parts[0]
    if part.tag == f"{CAS}authenticationFailure":
        raise TicketRefused(part.get("code", "")[:100])
    names = [_read_text(found) for found in part.findall(f"{CAS}user")]
    if part.tag != f"{CAS}authenticationSuccess" or len(names) != 1:
        raise InvalidAnswer("It names nobody, or several.")
    return Success(names[0], _read_attributes(part))


def read_ended_ticket(text: str) -> str:
    """Return the ticket of a session that has ended at the server; raise InvalidAnswer."""
    tickets = _parse(text.encode(), f"{SAML}LogoutRequest").findall(f"{SAML}SessionIndex")
    if len(tickets) != 1:
        raise InvalidAnswer("It names no session, or several.")
    return _read_text(tickets[0])


def _parse(content: bytes, tag: str) -> Element:
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise InvalidAnswer(f"It cannot be read: {error!r}") from error
    if root.tag != tag:
        raise InvalidAnswer("It is something else.")
    return root


def _read_attributes(part: Element) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for attributes in part.findall(f"{CAS}attributes"):
        for attribute in attributes:
            found.setdefault(attribute.tag.removeprefix(CAS), []).append(_read_text(attribute))
    return found


def _read_text(element: Element) -> str:
    """Return the whole text: a comment inside does not cut it."""
    return "".join(element.itertext()).strip()
