"""Hostile text in every column that holds text, on every page of the console.

Columns and pages are those of the models and of the URL configuration: a new one is covered by being there.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import models
from django.test import Client
from django.utils import timezone

from autosubmit_portal.audit.models import AuditEntry
from tests.console.pages import text_of
from tests.support import factories
from tests.test_queries import address_of, create_rows, routes

TAG = "<script>pwned()</script>"
APPS = ("experiments", "jobs", "access", "workers")
# Names of things that pages look up: another value leads nowhere.
KEPT = {"kind", "state", "status", "expid", "slug", "digest", "token_key", "queue", "door", "action"}
PAGES = [route for route in routes() if not route.startswith(("v4", "healthz", "metrics"))]


def texts_of(model: type[models.Model]) -> Iterator[tuple[str, str]]:
    """Yield each column of free text and a hostile text that fits into it."""
    for field in model._meta.concrete_fields:
        if isinstance(field, models.CharField | models.TextField) and not (field.choices or field.name in KEPT):
            yield field.attname, TAG[: field.max_length or len(TAG)]


@pytest.fixture(scope="module")
def hostile(module_db: None) -> User:
    """Somebody who may see everything. There is one row of everything, with hostile text wherever text fits."""
    admin = factories.create_user(is_superuser=True, is_staff=True)
    create_rows(admin)
    for model in (model for label in APPS for model in apps.get_app_config(label).get_models()):
        texts: dict[str, Any] = dict(texts_of(model))
        for name in [name for name in texts if name.endswith("_by_name")]:
            texts[name.replace("_by_name", "_at")] = timezone.now()  # by whom comes with when
        if texts and model._meta.managed:
            models.QuerySet(model).update(**texts)
    AuditEntry.objects.create(**dict(texts_of(AuditEntry)), expid="a000", details={TAG: TAG})
    return admin


def is_no_page(answer: Any) -> bool:
    """Answer whether a browser takes an answer for nothing but JSON, whatever is in it."""
    return (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("application/json", "nosniff")


@pytest.mark.parametrize("route", PAGES)
def test_no_page_shows_hostile_text_as_a_part_of_itself(client: Client, db: None, hostile: User, route: str) -> None:
    client.force_login(hostile)
    answer: Any = client.get(address_of(route))
    page = b"".join(answer).decode() if answer.streaming else text_of(answer)
    assert answer.status_code < 500
    assert TAG not in page or is_no_page(answer)


def test_hostile_text_is_shown_as_text(client: Client, db: None, hostile: User) -> None:
    client.force_login(hostile)
    assert "&lt;script&gt;pwned()&lt;/script&gt;" in text_of(client.get("/"))
