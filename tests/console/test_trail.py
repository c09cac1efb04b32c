"""The questions that the page of the trail answers."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from tests.console.pages import list_of, page_of, text_of
from tests.support import factories

ANA = Origin(door=Door.API, actor_name="ana", credential="API token ab12cd34 nightly")
FOR_BEN = replace(ANA, actor_name="eve", on_behalf_of="ben", credential="session")


@pytest.fixture
def entries(db: None) -> list[AuditEntry]:
    """What ana did, what was refused to her, and what eve did for ben."""
    return [
        trail.record("action.requested", origin=ANA, subject="a000", expid="a000"),
        trail.record("action.refused", origin=ANA, subject="a001", expid="a001"),
        trail.record("action.requested", origin=FOR_BEN, subject="a000", expid="a000"),
    ]


def listed(client: Client, entries: list[AuditEntry], **query: Any) -> list[int]:
    """Return the places of the entries that the list shows."""
    page = text_of(client.get(list_of("audit_auditentry"), query))
    return [place for place, entry in enumerate(entries) if page_of("audit_auditentry", entry.pk) in page]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ({"event": "refused"}, [1]),
        ({"credential": "API token ab12cd34 nightly"}, [0, 1]),
        ({"on_behalf_of": "ben"}, [2]),
        ({"expid": "a000", "period": "last_hour"}, [0, 2]),
        ({"expid": "a000", "period": "no such time"}, [0, 2]),
        ({"q": "ab12cd34"}, [0, 1]),
    ],
    ids=str,
)
def test_the_list_answers(
    as_manager: Client, entries: list[AuditEntry], query: dict[str, str], places: list[int]
) -> None:
    assert listed(as_manager, entries, **query) == places


def test_what_is_older_than_an_hour_is_not_of_the_last_hour(as_manager: Client) -> None:
    at = timezone.now() - timedelta(hours=2)
    entries = [AuditEntry.objects.create(event="x", door="api", at=at, subject="a000")]
    assert listed(as_manager, entries, period="last_hour") == []
    assert listed(as_manager, entries, period="last_24_hours") == [0]


def test_who_acted_for_whom_is_shown_in_list_and_page(as_manager: Client, entries: list[AuditEntry]) -> None:
    for address in (list_of("audit_auditentry"), page_of("audit_auditentry", entries[2].pk)):
        page = text_of(as_manager.get(address))
        assert 'actor_name=eve">eve</a> for <a href="' in page
        assert 'on_behalf_of=ben">ben</a>' in page


def test_a_token_leads_to_what_it_did_if_one_may_read_the_trail(
    as_admin: Client, as_operator: Client, admin_user: Any
) -> None:
    factories.create_token(admin_user, name="night & day")
    beginning = ApiToken.objects.get(name="night & day").token_key[:8]
    page = text_of(as_admin.get(list_of("access_apitoken")))
    assert f"?credential=API+token+{beginning}+night+%26+day" in page
    assert "?credential=" not in text_of(as_operator.get(list_of("access_apitoken")))
