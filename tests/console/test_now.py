"""The first page of the console: what needs whoever looks, what runs, and how the last day went."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from autosubmit_portal.access.models import SiteAccount, Visit
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.unix import get_uid
from autosubmit_portal.access.visits import find_last_visit, note_visit
from autosubmit_portal.console.addresses import make_experiment_key, make_job_key
from autosubmit_portal.console.parts.day_strip import make_strip
from autosubmit_portal.console.parts.needs import Need
from autosubmit_portal.console.parts.presentation import lamp
from autosubmit_portal.workers.models import Worker
from experiments.forecast.forecast import Forecast, tell_forecast
from experiments.models import Action, Experiment, Site, State, annotate_active_action
from tests.console.pages import text_of
from tests.console.test_lists import queries_of
from tests.support import factories

NOW = "/"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def alarm(rule: str = "stalled", remedy: str = "stop", job: str = "") -> dict[str, str]:
    """What the mirror keeps of an alarm."""
    return {
        "rule": rule,
        "sentence": f"It is {rule}.",
        "evidence": "process 7 on node holds the lock.",
        "advice": "Do <something>.",
        "remedy": remedy,
        "job": job,
        "since": timezone.now().isoformat(),
    }


def put(experiment: Experiment, *alarms: dict[str, str], **values: Any) -> Experiment:
    """Write alarms, as the mirror does."""
    rules = ",".join(one["rule"] for one in alarms)
    Experiment.objects.filter(pk=experiment.pk).update(attention=[*alarms], attention_rules=f",{rules},", **values)
    return experiment


def needs(client: Client, address: str = NOW) -> list[Need]:
    """Return what the page says that needs whoever looks."""
    return list(client.get(address).context["needs"])


@pytest.fixture
def worker(db: None) -> None:
    """A worker that lives, so that the portal itself needs nobody."""
    factories.create_worker()


pytestmark = pytest.mark.usefixtures("worker")


def test_nothing_needs_anybody_where_all_is_well(as_operator: Client, experiment: Experiment) -> None:
    answer = as_operator.get(NOW)
    assert (answer.context["needs"], answer.context["title"]) == ([], "Now")
    assert "Nothing needs you." in text_of(answer)
    assert "logo-alert" not in text_of(answer).partition("page-icon")[2][:120]


def test_what_a_rule_says_is_one_sentence_with_its_button(as_operator: Client, experiment: Experiment) -> None:
    put(experiment, alarm("stalled"), alarm("overdue"))
    (need,) = needs(as_operator)
    assert (need.word, need.subject, need.button) == ("Stalled", "a000", "Stop")
    assert need.button_address == f"/experiments/{make_experiment_key(experiment)}/request/stop/"
    assert need.text == "It is stalled. Do &lt;something&gt;. Also: overdue job."


def test_the_stop_of_a_run_that_hears_no_signal_has_force_chosen(as_operator: Client, experiment: Experiment) -> None:
    put(experiment, alarm("stopped"), is_running=True)
    (need,) = needs(as_operator)
    form = as_operator.get(need.button_address).context["form"]
    assert form["force"].value() == "on"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "The workers of the queue “portal” are busy with other commands."),
        ("Waits for a slot.", "Waits for a slot."),
    ],
)
def test_who_waits_beside_a_living_worker_is_told_for_what(
    as_operator: Client, experiment: Experiment, message: str, reason: str
) -> None:
    factories.create_action(experiment, message=message)
    Action.objects.update(requested_at=timezone.now() - MINUTE)
    (need,) = [one for one in needs(as_operator) if one.key.startswith("action-")]
    assert (need.word, str(need.text).partition("queued. ")[2]) == ("Waits for its turn", reason)


def test_whether_a_worker_runs_is_asked_where_none_reports(as_operator: Client, experiment: Experiment) -> None:
    Worker.objects.all().delete()
    factories.create_action(experiment)
    Action.objects.update(requested_at=timezone.now() - MINUTE)
    (need,) = [one for one in needs(as_operator) if one.key.startswith("action-")]
    assert need.word == "Waits for a worker"
    assert "Is a worker of the queue “portal” running?" in need.text


@pytest.mark.parametrize(
    ("began", "is_running", "word"),
    [
        (None, False, "Starting"),
        (-HOUR, False, "Starting"),  # an earlier run
        (timedelta(seconds=-1), False, "Failed"),  # this one, told to the second
        (MINUTE, False, "Failed"),
        (MINUTE, True, "Running"),
    ],
)
def test_a_run_starts_until_its_process_was_seen(
    experiment: Experiment, began: timedelta | None, is_running: bool, word: str
) -> None:
    started_at = timezone.now() - HOUR
    factories.create_action(experiment, state=State.RUNNING, started_at=started_at)
    began_at = began and started_at + began
    Experiment.objects.filter(pk=experiment.pk).update(run_began_at=began_at, is_running=is_running)
    assert f">{word}<" in lamp(annotate_active_action().get(pk=experiment.pk))


def test_the_title_and_the_icon_of_the_page_count_it(as_operator: Client, experiment: Experiment) -> None:
    put(experiment, alarm())
    page = text_of(as_operator.get(NOW))
    assert "<title>(1) Now · Autosubmit Portal</title>" in re.sub(r"\s+", " ", page)
    assert re.search(r'<link rel="icon" id="page-icon"[^>]*logo-alert', page)


def test_who_may_not_do_what_helps_is_led_to_where_it_is(as_viewer: Client, experiment: Experiment) -> None:
    put(experiment, alarm("stopped"))
    (need,) = needs(as_viewer)
    assert (need.button, need.button_address) == ("Open", f"/experiments/{make_experiment_key(experiment)}/")


def test_an_alarm_about_a_job_leads_to_it(as_operator: Client, experiment: Experiment) -> None:
    put(experiment, alarm("overdue", remedy="", job="a000_SIM"))
    (need,) = needs(as_operator)
    assert (need.button, need.look) == ("Open the job", "warn")
    assert need.button_address == f"/experiments/{make_experiment_key(experiment)}/jobs/a000_SIM/"


def test_what_is_urgent_comes_first(as_operator: Client, experiment: Experiment) -> None:
    put(experiment, alarm("unreadable"))
    put(factories.create_experiment(experiment.site, expid="a009"), alarm("dead"))
    assert [need.word for need in needs(as_operator)] == ["Dead", "Unreadable"]


def test_new_failures_need_somebody_and_the_button_opens_the_job(as_viewer: Client, experiment: Experiment) -> None:
    Experiment.objects.update(failed_at=timezone.now() - HOUR)
    (need,) = needs(as_viewer)
    failed = experiment.jobs.get(status="FAILED")
    assert need.text == f"{failed.name} has failed."
    assert need.button_address == f"/experiments/{make_job_key(failed)}/"


def test_a_failure_asks_for_its_reason_when_it_is_seen(as_viewer: Client, experiment: Experiment) -> None:
    Experiment.objects.update(failed_at=timezone.now())
    failed = experiment.jobs.get(status="FAILED")
    asked = f'hx-get="/experiments/{make_job_key(failed)}/why/" hx-trigger="intersect once"'
    assert asked in text_of(as_viewer.get(NOW))


def test_failures_of_last_week_are_no_news(as_viewer: Client, experiment: Experiment) -> None:
    Experiment.objects.update(failed_at=timezone.now() - 7 * 24 * HOUR)
    assert needs(as_viewer) == []


def test_failures_since_the_last_visit_are_news_and_those_before_are_not(
    as_viewer: Client, viewer: User, experiment: Experiment
) -> None:
    now = timezone.now()
    Visit.objects.create(user=viewer, seen_at=now - 9 * HOUR)
    Experiment.objects.update(failed_at=now - 8 * HOUR)
    assert [need.word for need in needs(as_viewer)] == ["Failed"]
    Experiment.objects.update(failed_at=now - 10 * HOUR)
    assert needs(as_viewer) == []


def test_a_visit_goes_on_while_somebody_looks_now_and_then(viewer: User) -> None:
    before, now = timezone.now() - 9 * HOUR, timezone.now()
    assert note_visit(viewer) is None
    Visit.objects.update(before_at=before, seen_at=now - 20 * MINUTE)
    assert note_visit(viewer) == before == find_last_visit(viewer)
    visit = Visit.objects.get()
    assert visit.seen_at >= now


def test_another_visit_begins_after_half_an_hour(viewer: User) -> None:
    note_visit(viewer)
    seen_at = timezone.now() - 31 * MINUTE
    Visit.objects.update(seen_at=seen_at)
    assert note_visit(viewer) == seen_at == find_last_visit(viewer)


@pytest.mark.parametrize(("role", "found"), [(Role.OPERATOR, ["Waits for you"]), (Role.VIEWER, [])])
def test_an_approval_needs_who_may_give_it(as_role: Any, experiment: Experiment, role: Role, found: list[str]) -> None:
    factories.create_action(experiment, state=State.AWAITING_APPROVAL)
    assert [need.word for need in needs(as_role(role))] == found


def test_a_site_that_nobody_looks_at_needs_somebody(as_viewer: Client, experiment: Experiment) -> None:
    Site.objects.update(mirrored_at=timezone.now() - HOUR)
    assert [need.word for need in needs(as_viewer)] == ["Mirror is late"]
    Site.objects.update(problem="Its host does not answer.")
    assert [need.text for need in needs(as_viewer)] == ["Its host does not answer."]


def test_a_freeze_is_told_while_it_holds_and_a_planned_one_apart(
    as_viewer: Client, site: Site, experiment: Any
) -> None:
    factories.create_freeze(site, message="New disks")
    factories.create_freeze(site, message="New network", starts_at=timezone.now() + HOUR)
    answer = as_viewer.get(NOW)
    assert [need.text for need in answer.context["needs"]] == ["New disks"]
    assert "New network" in text_of(answer)


def test_nobody_is_told_of_what_they_may_not_see(signed_in: Any, experiment: Experiment) -> None:
    mine = put(factories.create_experiment(expid="a009", owner="ana"), alarm())
    put(experiment, alarm("dead"), failed_at=timezone.now())
    user = factories.create_user()
    team = factories.create_team((user, Role.VIEWER))
    team.experiments.add(mine)
    assert [need.subject for need in needs(signed_in(user))] == ["a009"]


# --- Whose


@pytest.fixture
def theirs(experiment: Experiment, operator: User) -> dict[str, Experiment]:
    """An experiment of nobody, one of a team of the operator, one of their account, and one that they have started."""
    site = experiment.site
    found = {"nobody": experiment}
    for name in ("team", "own", "started"):
        found[name] = factories.create_experiment(site, expid=name.ljust(4, "0")[:7], is_running=True)
    factories.create_team((operator, Role.OPERATOR)).experiments.add(found["team"])
    SiteAccount.objects.create(user=operator, site=site, unix_name="daemon")
    Experiment.objects.filter(pk=found["own"].pk).update(owner_uid=get_uid("daemon"))
    factories.create_action(found["started"], actor=operator, state=State.SUCCEEDED)
    return found


@pytest.mark.parametrize(
    ("whose", "shown"),
    [("", {"team", "own", "started"}), ("all", {"team", "own", "started"}), ("teams", {"team"}),
     ("mine", {"own", "started"}), ("other", {"team", "own", "started"})],
)  # fmt: skip
def test_the_address_says_whose_experiments_are_shown(
    as_operator: Client, theirs: dict[str, Experiment], whose: str, shown: set[str]
) -> None:
    answer = as_operator.get(NOW, {"whose": whose})
    names = {experiment.pk: name for name, experiment in theirs.items()}
    assert {names[experiment.pk] for experiment in answer.context["running"]} == shown


# --- What runs, and the last day


def test_a_run_runs_since_its_process_began_and_not_since_it_was_generated(
    as_viewer: Client, experiment: Experiment
) -> None:
    began = timezone.now() - HOUR
    factories.create_run(experiment, started_at=began - 100 * HOUR)
    Experiment.objects.update(is_running=True, run_began_at=began, changed_at=began + 59 * MINUTE)
    (running,) = as_viewer.get(NOW).context["running"]
    assert (running.since, running.alive_at) == (began, began + 59 * MINUTE)


def failed_start(client: Client, experiment: Experiment, **values: Any) -> tuple[Action, Callable[[], bool]]:
    """Return a start that has failed, of who looks, and a function that says whether it needs somebody."""
    person = User.objects.get(pk=client.session["_auth_user_id"])
    told = {"state": State.FAILED, "ended_at": timezone.now(), "message": "Killed by SIGKILL.", "actor": person}
    action = factories.create_action(experiment, **told | values)
    return action, lambda: any(need.key == f"action-{action.pk}" for need in client.get(NOW).context["needs"])


def test_an_action_that_failed_says_why(as_operator: Client, experiment: Experiment) -> None:
    _, needs_somebody = failed_start(as_operator, experiment)
    assert needs_somebody()
    assert "Killed by SIGKILL." in text_of(as_operator.get(NOW))


@pytest.mark.parametrize(
    ("kind", "state"), [("run", State.RUNNING), ("run", State.SUCCEEDED), ("stop", State.SUCCEEDED)]
)
def test_an_action_that_failed_needs_nobody_after_a_later_one(
    as_operator: Client, experiment: Experiment, kind: str, state: State
) -> None:
    _, needs_somebody = failed_start(as_operator, experiment)
    factories.create_action(experiment, kind=kind, state=state)
    assert not needs_somebody()


def test_an_action_that_failed_still_needs_somebody_after_a_later_one_of_other_sort(
    as_operator: Client, experiment: Experiment
) -> None:
    _, needs_somebody = failed_start(as_operator, experiment)
    factories.create_action(experiment, kind="update_description", state=State.SUCCEEDED)
    factories.create_action(factories.create_experiment(experiment.site), state=State.SUCCEEDED)
    factories.create_action(experiment, state=State.SUCCEEDED, is_dry_run=True)
    assert needs_somebody()


def test_another_action_that_failed_still_needs_somebody_after_a_start(
    as_operator: Client, experiment: Experiment
) -> None:
    _, needs_somebody = failed_start(as_operator, experiment, kind="set_status")
    factories.create_action(experiment, state=State.SUCCEEDED)
    Experiment.objects.update(run_began_at=timezone.now() + MINUTE)
    assert needs_somebody()


@pytest.mark.parametrize("told", [{"run_began_at": datetime(2999, 1, 1, tzinfo=UTC)}, {"is_dead": True}])
def test_a_start_that_failed_needs_nobody_once_its_experiment_runs_or_is_told_to_be_dead(
    as_operator: Client, experiment: Experiment, told: dict[str, Any]
) -> None:
    _, needs_somebody = failed_start(as_operator, experiment)
    Experiment.objects.update(**told)
    assert not needs_somebody()


@pytest.mark.parametrize(("after", "needed"), [(MINUTE, False), (-MINUTE, True)])
def test_a_start_that_failed_is_not_told_beside_jobs_that_failed_in_its_run(
    as_operator: Client, experiment: Experiment, after: timedelta, needed: bool
) -> None:
    started_at = timezone.now() - HOUR
    _, needs_somebody = failed_start(as_operator, experiment, started_at=started_at)
    Experiment.objects.update(failed_at=started_at + after)
    assert needs_somebody() == needed


def test_an_act_is_one_line_with_who_and_why(as_viewer: Client, experiment: Experiment) -> None:
    factories.create_action(experiment, kind="stop", actor_name="ana", reason="Wrong <forcing>", state=State.SUCCEEDED)
    page = text_of(as_viewer.get(NOW))
    assert "ana stopped a000" in page
    assert 'Wrong &lt;forcing&gt; · <span class="state state-succeeded">succeeded' in page


def test_the_last_day_is_counted_by_the_hour(experiment: Experiment) -> None:
    for state in (State.SUCCEEDED, State.SUCCEEDED, State.FAILED, State.CANCELLED):
        factories.create_action(experiment, state=state)
    Experiment.objects.update(failed_at=timezone.now(), status_counts={"FAILED": 1})
    old = factories.create_action(experiment, state=State.SUCCEEDED)
    Action.objects.filter(pk=old.pk).update(requested_at=timezone.now() - 25 * HOUR)
    strip = make_strip(Action.objects.all(), Experiment.objects.all())
    last = [sum(getattr(hour, sort) for hour in strip.hours[-2:]) for sort in ("succeeded", "failed", "other")]
    assert (last, strip.total, len(strip.hours)) == ([2, 1, 1], 5, 24)
    assert "2 actions succeeded, 1 failed and 1 ended otherwise or go on; 1 experiments" in strip.summary


def test_the_picture_of_a_day_stays_within_its_frame(experiment: Experiment) -> None:
    for number in range(30):
        factories.create_action(experiment, state=(State.SUCCEEDED, State.FAILED)[number % 2])
    bars = [*make_strip(Action.objects.all(), Experiment.objects.all()).list_bars()]
    assert all(bar.y >= 0 and bar.y + bar.height <= 56.01 for bar in bars)


def test_what_needs_somebody_costs_no_more_for_many(as_operator: Client, experiment: Experiment) -> None:
    def add(number: int) -> None:
        for _ in range(number):
            made = put(factories.create_experiment(experiment.site), alarm(), failed_at=timezone.now())
            factories.create_job(made, status="FAILED")
            factories.create_action(made, state=State.AWAITING_APPROVAL)

    add(2)
    as_operator.get(NOW)
    few = queries_of(as_operator, NOW)
    add(8)
    assert queries_of(as_operator, NOW) == few


def test_a_run_says_when_it_is_expected_to_end_and_on_what_condition(as_viewer: Client, experiment: Experiment) -> None:
    ends_at = timezone.now() + 3 * HOUR + MINUTE
    told = Forecast(made_at=timezone.now(), ends_at=ends_at, rate=12.5, condition="It ends only if <b> can go on.")
    Experiment.objects.update(is_running=True, forecast=tell_forecast(told))
    page = text_of(as_viewer.get(NOW))
    assert "in 3 h" in page
    assert "12.5 jobs/h" in page
    assert 'title="It ends only if &lt;b&gt; can go on."' in page
