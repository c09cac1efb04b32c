"""What people see when a request fails before a page is made: styled, in their language, and with a way back."""

import pytest
from django.test import Client

from tests.console.pages import text_of

pytestmark = pytest.mark.one_database
IN_SPANISH = {"Accept-Language": "es"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "is_guarded", "status", "words"), [(1, True, 403, "No aceptado"), (1_001, False, 400, "No entendido")]
)
def test_a_page_of_an_error_is_styled_speaks_the_language_and_leads_back(
    fields: int, is_guarded: bool, status: int, words: str
) -> None:
    client = Client(enforce_csrf_checks=is_guarded, headers=IN_SPANISH)
    answer = client.post("/login/", {f"field-{number}": "" for number in range(fields)})
    page = text_of(answer)
    assert answer.status_code == status
    assert f"<h1>{words}</h1>" in page
    assert '<html lang="es">' in page
    assert '<a href="/experiments/">' in page
    assert 'href="/static/portal/portal.css"' in page
