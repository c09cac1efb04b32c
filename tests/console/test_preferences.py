"""What people prefer at the console, and what is the same for everybody."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from autosubmit_portal.access.models import Preferences
from autosubmit_portal.access.preferences import find_preferences, get_time_zone, set_preferences
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Experiment
from tests.console.pages import text_of
from tests.support import factories

pytestmark = pytest.mark.django_db
PAGE = "/preferences/"


def test_somebody_chooses_a_time_zone_and_a_language(as_viewer: Client, viewer: User) -> None:
    answer = as_viewer.post(PAGE, {"time_zone": "Europe/Madrid", "language": "es"})
    kept = Preferences.objects.get()
    assert (answer.status_code, kept.user, kept.time_zone, kept.language) == (302, viewer, "Europe/Madrid", "es")


def test_somebody_goes_back_to_what_everybody_has(as_viewer: Client, viewer: User) -> None:
    set_preferences(viewer, time_zone="Asia/Tokyo", language="es")
    as_viewer.post(PAGE, {"time_zone": "", "language": ""})
    assert Preferences.objects.values_list("time_zone", "language").get() == ("", "")


def test_the_page_shows_what_is_kept(as_viewer: Client, viewer: User) -> None:
    set_preferences(viewer, time_zone="Asia/Tokyo", language="en")
    shown = text_of(as_viewer.get(PAGE))
    assert 'value="Asia/Tokyo"' in shown
    assert '<option value="en" selected>' in shown


@pytest.mark.parametrize(
    "name",
    ["Nowhere/City", "../../etc/passwd", "/etc/localtime", "Etc/GMT+5", "localtime", "UTC\x00", "x" * 65, "<b>UTC</b>"],
)
def test_a_name_that_is_no_zone_is_refused_at_its_field(as_viewer: Client, name: str) -> None:
    answer = as_viewer.post(PAGE, {"time_zone": name, "language": ""})
    assert list(answer.context["form"].errors) == ["time_zone"]
    assert "<b>UTC" not in text_of(answer)
    assert not Preferences.objects.exists()


def test_a_language_that_the_portal_does_not_speak_is_refused_at_its_field(as_viewer: Client) -> None:
    answer = as_viewer.post(PAGE, {"time_zone": "", "language": "xx"})
    assert list(answer.context["form"].errors) == ["language"]


def test_a_zone_that_this_host_no_longer_knows_is_that_of_the_portal(viewer: User, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Helsinki"
    set_preferences(viewer, time_zone="Mars/Olympus", language="")
    assert str(get_time_zone(find_preferences(viewer))) == "Europe/Helsinki"


def test_a_page_is_in_the_language_of_its_reader(as_viewer: Client, viewer: User) -> None:
    set_preferences(viewer, time_zone="", language="es")
    answer = as_viewer.get("/", headers={"accept-language": "en"})
    assert answer["Content-Language"] == "es"
    assert '<html lang="es"' in text_of(answer)


def test_a_page_is_in_the_language_that_the_browser_asks_for(as_viewer: Client, client: Client) -> None:
    for somebody in (as_viewer, client):
        answer = somebody.get(reverse("admin:login"), headers={"accept-language": "es-ES,es;q=0.9"}, follow=True)
        assert '<html lang="es"' in text_of(answer)


def test_a_page_is_in_english_for_a_browser_with_a_language_that_nobody_translated(as_viewer: Client) -> None:
    assert '<html lang="en"' in text_of(as_viewer.get("/", headers={"accept-language": "fi"}))


def test_the_next_request_is_in_nobodys_zone(as_viewer: Client, viewer: User) -> None:
    set_preferences(viewer, time_zone="Asia/Tokyo", language="es")
    as_viewer.get("/")
    assert (timezone.get_current_timezone_name(), translation.get_language()) == ("UTC", "en")


def test_programs_get_utc_and_english_whoever_asks(
    as_viewer: Client, viewer: User, experiment: Experiment, settings: Any
) -> None:
    settings.TIME_ZONE = "Europe/Helsinki"
    action = factories.create_action(experiment)
    addresses = [f"/v4/actions/{action.pk}", "/v4/actions?kind=nonsense", "/v4/experiments/zzzz"]
    before = [as_viewer.get(address).content for address in addresses]
    set_preferences(viewer, time_zone="Asia/Tokyo", language="es")
    after = [as_viewer.get(address, headers={"accept-language": "es"}).content for address in addresses]
    assert after == before


def test_a_program_that_says_no_zone_means_utc(as_admin: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    at = AuditEntry.objects.create(event="x", door="api").at
    found = as_admin.get(f"/v4/audit?since={at:%Y-%m-%dT%H:%M:%S.%f}").json()
    assert [entry["at"] for entry in found["results"]] == [at.isoformat()]


def test_the_health_of_the_portal_is_told_without_looking_anybody_up(as_viewer: Client) -> None:
    with CaptureQueriesContext(connection) as captured:
        as_viewer.get("/healthz")
    assert not any("auth_user" in query["sql"] for query in captured)


def test_what_somebody_prefers_costs_no_query(as_viewer: Client, viewer: User) -> None:
    set_preferences(viewer, time_zone="Asia/Tokyo", language="es")
    with CaptureQueriesContext(connection) as captured:
        as_viewer.get(PAGE)
    assert sum("access_preferences" in query["sql"] for query in captured) == 1
