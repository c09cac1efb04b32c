"""Sites."""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.gateway.caller import NoGateway
from experiments.models import Host, Site
from tests.support import factories
from tests.support.in_process_host import InProcessHosts


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
    assert (first["name"], first["node"], first["refused"], first["rules_asked_at"]) == ("first", None, [], None)
    assert (second["name"], second["node"], second["refused"]) == ("local", "node1.example.org", ["run"])
    assert (first["position"], second["position"]) == (0, 1)


@pytest.fixture
def silent(site: Site, hosts_here: InProcessHosts) -> Host:
    host = Host.objects.create(site=site, name="second", position=1)
    hosts_here.away[host.name] = "The link is down."
    return host


def see(client: APIClient, host: str) -> dict[str, Any]:
    return next(found for found in client.get("/v4/sites/local").json()["hosts"] if found["name"] == host)


def say_empty(client: APIClient, **body: str) -> Any:
    return client.post("/v4/sites/local/call-empty", body, format="json")


def test_a_site_shows_which_of_its_hosts_answer_and_how_they_are_reached(as_viewer: APIClient, silent: Host) -> None:
    there, away = see(as_viewer, "local"), see(as_viewer, "second")
    assert (there["channel"], there["is_connected"], there["silent_since"]) == ("local", True, None)
    assert (away["is_connected"], away["silent_since"] is None, away["may_hide_run"]) == (False, False, True)
    assert away["reason"].endswith("The link is down.")


def test_a_site_says_of_its_hosts_that_nobody_knows_where_no_gateway_answers(
    as_viewer: APIClient, site: Site, hosts_here: InProcessHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts_here, "list_hosts", Mock(side_effect=NoGateway("The gateway cannot be reached.")))
    host = see(as_viewer, "local")
    assert (host["channel"], host["is_connected"], host["may_hide_run"]) == (None, None, False)
    assert host["reason"] == "The gateway cannot be reached."


def test_a_manager_says_that_nothing_runs_at_a_silent_host(as_manager: APIClient, silent: Host) -> None:
    answer = say_empty(as_manager, host="second", reason="It has no power.")
    told = answer.json()["hosts"][1]
    assert (answer.status_code, told["may_hide_run"], told["called_empty_at"] is None) == (200, False, False)
    entry = AuditEntry.objects.get(event="host.called_empty")
    assert (entry.subject, entry.message, entry.door) == ("host second", "It has no power.", "api")


def test_it_is_not_said_without_a_reason_or_of_a_host_that_is_there_or_unknown(
    as_manager: APIClient, silent: Host
) -> None:
    assert "reason" in say_empty(as_manager, host="second").json()["errors"]
    assert say_empty(as_manager, host="local", reason="Hm.").status_code == 409
    unknown = say_empty(as_manager, host="third", reason="Hm.").json()
    assert unknown["errors"] == {"host": ["“third” is not a host of local. Legal: local, second."]}


def test_an_operator_does_not_say_it_and_is_not_offered_to(as_operator: APIClient, silent: Host) -> None:
    answer = say_empty(as_operator, host="second", reason="Hm.")
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.call_action_lost")
    assert AuditEntry.objects.filter(event="host.call_empty_refused").exists()
    assert "call-empty" not in as_operator.get("/v4/sites/local", HTTP_ACCEPT="text/html").content.decode()


def test_the_page_of_a_site_offers_it_to_managers_while_a_host_is_silent(
    as_manager: APIClient, silent: Host, hosts_here: InProcessHosts
) -> None:
    form = 'action="/v4/sites/local/call-empty'
    assert form in as_manager.get("/v4/sites/local", HTTP_ACCEPT="text/html").content.decode()
    hosts_here.away.clear()
    assert form not in as_manager.get("/v4/sites/local", HTTP_ACCEPT="text/html").content.decode()


def test_a_site_keeps_its_paths_to_itself(as_viewer: APIClient, site: Site) -> None:
    assert {"home", "autosubmit", "configuration"}.isdisjoint(as_viewer.get("/v4/sites/local").json())


def test_an_unknown_site_is_not_found(as_viewer: APIClient) -> None:
    assert as_viewer.get("/v4/sites/nowhere").status_code == 404


def test_who_may_not_look_is_told_what_is_missing(api: Callable[..., APIClient], site: Site) -> None:
    answer = api(factories.create_user()).get("/v4/sites")
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.view_site")
