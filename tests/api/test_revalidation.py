"""Asking again for what one has: 304 when it is the same, never when it is not."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.api.http.conditional import MOST_BYTES_KEPT, kept_answers
from experiments.models import Experiment, State
from jobs.models import Job
from tests.support import factories

SIM = "/v4/experiments/a000/jobs/a000_20000101_fc0_1_SIM"
PATHS = [
    "/v4/experiments",
    "/v4/experiments/a000",
    "/v4/experiments/a000/runs",
    "/v4/experiments/a000/jobs",
    "/v4/experiments/a000/jobs?view=quick&page_size=2",
    SIM,
    f"{SIM}/parents",
    f"{SIM}/children?include_status=true",
]


@pytest.fixture
def again(as_viewer: APIClient) -> Callable[..., Any]:
    """Ask for a path with the validator of an earlier answer."""
    return lambda path, answer: as_viewer.get(path, HTTP_IF_NONE_MATCH=answer["ETag"])


@pytest.mark.parametrize("path", PATHS)
def test_what_is_the_same_is_not_sent_again(
    as_viewer: APIClient, experiment: Experiment, again: Callable[..., Any], path: str
) -> None:
    first = as_viewer.get(path)
    second = again(path, first)
    assert (second.status_code, second.content, second["ETag"]) == (304, b"", first["ETag"])
    for answer in (first, second):
        assert answer["Cache-Control"] == "private, no-cache"
        assert {"Authorization", "Cookie", "Accept", "Accept-Encoding"} <= set(answer["Vary"].split(", "))


@pytest.mark.parametrize("sent", ["*", '"other", {tag}', "{strong}"])
def test_every_form_of_the_header_is_understood(as_viewer: APIClient, experiment: Experiment, sent: str) -> None:
    tag = as_viewer.get("/v4/experiments/a000")["ETag"]
    header = sent.format(tag=tag, strong=tag.removeprefix("W/"))
    assert as_viewer.get("/v4/experiments/a000", HTTP_IF_NONE_MATCH=header).status_code == 304


@pytest.mark.parametrize("path", ["/v4/experiments", "/v4/experiments/a000"])
@pytest.mark.parametrize(
    "change",
    [
        lambda experiment: Experiment.objects.update(is_running=True),
        lambda experiment: Experiment.objects.update(evidence="process 7 holds the lock"),
        lambda experiment: Experiment.objects.update(problem="unreadable"),
        factories.create_action,
    ],
    ids=["running", "evidence", "problem", "active action"],
)
def test_an_experiment_that_changed_is_sent_again(
    as_viewer: APIClient, experiment: Experiment, again: Callable[..., Any], path: str, change: Any
) -> None:
    first = as_viewer.get(path)
    change(experiment)
    assert again(path, first).status_code == 200


def test_the_end_of_its_action_is_a_change(
    as_viewer: APIClient, experiment: Experiment, again: Callable[..., Any]
) -> None:
    action = factories.create_action(experiment)
    first = as_viewer.get("/v4/experiments/a000")
    type(action).objects.update(state=State.SUCCEEDED)
    assert again("/v4/experiments/a000", first).json()["active_action"] is None


@pytest.mark.parametrize("path", PATHS[2:])
def test_what_the_mirror_wrote_anew_is_sent_again(
    as_viewer: APIClient, experiment: Experiment, again: Callable[..., Any], path: str
) -> None:
    first = as_viewer.get(path)
    Job.objects.update(status="SUSPENDED")
    Experiment.objects.update(refreshed_at=timezone.now())
    assert again(path, first).status_code == 200


def test_known_jobs_are_not_read(as_viewer: APIClient, experiment: Experiment, again: Callable[..., Any]) -> None:
    first = as_viewer.get("/v4/experiments/a000/jobs")
    with CaptureQueriesContext(connection) as captured:
        assert again("/v4/experiments/a000/jobs", first).status_code == 304
    assert not [query for query in captured if "jobs_job" in query["sql"]]


def test_another_query_has_another_validator(as_viewer: APIClient, experiment: Experiment) -> None:
    paths = ("/v4/experiments/a000/jobs", "/v4/experiments/a000/jobs?view=quick")
    assert as_viewer.get(paths[0])["ETag"] != as_viewer.get(paths[1])["ETag"]


def test_who_may_not_look_any_more_is_refused(api: Callable[..., APIClient], experiment: Experiment) -> None:
    user: User = factories.create_user()
    user.user_permissions.set(Permission.objects.filter(codename__in=("view_experiment", "view_job")))
    client = api(user)
    for path in PATHS[1:]:
        tag = client.get(path)["ETag"]
        user.user_permissions.clear()
        assert client.get(path, HTTP_IF_NONE_MATCH=tag).status_code == 403
        user.user_permissions.set(Permission.objects.filter(codename__in=("view_experiment", "view_job")))


def test_an_error_has_no_validator(as_viewer: APIClient, experiment: Experiment) -> None:
    answer = as_viewer.get("/v4/experiments/a0zz", HTTP_IF_NONE_MATCH="*")
    assert answer.status_code == 404
    assert "ETag" not in answer


KEPT = [path for path in PATHS[2:] if path != SIM]


@pytest.mark.parametrize("path", KEPT)
def test_what_is_the_same_is_made_once(as_viewer: APIClient, experiment: Experiment, path: str) -> None:
    first = as_viewer.get(path)
    with CaptureQueriesContext(connection) as captured:
        second = as_viewer.get(path)
    assert (second.content, second["ETag"], second["Content-Type"]) == (
        first.content,
        first["ETag"],
        first["Content-Type"],
    )
    assert not [query for query in captured if "jobs_job" in query["sql"] or "experiments_run" in query["sql"]]


def test_what_the_mirror_wrote_anew_is_made_anew(as_viewer: APIClient, experiment: Experiment) -> None:
    as_viewer.get("/v4/experiments/a000/jobs")
    Job.objects.update(status="SUSPENDED")
    Experiment.objects.update(refreshed_at=timezone.now())
    statuses = {job["status"] for job in as_viewer.get("/v4/experiments/a000/jobs").json()["jobs"]}
    assert statuses == {"SUSPENDED"}


def test_a_kept_answer_is_not_for_whom_may_not_look(
    api: Callable[..., APIClient], as_viewer: APIClient, experiment: Experiment
) -> None:
    for path in KEPT:
        assert as_viewer.get(path).status_code == 200
        assert api(factories.create_user()).get(path).status_code == 403


def test_a_kept_answer_names_the_host_that_was_asked(as_viewer: APIClient, experiment: Experiment) -> None:
    path = "/v4/experiments/a000/jobs?page_size=1"
    hosts = ("testserver", "localhost")
    links = [as_viewer.get(path, HTTP_HOST=host).json()["pagination"]["next"] for host in hosts]
    assert [link.split("/")[2] for link in links] == list(hosts)


def test_only_so_many_bytes_are_kept() -> None:
    piece = bytes(MOST_BYTES_KEPT // 4)
    for number in range(6):
        kept_answers.keep((str(number),), piece)
    assert [kept_answers.get((str(number),)) is not None for number in range(6)] == [False, False, *[True] * 4]
    kept_answers.keep(("huge",), piece + b"1")
    assert kept_answers.get(("huge",)) is None
