"""Times at the console are those of whoever reads, say their zone, and are understood in it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from autosubmit_portal.access.models import Delegation
from autosubmit_portal.access.preferences import set_preferences
from autosubmit_portal.access.roles import Role
from autosubmit_portal.console.parts.times import put_into_zone, write_instant
from experiments.models import Experiment, Freeze, Note
from tests.console.pages import page_of, text_of
from tests.support import factories

pytestmark = pytest.mark.django_db
AT = datetime(2031, 7, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def in_helsinki(settings: Any) -> None:
    """The portal is three hours before UTC in summer."""
    settings.TIME_ZONE = "Europe/Helsinki"


@pytest.fixture
def enter(signed_in: Callable[[User], Client], actor: Callable[..., User]) -> Callable[[str], Client]:
    """Make clients of managers in a time zone."""

    def somebody(zone: str) -> Client:
        user = actor(Role.MANAGER)
        set_preferences(user, time_zone=zone, language="")
        return signed_in(user)

    return somebody


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("Europe/Madrid", "2031-07-01 14:00:00 CEST"), ("Asia/Tokyo", "2031-07-01 21:00:00 JST"),
     ("America/Sao_Paulo", "2031-07-01 09:00:00 UTC-03"), ("", "2031-07-01 12:00:00 UTC")],
)  # fmt: skip
def test_each_sees_the_same_action_at_their_own_time(
    enter: Callable[[str], Client], experiment: Experiment, zone: str, shown: str
) -> None:
    action = factories.create_action(experiment, started_at=AT)
    page = text_of(enter(zone).get(page_of("experiments_action", action.pk)))
    assert f'<time datetime="2031-07-01T12:00:00+00:00" title="{shown}"' in page
    assert f">{shown}</span>" in page


def test_the_open_tab_of_another_zone_is_another_page(enter: Callable[[str], Client], experiment: Experiment) -> None:
    user = enter("Europe/Madrid")
    before = user.get("/").context["request"].live_stamp
    set_preferences(User.objects.latest("pk"), time_zone="Asia/Tokyo", language="")
    assert user.get("/", headers={"HX-Request": "true", "Portal-Stamp": before}).status_code == 200


@pytest.mark.parametrize(
    ("evening", "morning", "hours"),
    [("2026-10-24T20:00", "2026-10-25T08:00", 13), ("2026-03-28T20:00", "2026-03-29T08:00", 11),
     ("2026-07-01T20:00", "2026-07-02T08:00", 12)],
)  # fmt: skip
def test_a_shift_is_as_long_as_the_night_in_madrid(
    enter: Callable[[str], Client], evening: str, morning: str, hours: int
) -> None:
    answer = enter("Europe/Madrid").get("/shift/", {"since": evening, "until": morning})
    shift = answer.context["shift"]
    assert shift.until - shift.since == timedelta(hours=hours)
    assert f'value="{evening}"' in text_of(answer)
    assert f'value="{morning}"' in text_of(answer)


def test_the_address_of_a_shift_means_the_same_in_every_zone(enter: Callable[[str], Client]) -> None:
    typed = {"since": "2026-10-24T20:00", "until": "2026-10-25T08:00"}
    there = enter("Europe/Madrid").get("/shift/", typed).context["shift"]
    here = enter("Asia/Tokyo").get(f"/shift/?{there.query}").context["shift"]
    assert (here.since, here.until) == (there.since, there.until)


def test_the_links_of_an_activity_mean_the_same_in_every_zone(enter: Callable[[str], Client]) -> None:
    form = enter("Europe/Madrid").get("/activity/", {"since": "2026-10-24T20:00"}).context["form"]
    assert "since=2026-10-24T18%3A00%3A00%2B00%3A00" in form.query
    assert 'value="2026-10-25T03:00"' in text_of(enter("Asia/Tokyo").get(f"/activity/?{form.query}"))


def test_a_form_is_read_in_the_zone_that_it_names(enter: Callable[[str], Client], experiment: Experiment) -> None:
    client = enter("Asia/Tokyo")
    assert "Until (Asia/Tokyo)" in text_of(client.get("/freezes/add/"))
    client.post("/freezes/add/", {"site": experiment.site.pk, "message": "x", "ends_at": "2031-07-01T12:00"})
    assert Freeze.objects.get().ends_at == datetime(2031, 7, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize("typed", ["2031-10-26T02:30", "2031-03-30T02:30"])
def test_a_time_that_no_clock_shows_once_is_refused_at_its_field(
    enter: Callable[[str], Client], experiment: Experiment, typed: str
) -> None:
    sent = {"site": experiment.site.pk, "message": "x", "ends_at": typed}
    answer = enter("Europe/Madrid").post("/freezes/add/", sent)
    assert answer.context["form"].errors == {
        "ends_at": ["Clocks are turned then in Europe/Madrid: write an hour earlier or later."]
    }


def test_a_note_holds_until_the_time_of_whoever_writes(enter: Callable[[str], Client], experiment: Experiment) -> None:
    address = page_of("experiments_experiment", experiment.pk) + "notes/"
    enter("Asia/Tokyo").post(address, {"text": "x", "ends_at": "2031-07-01T12:00"})
    assert Note.objects.get().ends_at == datetime(2031, 7, 1, 3, tzinfo=UTC)


def test_what_a_sentence_says_in_utc_is_told_in_the_zone(
    enter: Callable[[str], Client], experiment: Experiment
) -> None:
    Experiment.objects.filter(pk=experiment.pk).update(problem="Away since 2031-07-01 12:00 UTC.")
    shown = text_of(enter("Asia/Tokyo").get(page_of("experiments_experiment", experiment.pk)))
    assert "Away since 2031-07-01 21:00 JST." in shown


@pytest.mark.parametrize("text", ["9999-12-31 23:59 UTC", "2031-02-31 12:00 UTC", "2031-07-01 12:00", "UTC"])
def test_a_sentence_without_an_instant_stays_as_it_is(text: str) -> None:
    with timezone.override("Asia/Tokyo"):
        assert put_into_zone(text) == text


def test_the_two_hours_of_a_night_have_two_names() -> None:
    with timezone.override("Europe/Madrid"):
        shown = [write_instant(datetime(2026, 10, 25, hour, 30, tzinfo=UTC)) for hour in (0, 1)]
    assert shown == ["2026-10-25 02:30 CEST", "2026-10-25 02:30 CET"]


def test_a_timeline_names_the_zone_of_its_axis(enter: Callable[[str], Client], experiment: Experiment) -> None:
    Experiment.objects.update(total_jobs=3)
    shown = text_of(enter("Asia/Tokyo").get(page_of("experiments_experiment", experiment.pk) + "timeline/"))
    assert 'data-zone="Asia/Tokyo"' in shown
    assert "Times are those of Asia/Tokyo." in shown


@pytest.mark.usefixtures("in_helsinki")
def test_who_has_chosen_no_zone_sees_that_of_the_portal(as_viewer: Client, experiment: Experiment) -> None:
    factories.create_freeze(experiment.site, ends_at=AT)
    pages = [page_of("experiments_experiment", experiment.pk), page_of("experiments_freeze", Freeze.objects.get().pk)]
    shown = [text_of(as_viewer.get(page)) for page in pages]
    assert "until 2031-07-01 15:00 EEST" in shown[0]
    assert "2031-07-01 15:00:00 EEST" in shown[1]


@pytest.mark.usefixtures("in_helsinki")
def test_a_run_is_told_with_its_zone_where_it_is_chosen(as_viewer: Client, experiment: Experiment) -> None:
    factories.create_run(experiment, run_id=1, started_at=AT)
    address = page_of("experiments_experiment", experiment.pk) + "configuration/"
    assert "2031-07-01 15:00 EEST" in text_of(as_viewer.get(address))


@pytest.mark.usefixtures("in_helsinki")
def test_a_delegation_ends_when_its_form_says(as_operator: Client, viewer: User) -> None:
    ends_at = (timezone.localtime() + timedelta(days=2)).replace(second=0, microsecond=0)
    sent = {"grantee": viewer.username, "reason": "x", "ends_at": f"{ends_at:%Y-%m-%dT%H:%M}"}
    as_operator.post("/delegations/add/", sent | {"role": Role.VIEWER.value})
    assert Delegation.objects.get().ends_at == ends_at


@pytest.mark.usefixtures("in_helsinki")
def test_the_page_of_a_person_says_the_zone(as_admin: Client, viewer: User) -> None:
    User.objects.filter(pk=viewer.pk).update(date_joined=AT)
    shown = text_of(as_admin.get(page_of("auth_user", viewer.pk)))
    assert '<span class="num nowrap">2031-07-01 15:00:00 EEST</span>' in shown


@pytest.mark.usefixtures("in_helsinki")
def test_the_date_of_a_job_is_that_of_the_model(as_viewer: Client, experiment: Experiment) -> None:
    job = factories.create_job(experiment, date=AT)
    assert "2031-07-01 12:00 UTC" in text_of(as_viewer.get(page_of("jobs_job", job.pk)))
