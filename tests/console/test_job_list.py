"""The lists of jobs: several values of a filter, ranges, moments, columns, order and views with a name."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from autosubmit_portal.access.models import Visit
from autosubmit_portal.access.preferences import set_preferences
from autosubmit_portal.access.roles import Role
from autosubmit_portal.console.pages import saved_views
from autosubmit_portal.console.parts import job_list
from experiments.models import Experiment
from jobs.models import Job, SavedView
from jobs.ranges import MOST
from tests.console.pages import page_of, text_of
from tests.console.test_csv_lists import read
from tests.support import factories

pytestmark = pytest.mark.django_db
KEEP = "/jobs/views/"


@pytest.fixture
def jobs(experiment: Experiment) -> Experiment:
    """Two members with four chunks each, in two start dates."""
    experiment.jobs.all().delete()
    for number, status in enumerate(("COMPLETED", "FAILED", "SUSPENDED", "WAITING") * 2):
        member, chunk = f"fc{number // 4}", number % 4 + 1
        factories.create_job(
            experiment,
            f"a000_{member}_{chunk}",
            status=status,
            section="SIM" if chunk % 2 else "POST",
            member=member,
            chunk=chunk,
            date=datetime(2000 + number // 4, 1, 1, tzinfo=UTC),
            finished_at=timezone.now() - timedelta(hours=12 * chunk) if status in ("COMPLETED", "FAILED") else None,
        )
    return experiment


def found(client: Client, query: str, address: str = "/experiments/a000/jobs/") -> list[str]:
    """Return the names of the jobs of a list, in its order, without the expid."""
    answer: Any = client.get(f"{address}?{query}")
    return [job.name.removeprefix("a000_") for job in answer.context["cl"].result_list]


def complaints(client: Client, query: str) -> Any:
    return client.get(f"/experiments/a000/jobs/?{query}").context["cl"].complaints


def test_failed_jobs_come_first_then_those_that_run_then_the_order_of_the_job_list(
    as_viewer: Client, jobs: Experiment
) -> None:
    Job.objects.filter(name="a000_fc1_3").update(status="RUNNING")
    Experiment.objects.update(total_jobs=8)
    expected = ["fc0_2", "fc1_2", "fc1_3", "fc0_1", "fc0_3", "fc0_4", "fc1_1", "fc1_4"]
    assert found(as_viewer, "") == expected


def test_of_too_many_jobs_to_sort_the_order_is_that_of_the_job_list(as_viewer: Client, jobs: Experiment) -> None:
    Experiment.objects.update(total_jobs=job_list.MOST_SORTED + 1)
    assert found(as_viewer, "member=fc0") == ["fc0_1", "fc0_2", "fc0_3", "fc0_4"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=FAILED,SUSPENDED&member=fc1", ["fc1_2", "fc1_3"]),
        ("status=FAILED&status=SUSPENDED&member=fc1", ["fc1_2", "fc1_3"]),
        ("chunk=3-7,1&member=fc0", ["fc0_1", "fc0_3", "fc0_4"]),
        ("section=SIM,POST&member=fc0&chunk=2", ["fc0_2"]),
        ("date=20010101&status=FAILED", ["fc1_2"]),
        ("date=19990101-20000601&status=FAILED", ["fc0_2"]),
        ("date=2000-01-01-2000-12-31&status=FAILED", ["fc0_2"]),
        ("finished=24h", ["fc0_1", "fc1_1"]),
        ("finished=2d&status=FAILED", ["fc0_2", "fc1_2"]),
        ("status=,&member=&chunk=4", ["fc0_4", "fc1_4"]),
    ],
)
def test_a_list_has_the_jobs_with_any_of_the_values(
    as_viewer: Client, jobs: Experiment, query: str, names: list[str]
) -> None:
    assert found(as_viewer, query) == names


def test_what_has_finished_since_the_last_visit_is_found(as_viewer: Client, viewer: User, jobs: Experiment) -> None:
    now = timezone.now()
    Visit.objects.create(user=viewer, seen_at=now, before_at=now - timedelta(hours=18))
    assert found(as_viewer, "finished=visit") == ["fc0_1", "fc1_1"]


def test_a_moment_is_read_in_the_zone_of_whoever_types_and_told_in_utc(
    as_viewer: Client, viewer: User, jobs: Experiment
) -> None:
    set_preferences(viewer, time_zone="Asia/Tokyo", language="")
    answer = as_viewer.get("/experiments/a000/jobs/", {"finished": "2026-11-29T18:00", "status": "FAILED"})
    assert answer["Location"] == "/experiments/a000/jobs/?finished=2026-11-29T09%3A00%3A00%2B00%3A00&status=FAILED"
    assert 'value="2026-11-29T18:00"' in text_of(as_viewer.get(answer["Location"]))


@pytest.mark.parametrize(
    ("query", "field", "remedy"),
    [
        ("status=BROKEN", "Status", "“BROKEN” is no status. Choose among those of the menu."),
        ("chunk=x", "Chunk", "Write numbers and ranges, separated by commas, such as 1,4-6."),
        ("chunk=3-", "Chunk", "Write numbers and ranges, separated by commas, such as 1,4-6."),
        ("chunk=99999999999", "Chunk", "Write numbers and ranges, separated by commas, such as 1,4-6."),
        ("split=1;2", "Split", "Write numbers and ranges, separated by commas, such as 1,4-6."),
        (f"chunk={',1' * MOST}", "Chunk", f"These are more than {MOST}. Choose fewer, or a range."),
        (f"chunk={'1' * 2001}", "Chunk", "This is too long. Choose a range."),
        ("date=20001301", "Date", "“20001301” is no date: month must be in 1..12. A range is two of them"),
        ("finished=yesterday", "Finished since", "“yesterday” is no time. Write 24h, 7d, or 2026-11-29T18:00."),
        ("finished=visit", "Finished since", "This is your first visit. Choose a time."),
        ("columns=name,nonsense", "Columns", "“nonsense” is no column. There are: name, status"),
        ("o=-nonsense", "Order", "“nonsense” is no column. There are: name, status"),
    ],
)
def test_what_makes_no_sense_is_told_at_its_field_with_the_remedy(
    as_viewer: Client, jobs: Experiment, query: str, field: str, remedy: str
) -> None:
    (told,) = complaints(as_viewer, query)
    assert (told[0], told[1][: len(remedy)]) == (field, remedy)
    assert f"<b>{field}:</b>" in text_of(as_viewer.get(f"/experiments/a000/jobs/?{query}"))


def test_a_filter_that_makes_no_sense_chooses_no_job_and_gives_no_file(as_viewer: Client, jobs: Experiment) -> None:
    assert found(as_viewer, "chunk=x") == []
    answer = as_viewer.get("/experiments/a000/jobs/?chunk=x&format=csv")
    assert (answer.status_code, answer["Location"]) == (302, "/experiments/a000/jobs/?chunk=x")


def test_what_was_typed_is_shown_as_text(as_viewer: Client, jobs: Experiment) -> None:
    names = ("chunk", "status", "date", "finished", "columns", "o")
    shown = text_of(as_viewer.get("/experiments/a000/jobs/", dict.fromkeys(names, "<xss>")))
    assert "&lt;xss&gt;" in shown
    assert "<xss>" not in shown


def test_a_menu_shows_what_is_chosen_and_keeps_the_rest(as_viewer: Client, jobs: Experiment) -> None:
    shown = text_of(as_viewer.get("/experiments/a000/jobs/?status=FAILED,SUSPENDED&chunk=1-4&p=1"))
    assert shown.count(" checked>") == 2 + len(("name", "status", "section", "member", "chunk", "platform", "submitted",
                                                "started", "took"))  # fmt: skip
    assert '<input type="hidden" name="status" value="FAILED,SUSPENDED">' in shown
    assert 'value="1-4"' in shown


@pytest.mark.parametrize("name", ["name", "status", "section", "date", "member", "chunk", "split", "platform", "queue",
                                  "processors", "wallclock", "wrapper", "remote", "failures", "submitted", "started",
                                  "finished", "waited", "took", "experiment"])  # fmt: skip
def test_a_list_is_sorted_by_each_column_both_ways(as_viewer: Client, jobs: Experiment, name: str) -> None:
    for order in (name, f"-{name}"):
        assert len(found(as_viewer, f"o={order}", "/jobs/")) == 8


def test_what_a_job_does_not_have_comes_last_both_ways(as_viewer: Client, jobs: Experiment) -> None:
    Job.objects.filter(name="a000_fc0_1").update(remote_id=7)
    Job.objects.filter(name="a000_fc1_1").update(remote_id=8)
    assert found(as_viewer, "o=remote")[:2] == ["fc0_1", "fc1_1"]
    assert found(as_viewer, "o=-remote")[:2] == ["fc1_1", "fc0_1"]


def test_a_list_is_sorted_by_how_long_jobs_took(as_viewer: Client, jobs: Experiment) -> None:
    for name, hours in {"fc0_1": 30, "fc0_2": 4, "fc1_1": 100}.items():
        ended = datetime(2026, 11, 29, 3, 30, tzinfo=UTC)
        Job.objects.filter(name=f"a000_{name}").update(started_at=ended - timedelta(hours=hours), finished_at=ended)
    assert found(as_viewer, "o=took")[:3] == ["fc0_2", "fc0_1", "fc1_1"]
    assert found(as_viewer, "o=-took")[:3] == ["fc1_1", "fc0_1", "fc0_2"]


def test_several_columns_sort_and_need_not_be_shown(as_viewer: Client, jobs: Experiment) -> None:
    assert found(as_viewer, "columns=name&o=status.-chunk&status=COMPLETED,FAILED") == [
        "fc0_1", "fc1_1", "fc0_2", "fc1_2",
    ]  # fmt: skip


def test_the_headings_sort_by_names_that_stay_when_columns_change(as_viewer: Client, jobs: Experiment) -> None:
    shown = text_of(as_viewer.get("/experiments/a000/jobs/?columns=name,finished&o=-finished"))
    assert "?columns=name%2Cfinished&amp;o=finished" in shown
    assert "?columns=name%2Cfinished&amp;o=name.-finished" in shown
    assert "Platform</a>" not in shown


def test_a_file_has_the_columns_that_were_chosen(as_viewer: Client, jobs: Experiment) -> None:
    rows = read(as_viewer, "/experiments/a000/jobs/", columns="name,status,finished", status="FAILED", o="name")
    assert [(row["name"], [*row]) for row in rows] == [
        (f"a000_{name}", ["name", "status", "finished_at (UTC)"]) for name in ("fc0_2", "fc1_2")
    ]


def test_somebody_keeps_a_view_and_finds_it_above_the_filters(as_viewer: Client, jobs: Experiment) -> None:
    sent = {"name": "Broken", "query": "status=FAILED&status=SUSPENDED&p=3&o=-finished", "experiment": jobs.pk}
    answer = as_viewer.post(KEEP, sent)
    assert answer["Location"] == "/experiments/a000/jobs/?o=-finished&status=FAILED,SUSPENDED"
    shown = text_of(as_viewer.get(answer["Location"]))
    assert '<a href="?o=-finished&amp;status=FAILED,SUSPENDED" aria-current="true">Broken</a>' in shown


def test_a_view_is_of_its_experiment_unless_it_is_of_any(as_viewer: Client, jobs: Experiment) -> None:
    other = factories.create_experiment(jobs.site, expid="a001")
    as_viewer.post(KEEP, {"name": "Here", "query": "status=FAILED", "experiment": jobs.pk})
    as_viewer.post(KEEP, {"name": "Anywhere", "query": "status=FAILED", "experiment": jobs.pk, "is_general": "on"})
    there = as_viewer.get(page_of("experiments_experiment", other.pk) + "jobs/").context["views"]
    here = as_viewer.get("/experiments/a000/jobs/").context["views"]
    assert [view.name for view, _, _ in there] == ["Anywhere"]
    assert [view.name for view, _, _ in here] == ["Anywhere", "Here"]


def test_a_view_takes_the_place_of_one_with_its_name(as_viewer: Client, jobs: Experiment) -> None:
    for status in ("FAILED", "WAITING"):
        as_viewer.post(KEEP, {"name": "Mine", "query": f"status={status}"})
    assert [view.query for view in SavedView.objects.all()] == ["status=WAITING"]


def test_a_view_is_seen_and_removed_by_nobody_else(
    as_viewer: Client, signed_in: Callable[[User], Client], admin_user: User, jobs: Experiment
) -> None:
    as_viewer.post(KEEP, {"name": "Mine", "query": "status=FAILED"})
    view = SavedView.objects.get()
    boss = signed_in(admin_user)
    assert boss.get("/jobs/").context["views"] == []
    assert boss.post(f"{KEEP}{view.pk}/remove/").status_code == 404
    assert as_viewer.post(f"{KEEP}{view.pk}/remove/", {"back": "//evil.example/"})["Location"] == "/jobs/"
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        ({"name": "", "query": "status=FAILED"}, "Name: This field is required."),
        ({"name": "x" * 61, "query": "status=FAILED"}, "Name: Ensure this value has at most 60 characters"),
        ({"name": "x", "query": "p=2"}, "Query: choose filters, columns or an order first."),
        ({"name": "x", "query": "q=" + "x" * 4000}, "Query: Ensure this value has at most 4000 characters"),
    ],
)
def test_a_view_that_cannot_be_kept_says_why(
    as_viewer: Client, site: Any, sent: dict[str, str], complaint: str
) -> None:
    assert complaint in text_of(as_viewer.post(KEEP, sent, follow=True))
    assert not SavedView.objects.exists()


def test_a_person_has_only_so_many_views(as_viewer: Client, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MOST", 1)
    for name in ("first", "second"):
        answer = as_viewer.post(KEEP, {"name": name, "query": "status=FAILED"}, follow=True)
    assert "You have 1 views. Remove one first." in text_of(answer)
    assert SavedView.objects.count() == 1


def test_a_view_of_an_experiment_that_one_may_not_see_is_not_kept(
    signed_in: Callable[[User], Client], jobs: Experiment
) -> None:
    stranger = factories.create_user()
    factories.create_team((stranger, Role.VIEWER), covers={"site": factories.create_site()})
    answer = signed_in(stranger).post(KEEP, {"name": "x", "query": "status=FAILED", "experiment": jobs.pk})
    assert answer.status_code == 404


def test_a_name_is_shown_as_text(as_viewer: Client, jobs: Experiment) -> None:
    as_viewer.post(KEEP, {"name": "<b>x", "query": "q=<i>"})
    assert "<b>x" not in text_of(as_viewer.get("/jobs/"))
