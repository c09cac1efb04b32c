"""Sites."""

from collections.abc import Callable

from django.utils import timezone
from rest_framework.test import APIClient

from experiments.models import Host, Site
from tests.support import factories


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
    Site.objects.update(problem="The program is missing.", disabled_kinds=["create"], mirrored_at=timezone.now())
    shown = as_viewer.get("/v4/sites/local").json()
    assert (shown["is_healthy"], shown["problem"]) == (False, "The program is missing.")
    assert shown["is_mirror_fresh"]
    assert "create" not in shown["enabled_kinds"]


def test_a_site_shows_its_hosts_in_their_order(as_viewer: APIClient, site: Site) -> None:
    site.hosts.update(position=1, node="node1.example.org", refused=["run"], rules_asked_at=timezone.now())
    Host.objects.create(site=site, name="first")
    first, second = as_viewer.get("/v4/sites/local").json()["hosts"]
    assert first == {"name": "first", "node": None, "refused": [], "rules_asked_at": None}
    assert (second["name"], second["node"], second["refused"]) == ("local", "node1.example.org", ["run"])


def test_a_site_keeps_its_paths_to_itself(as_viewer: APIClient, site: Site) -> None:
    assert {"home", "autosubmit", "configuration"}.isdisjoint(as_viewer.get("/v4/sites/local").json())


def test_an_unknown_site_is_not_found(as_viewer: APIClient) -> None:
    assert as_viewer.get("/v4/sites/nowhere").status_code == 404


def test_who_may_not_look_is_told_what_is_missing(api: Callable[..., APIClient], site: Site) -> None:
    answer = api(factories.create_user()).get("/v4/sites")
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.view_site")
