"""Reading jobs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment, Site
from jobs.models import Job
from tests.support import factories
from tests.support.stores.written import write_store

SIM = "a000_20000101_fc0_1_SIM"
JOBS = "/v4/experiments/a000/jobs"


def names(client: APIClient, **query: Any) -> list[str]:
    answer = client.get(JOBS, query)
    assert answer.status_code == 200, answer.data
    return [job["name"].removeprefix("a000_") for job in answer.json()["jobs"]]


def test_without_page_size_all_jobs_are_on_one_page(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get(JOBS).json()
    assert len(answer["jobs"]) == 3
    page = {"page": 1, "page_size": None, "total_pages": 1, "page_items": 3, "total_items": 3}
    assert page.items() <= answer["pagination"].items()


def test_with_page_size_jobs_come_in_pages(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get(f"{JOBS}?page_size=2&page=2").json()
    assert [job["name"] for job in answer["jobs"]] == ["a000_POST"]
    page = {"page": 2, "page_size": 2, "total_pages": 2, "page_items": 1, "total_items": 3}
    assert page.items() <= answer["pagination"].items()


def test_the_quick_view_has_names_and_statuses(as_viewer: APIClient, experiment: Experiment) -> None:
    jobs = as_viewer.get(f"{JOBS}?view=quick").json()["jobs"]
    assert jobs[0] == {"name": SIM, "status": "FAILED"}


def test_the_base_view_has_the_day_and_null_for_what_is_not_said(as_viewer: APIClient, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(date=datetime(2000, 1, 1, tzinfo=UTC), member="")
    shown = as_viewer.get(JOBS).json()["jobs"][0]
    assert (shown["date"], shown["member"], shown["split"]) == ("2000-01-01", None, None)


@pytest.fixture
def two_starts(experiment: Experiment) -> list[str]:
    """Jobs of two start dates on one day, the second at noon."""
    for hour in (0, 12):
        start = datetime(2000, 1, 1, hour, tzinfo=UTC)
        factories.create_job(experiment, f"a000_20000101{hour:02}_fc0_2_SIM", date=start, chunk=2)
    return ["2000010100_fc0_2_SIM", "2000010112_fc0_2_SIM"]


@pytest.mark.parametrize(
    ("date", "hours"),
    [
        ("20000101", [0, 1]),
        ("2000-01-01", [0, 1]),
        ("2000010112", [1]),
        ("2000-01-01T12:00", [1]),
        ("200001010000", [0]),
        ("2000010113", []),
        ("2000010100,2000010112", [0, 1]),
        ("19991231-2000010100", [0]),
        ("2000010101-20000102", [1]),
    ],
)
def test_an_hour_is_a_part_of_a_start_date(
    as_viewer: APIClient, two_starts: list[str], date: str, hours: list[int]
) -> None:
    assert names(as_viewer, date=date) == [two_starts[number] for number in hours]


@pytest.mark.parametrize(
    "date", ["2000010199", "20000132", "2000", "200001", "2000-W01-1", "2000-0101", "20000101x", "２００００１０１"]
)
def test_what_is_no_date_is_refused_and_says_what_is(as_viewer: APIClient, experiment: Experiment, date: str) -> None:
    answer = as_viewer.get(JOBS, {"date": date})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["date"])
    assert "is no date" in answer.json()["detail"]


def test_the_hour_of_a_start_date_is_shown(as_viewer: APIClient, two_starts: list[str]) -> None:
    listed = as_viewer.get(JOBS, {"date": "20000101"}).json()["jobs"]
    assert [job["date"] for job in listed] == ["2000-01-01", "2000-01-01T12:00"]
    assert as_viewer.get(f"{JOBS}/a000_{two_starts[1]}").json()["date"] == "2000010112"


@pytest.mark.parametrize("time", ["2000-W01-1", "20000101", "2000010112", "2000-01-01T25:00", "2000-01-01T1"])
def test_what_is_no_time_is_refused(as_viewer: APIClient, experiment: Experiment, time: str) -> None:
    assert as_viewer.get(JOBS, {"submit_after": time}).status_code == 400


@pytest.mark.parametrize("number", ["1_0", "１", "1.0", "1e0", "0x1", "true"])
@pytest.mark.parametrize("name", ["page", "page_size", "fail_count_min", "chunk"])
def test_what_is_no_number_in_plain_digits_is_refused(
    as_viewer: APIClient, experiment: Experiment, name: str, number: str
) -> None:
    answer = as_viewer.get(JOBS, {name: number})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [name])


SLASH = "a000_UP/LOAD.x+1"


@pytest.mark.parametrize("name", [SLASH, SLASH.replace("/", "%2F"), f"{SLASH}/"])
def test_a_job_with_a_slash_in_its_name_has_its_routes(as_viewer: APIClient, experiment: Experiment, name: str) -> None:
    factories.create_dependency(factories.create_job(experiment, SLASH), experiment.jobs.get(name="a000_POST"))
    assert as_viewer.get(f"{JOBS}/{name}").json()["name"] == SLASH
    (child,) = as_viewer.get(f"{JOBS}/{name.strip('/')}/children").json()["children"]
    assert child["job_name"] == "a000_POST"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"job_name": "SIM"}, ["20000101_fc0_1_SIM"]),
        ({"job_name": "sim"}, ["20000101_fc0_1_SIM"]),
        ({"job_name": "*fc0*"}, ["20000101_fc0_1_SIM", "20000101_fc0_INI"]),
        ({"job_name": "fc0*"}, []),
        ({"job_name": "!SIM"}, ["20000101_fc0_INI", "POST"]),
        ({"job_name": "fc0%SIM"}, []),
        ({"status": "FAILED"}, ["20000101_fc0_1_SIM"]),
        ({"section": "POST"}, ["POST"]),
        ({"member": "fc0"}, ["20000101_fc0_1_SIM", "20000101_fc0_INI"]),
        ({"chunk": "1"}, ["20000101_fc0_1_SIM"]),
        ({"chunk": "0,1-3"}, ["20000101_fc0_1_SIM"]),
        ({"chunk": "2-9"}, []),
        ({"split": "4"}, ["POST"]),
        ({"status": "FAILED,WAITING"}, ["20000101_fc0_1_SIM", "POST"]),
        ({"section": "POST, INI"}, ["20000101_fc0_INI", "POST"]),
        ({"member": "fc0,fc1"}, ["20000101_fc0_1_SIM", "20000101_fc0_INI"]),
        ({"date": "20000101"}, ["POST"]),
        ({"date": "2000-01-01,2001-01-01"}, ["POST"]),
        ({"date": "9999-12-31"}, []),
        ({"platform": "lumi*"}, ["POST"]),
        ({"platform": "!lumi*"}, ["20000101_fc0_1_SIM", "20000101_fc0_INI"]),
        ({"fail_count_min": "2"}, ["POST"]),
        ({"fail_count_max": "1"}, ["20000101_fc0_1_SIM", "20000101_fc0_INI"]),
        ({"submit_after": "2026-01-01", "submit_before": "2026-01-02"}, ["POST"]),
        ({"start_after": "2026-01-02"}, []),
        ({"finish_before": "2030-01-01"}, []),
        ({"order_by": "section"}, ["20000101_fc0_INI", "POST", "20000101_fc0_1_SIM"]),
        ({"order_desc": "true"}, ["POST", "20000101_fc0_INI", "20000101_fc0_1_SIM"]),
        ({"order_by": "submit", "page_size": "1"}, ["POST"]),
    ],
    ids=str,
)
def test_jobs_are_filtered(
    as_viewer: APIClient, experiment: Experiment, query: dict[str, str], found: list[str]
) -> None:
    Job.objects.filter(section="POST").update(
        split=4,
        date=datetime(2000, 1, 1, 12, tzinfo=UTC),
        platform="LUMI-C",
        fail_count=2,
        submitted_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
    )
    assert names(as_viewer, **query) == found


def test_a_pattern_of_many_stars_is_answered_at_once(as_viewer: APIClient, experiment: Experiment) -> None:
    factories.create_job(experiment, "a" * 250)
    assert names(as_viewer, job_name="*a" * 100 + "*b") == []


@pytest.mark.parametrize(
    "query",
    [
        *("status=completed", "status=FAILED,other", "view=other", "page_size=0", "page_size=1001"),
        *("chunk=x", "chunk=1-", "chunk=99999999999", "date=2000", "order_by=size", "fields=size"),
        *("submit_after=x", "fail_count_min=x", "section=SIM%00", "member=%00,fc0"),
    ],
)
def test_a_wrong_parameter_is_named(as_viewer: APIClient, experiment: Experiment, query: str) -> None:
    answer = as_viewer.get(f"{JOBS}?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.partition("=")[0]]


def test_a_wrong_status_is_answered_with_the_legal_ones(as_viewer: APIClient, experiment: Experiment) -> None:
    message = as_viewer.get(f"{JOBS}?status=completed").json()["errors"]["status"][0]
    assert message.startswith("“completed” is not one of COMPLETED, DELAYED, FAILED")


def test_a_job_is_shown_whole(as_viewer: APIClient, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(
        date=datetime(2000, 1, 1, tzinfo=UTC), processors="768", started_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    shown = as_viewer.get(f"{JOBS}/{SIM}").json()
    assert (shown["name"], shown["status"], shown["date"]) == (SIM, "FAILED", "20000101")
    assert (shown["processors"], shown["start"]) == (768, "2026-01-01T00:00:00+00:00")


def test_what_is_not_known_of_a_job_is_null(as_viewer: APIClient, job: Job) -> None:
    shown = as_viewer.get(f"{JOBS}/{SIM}").json()
    unknown = ("platform", "qos", "wallclock", "workflow_commit", "remote_id", "out_path_local", "last_wrapper")
    assert {shown[name] for name in unknown} == {None}


def test_processors_of_several_parts_are_no_number(as_viewer: APIClient, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(processors="4:16")
    assert as_viewer.get(f"{JOBS}/{SIM}").json()["processors"] is None


def test_the_chunk_of_a_job_is_that_of_the_newest_run(as_viewer: APIClient, job: Job) -> None:
    factories.create_run(job.experiment, run_id=1, chunk_size=1, chunk_unit="day")
    factories.create_run(job.experiment, run_id=2, chunk_size=4, chunk_unit="month")
    shown = as_viewer.get(f"{JOBS}/{SIM}").json()
    assert (shown["chunk_size"], shown["chunk_unit"]) == (4, "month")


def test_a_log_without_a_store_is_shown_by_its_name(as_viewer: APIClient, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(out_log="sim.out")
    shown = as_viewer.get(f"{JOBS}/{SIM}").json()
    assert (shown["out_path_local"], shown["err_path_local"]) == ("sim.out", None)


def test_a_log_is_shown_by_the_path_of_what_exists(as_viewer: APIClient, job: Job, tmp_path: Path) -> None:
    logs = write_store(tmp_path, "a000") / "tmp" / "LOG_a000"
    (logs / f"{SIM}.20261128173232.out_attempt_1").touch()
    Site.objects.update(home=str(tmp_path))
    names = {f"{kind}_log": f"{SIM}.20261128173227.{kind}_attempt_1" for kind in ("out", "err")}
    Job.objects.filter(pk=job.pk).update(**names)
    shown = as_viewer.get(f"{JOBS}/{SIM}").json()
    assert shown["out_path_local"] == f"{logs}/{SIM}.20261128173232.out_attempt_1"
    assert shown["err_path_local"] is None


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd"])
def test_a_log_outside_the_experiment_is_not_looked_for(as_viewer: APIClient, job: Job, name: str) -> None:
    Job.objects.filter(pk=job.pk).update(out_log=name)
    assert as_viewer.get(f"{JOBS}/{SIM}").json()["out_path_local"] == name


@pytest.mark.parametrize("path", ["", "/parents", "/children"])
def test_an_unknown_job_is_not_found(as_viewer: APIClient, experiment: Experiment, path: str) -> None:
    answer = as_viewer.get(f"{JOBS}/a000_NOPE{path}")
    assert (answer.status_code, answer.json()["detail"]) == (404, "a000 has no job a000_NOPE.")


def test_parents_and_children_are_named(as_viewer: APIClient, experiment: Experiment) -> None:
    assert as_viewer.get(f"{JOBS}/{SIM}/parents").json() == {"parents": [{"job_name": "a000_20000101_fc0_INI"}]}
    assert as_viewer.get(f"{JOBS}/{SIM}/children").json() == {"children": [{"job_name": "a000_POST"}]}


def test_parents_come_with_their_status_if_wanted(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get(f"{JOBS}/{SIM}/parents?include_status=true").json()
    assert answer == {"parents": [{"job_name": "a000_20000101_fc0_INI", "status": "COMPLETED"}]}


def test_all_jobs_are_written_as_those_of_a_page(as_viewer: APIClient, experiment: Experiment) -> None:
    strange = 'quoted " \\ \u2028 \t é \U0001f600'
    Job.objects.filter(section="POST").update(out_log=strange, date=datetime(2000, 1, 1, tzinfo=UTC), chunk=0)
    for query in ("", "fields=chunk,out_path_local,remote_id,qos&", "view=quick&"):
        whole = as_viewer.get(f"{JOBS}?{query}").json()["jobs"]
        paged = as_viewer.get(f"{JOBS}?{query}page_size=100").json()["jobs"]
        assert whole == paged
        assert [list(job) for job in whole] == [list(job) for job in paged]


def test_all_jobs_are_shown_as_a_page_for_browsers(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get(JOBS, HTTP_ACCEPT="text/html")
    assert (answer.status_code, "a000_POST" in answer.content.decode()) == (200, True)


@pytest.mark.parametrize("name", ["parents", "children"])
def test_relatives_that_the_store_does_not_tell_are_null_with_the_reason(
    as_viewer: APIClient, job: Job, name: str
) -> None:
    Experiment.objects.update(are_edges_known=False, edges_note="Which jobs wait for which is not known.")
    answer = as_viewer.get(f"{JOBS}/{SIM}/{name}").json()
    assert answer == {name: None, "note": "Which jobs wait for which is not known."}


PLANS = {"SIM": {"platform": "MN5", "processors": "768", "wallclock": "01:30", "qos": "gp_debug"}}


def test_a_job_that_was_not_sent_shows_what_is_planned(as_viewer: APIClient, job: Job) -> None:
    Experiment.objects.update(plans=PLANS)
    Job.objects.filter(pk=job.pk).update(status="WAITING", wallclock="02:00")
    shown = as_viewer.get(f"{JOBS}/{SIM}").json()
    assert (shown["platform"], shown["processors"], shown["wallclock"]) == ("MN5", 768, "02:00")
    assert shown["planned"] == ["platform", "processors", "wallclock", "qos"]


def test_nothing_is_planned_of_a_job_that_has_ended(as_viewer: APIClient, job: Job) -> None:
    Experiment.objects.update(plans=PLANS)
    shown = as_viewer.get(f"{JOBS}/{SIM}").json()
    assert (shown["status"], shown["qos"], shown["planned"]) == ("FAILED", None, [])


def test_a_list_shows_what_is_planned_if_it_is_asked_for(as_viewer: APIClient, job: Job) -> None:
    Experiment.objects.update(plans=PLANS)
    Job.objects.filter(pk=job.pk).update(status="WAITING")
    for size in ("", "&page_size=10"):
        listed = as_viewer.get(f"{JOBS}?section=SIM&fields=qos,planned{size}").json()["jobs"]
        assert listed == [{"qos": "gp_debug", "planned": ["platform", "processors", "wallclock", "qos"]}]
        assert as_viewer.get(f"{JOBS}?section=SIM&fields=platform{size}").json()["jobs"] == [{"platform": "MN5"}]
