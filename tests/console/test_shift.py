"""The hand-over of a shift: its times, what it tells, and the delegation from it."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.models import Delegation, Visit
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.console.pages.shift import find_morning
from experiments.forecast.forecast import Forecast, tell_forecast
from experiments.models import Action, Experiment, State
from experiments.models.note import get_state
from tests.console.pages import text_of
from tests.support import factories

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def worker(db: None) -> None:
    """A worker that lives, so that the portal itself needs nobody."""
    factories.create_worker()


def shown(client: Client, **query: Any) -> Any:
    return client.get(reverse("admin:shift"), query).context


def stop(experiment: Experiment, hours: float, **values: Any) -> Action:
    """A stop that was asked for so many hours ago."""
    made = factories.create_action(experiment, kind="stop", state=State.SUCCEEDED, **values)
    Action.objects.filter(pk=made.pk).update(requested_at=timezone.now() - hours * HOUR)
    return made


def test_it_is_about_the_last_eight_hours_at_first(as_operator: Client, experiment: Experiment) -> None:
    for hours in (9, 7.5, 1):
        stop(experiment, hours, reason=f"{hours} h")
    assert {line.reason for line in shown(as_operator)["lines"]} == {"1 h", "7.5 h"}
    assert len(shown(as_operator, hours=12)["lines"]) == 3


def test_the_address_of_a_time_means_the_same_later(as_operator: Client, experiment: Experiment) -> None:
    stop(experiment, 1)
    query = shown(as_operator)["shift"].query
    stop(experiment, -1)
    times = {name: values[0] for name, values in parse_qs(query).items()}
    assert len(shown(as_operator, **times)["lines"]) == 1


def test_it_is_sent_with_the_address_of_its_time(as_operator: Client, experiment: Experiment) -> None:
    context = shown(as_operator)
    assert parse_qs(urlparse(context["mail"]).query)["body"][0].endswith(f"/shift/?{context['shift'].query}")


def test_it_offers_the_time_since_the_last_visit(as_operator: Client, operator: User, experiment: Experiment) -> None:
    stop(experiment, 20)
    Visit.objects.create(user=operator, seen_at=timezone.now(), before_at=timezone.now() - 30 * HOUR)
    query = next(query for query, words, _ in shown(as_operator)["choices"] if words == "Since your last visit")
    assert len(as_operator.get(f"{reverse('admin:shift')}?{query}").context["lines"]) == 1


def test_what_ended_in_the_shift_is_told_though_it_was_asked_for_before(
    as_operator: Client, experiment: Experiment
) -> None:
    stop(experiment, 30, ended_at=timezone.now() - HOUR, reason="long")
    stop(experiment, 30, ended_at=timezone.now() - 20 * HOUR, reason="over")
    assert [line.reason for line in shown(as_operator)["ended"]] == ["long"]


def test_what_commands_on_a_host_have_done_is_one_line(as_admin: Client, experiment: Experiment) -> None:
    stop(experiment, 1)
    before = shown(as_admin)["by_commands"]
    for _ in range(3):
        trail.record("group.permissions_changed", origin=Origin(door=Door.COMMAND_LINE), subject="group Operator")
    context = shown(as_admin)
    assert ([line.words for line in context["lines"]], context["by_commands"]) == (["stopped"], before + 3)
    assert f"{before + 3} changes by commands on a host of the portal" in text_of(as_admin.get(reverse("admin:shift")))


def test_what_runs_is_told_with_its_expected_end(as_operator: Client, experiment: Experiment) -> None:
    ends_at = timezone.now() + 2 * HOUR
    told = tell_forecast(Forecast(made_at=timezone.now(), ends_at=ends_at, earliest_at=ends_at, latest_at=ends_at))
    Experiment.objects.update(is_running=True, forecast=told)
    assert f'ends <time datetime="{ends_at.isoformat(timespec="seconds")}"' in text_of(
        as_operator.get(reverse("admin:shift"))
    )


def test_failures_notes_and_what_was_taken_are_told(as_operator: Client, experiment: Experiment) -> None:
    Experiment.objects.update(failed_at=timezone.now() - HOUR)
    experiment.refresh_from_db()
    factories.create_note(experiment, text="Disk *full*")
    seen = {"acknowledges": "failure", "state": get_state(experiment, "failure")}
    factories.create_note(experiment, text="ticket 123", **seen)
    context = shown(as_operator)
    assert [one.expid for one in context["failed"]] == ["a000"]
    assert [note.text for note in context["notes"]] == ["Disk *full*"]
    assert [note.text for _, note in context["seen"]] == ["ticket 123"]


def test_what_one_may_not_see_is_not_told(experiment: Experiment) -> None:
    stranger = factories.create_user()
    factories.create_team((stranger, Role.MANAGER), covers={"owner": "nobody"})
    stop(experiment, 1, reason="not for all")
    factories.create_note(experiment, text="not for all")
    client = Client()
    client.force_login(stranger)
    assert "not for all" not in text_of(client.get(reverse("admin:shift")))


@pytest.mark.parametrize("query", [{"since": "yesterday"}, {"hours": "x"}, {"hours": "999999999"}, {"whose": "?"}])
def test_a_time_that_is_none_is_the_usual_one(as_operator: Client, query: dict[str, str]) -> None:
    assert as_operator.get(reverse("admin:shift"), query).status_code == 200


def test_a_colleague_of_a_team_is_offered_and_gets_the_rights_until_the_morning(
    as_operator: Client, operator: User
) -> None:
    colleague = factories.create_user(username="carla")
    factories.create_team((operator, Role.OPERATOR), (colleague, Role.VIEWER))
    context = shown(as_operator)
    assert context["colleagues"] == ["carla"]
    sent = {"grantee": "carla", "role": "2", "reason": "Hand-over of the shift"}
    until = f"{context['morning']:%Y-%m-%dT%H:%M}"
    as_operator.post(reverse("admin:access_delegation_add"), sent | {"ends_at": until})
    assert (Delegation.objects.get().grantee, Delegation.objects.get().role) == (colleague, Role.OPERATOR)


def test_the_morning_is_the_next_eight_o_clock() -> None:
    evening = timezone.now().replace(hour=20, minute=0, second=0, microsecond=0)
    assert find_morning(evening) == evening + 12 * HOUR
    assert find_morning(evening + 13 * HOUR) == evening + 36 * HOUR
