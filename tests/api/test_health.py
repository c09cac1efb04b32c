"""`GET /healthz`: what a load balancer and a monitor are told."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from autosubmit_portal.health import CHECKS
from experiments.models import Site
from tests.support import factories
from tests.support.in_process_host import InProcessHosts


@pytest.fixture
def well(site: Site) -> Site:
    """A portal in which every part is well."""
    factories.create_worker()
    Site.objects.update(mirrored_at=timezone.now(), autosubmit="/bin/true")
    return site


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_health_needs_no_sign_in(client: Any, well: Site, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (200, dict.fromkeys(CHECKS, "ok"))


def test_nobody_is_told_more_than_words(client: Any, well: Site) -> None:
    Site.objects.update(problem="The program /secret/place/autosubmit is missing.")
    assert set(client.get("/healthz").json().values()) == {"ok", "unhealthy"}


def test_health_is_answered_over_plain_http(client: Any, well: Site, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == 200
    assert client.get("/v4").status_code == 301


def test_our_own_gateway_is_told_of_a_new_site(
    client: Any, well: Site, hosts_here: InProcessHosts, settings: Any, tmp_path: Path
) -> None:
    settings.GATEWAY_DIRECTORY = settings.OWN_GATEWAY_DIRECTORY = tmp_path / "gateway"
    client.get("/healthz")
    assert not (tmp_path / "gateway").exists()  # what it knows it need not be told
    hosts_here.unlisted = {well.hosts.get().name}
    client.get("/healthz")
    known = json.loads((tmp_path / "gateway" / "hosts.json").read_text())["hosts"]
    assert well.hosts.get().name in known


def test_health_is_never_kept_by_a_cache(client: Any, well: Site) -> None:
    assert client.get("/healthz")["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("seconds", "refresh", "word"),
    [(29, 2, "ok"), (31, 2, "stale"), (99, 10, "ok"), (101, 10, "stale"), (None, 2, "stale")],
)
def test_health_knows_a_stale_mirror(client: Any, well: Site, seconds: int | None, refresh: int, word: str) -> None:
    at = None if seconds is None else timezone.now() - timedelta(seconds=seconds)
    Site.objects.update(mirrored_at=at, refresh_seconds=refresh)
    assert client.get("/healthz").json()["mirror"] == word


@pytest.mark.parametrize(("query", "status"), [("", 200), ("?strict=true", 503), ("?strict=false", 200)])
def test_what_fails_takes_nothing_off_while_people_can_read_but_alarms_a_monitor(
    client: Any, well: Site, query: str, status: int
) -> None:
    Site.objects.update(mirrored_at=None)
    assert client.get(f"/healthz{query}").status_code == status


def test_a_warning_alarms_nobody(client: Any, well: Site) -> None:
    factories.create_worker(queue="stray")
    answer = client.get("/healthz?strict=true")
    assert (answer.status_code, answer.json()["workers"]) == (200, "stray")


def test_a_dead_broker_is_told_but_takes_nothing_off(client: Any, well: Site, at_dead_redis: None) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["broker"]) == (200, "down")


def test_a_database_that_cannot_be_read_is_a_503(client: Any, db: None) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(refuse):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, dict.fromkeys(CHECKS, "unknown") | {"database": "down"})


@pytest.mark.parametrize("query", ["?strict=perhaps", "?loud=true"])
def test_a_parameter_that_is_none_is_refused(client: Any, well: Site, query: str) -> None:
    assert client.get(f"/healthz{query}").status_code == 400
