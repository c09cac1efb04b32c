"""Sites, and the health of the portal."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.api import health
from experiments.models import Site
from tests import factories


def test_sites_come_by_name(as_viewer: APIClient, site: Site) -> None:
    factories.create_site(slug="elsewhere")
    answer = as_viewer.get("/v4/sites").json()
    assert [item["slug"] for item in answer["results"]] == ["elsewhere", "local"]
    assert (answer["next"], answer["previous"]) == (None, None)


def test_pages_of_sites_lead_to_each_other(as_viewer: APIClient, site: Site) -> None:
    factories.create_site(slug="elsewhere")
    first = as_viewer.get("/v4/sites?page_size=1").json()
    assert [item["slug"] for item in as_viewer.get(first["next"]).json()["results"]] == ["local"]


def test_a_site_shows_its_health(as_viewer: APIClient, site: Site) -> None:
    Site.objects.update(
        problem="The program is missing.", disabled_kinds=["create"], mirrored_at=timezone.now()
    )
    shown = as_viewer.get("/v4/sites/local").json()
    assert (shown["is_healthy"], shown["problem"]) == (False, "The program is missing.")
    assert shown["is_mirror_fresh"]
    assert "create" not in shown["enabled_kinds"]


def test_a_site_keeps_its_paths_to_itself(as_viewer: APIClient, site: Site) -> None:
    assert {"home", "autosubmit", "configuration"}.isdisjoint(as_viewer.get("/v4/sites/local").json())


def test_an_unknown_site_is_not_found(as_viewer: APIClient) -> None:
    assert as_viewer.get("/v4/sites/nowhere").status_code == 404


def test_who_may_not_look_is_told_what_is_missing(api: Callable[..., APIClient], site: Site) -> None:
    answer = api(factories.create_user()).get("/v4/sites")
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.view_site")


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_health_needs_no_sign_in(client: Any, site: Site, path: str) -> None:
    Site.objects.update(mirrored_at=timezone.now())
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "mirror": "ok", "broker": "ok"})


def test_health_is_answered_over_plain_http(client: Any, site: Site, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == 503
    assert client.get("/v4").status_code == 301


@pytest.mark.parametrize(
    ("seconds", "refresh", "status"),
    [(29, 2, 200), (31, 2, 503), (99, 10, 200), (101, 10, 503), (None, 2, 503)],
)
def test_health_knows_a_stale_mirror(
    client: Any, site: Site, seconds: int | None, refresh: int, status: int
) -> None:
    at = None if seconds is None else timezone.now() - timedelta(seconds=seconds)
    Site.objects.update(mirrored_at=at, refresh_seconds=refresh)
    assert client.get("/healthz").status_code == status


def test_health_knows_a_dead_database(client: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", fail)
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["database"]) == (503, "down")


def test_a_dead_broker_is_told_but_takes_nothing_off(
    client: Any, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ConnectionError

    monkeypatch.setattr(health, "get_broker", fail)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["broker"]) == (200, "down")
