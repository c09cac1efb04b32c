"""The pages with the pictures of an experiment, what their pictures are made of, and why a job does not run."""

import gzip
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from autosubmit_portal.access.roles import Role
from experiments.models import Action, Experiment
from experiments.registry import mark_gone
from jobs.models import Job
from jobs.pictures.picture import LETTERS
from tests.console.pages import page_of, text_of
from tests.support import factories

SCRIPT = Path(__file__).parents[2] / "autosubmit_portal" / "static" / "portal" / "picture.js"
START = datetime(2026, 11, 1, tzinfo=UTC)
SEEN = re.compile(r'<span class="quiet" title="Autosubmit has not written it yet[^"]*">\(seen\)</span>')
FORM = "/jobs/request/set_status/form/"


def address(picture: str, experiment: Experiment, query: str = "") -> str:
    return reverse(f"admin:experiments_experiment_{picture}", args=[experiment]) + query


def data(client: Client, picture: str, experiment: Experiment, query: str = "") -> Any:
    return client.get(address(f"{picture}_data", experiment, query)).json()


def names(client: Client, picture: str, experiment: Experiment, query: str = "") -> set[str]:
    return set(data(client, picture, experiment, query)["names"])


@pytest.fixture
def chunks(experiment: Experiment) -> Experiment:
    """Two members with two chunks each, besides the jobs that there are."""
    for member in ("fc0", "fc1"):
        for chunk in (1, 2):
            factories.create_job(
                experiment, f"a000_{member}_{chunk}_SIM", section="SIM", date=START, member=member, chunk=chunk
            )
    return experiment


@pytest.mark.parametrize("picture", ["grid", "graph", "timeline"])
def test_a_page_has_its_picture_and_a_table_of_the_same_jobs(
    as_viewer: Client, experiment: Experiment, picture: str
) -> None:
    Job.objects.filter(experiment=experiment).update(submitted_at=START)
    page = text_of(as_viewer.get(address(picture, experiment, "?view=jobs")))
    assert f'data-picture="{address(f"{picture}_data", experiment)}?view=jobs"' in page
    assert page.count('/">a000_') == 3


@pytest.mark.parametrize("picture", ["grid", "graph", "timeline"])
def test_the_page_of_an_experiment_leads_to_its_pictures(
    as_viewer: Client, experiment: Experiment, picture: str
) -> None:
    page = text_of(as_viewer.get(page_of("experiments_experiment", experiment.pk)))
    assert f'<a href="{address(picture, experiment)}">' in page


def test_the_picture_has_the_jobs_with_their_statuses(as_viewer: Client, experiment: Experiment) -> None:
    told = data(as_viewer, "grid", experiment)
    assert dict(zip(told["names"], told["status"], strict=True)) == {"a000_INI": "C", "a000_SIM": "F", "a000_POST": "W"}
    assert sum(told["ids"]) == max(experiment.jobs.values_list("pk", flat=True))


def test_the_graph_has_the_edges(as_viewer: Client, experiment: Experiment) -> None:
    assert data(as_viewer, "graph", experiment)["parents"] == [0, 1, 1, 1, 1]


def test_filters_choose_jobs_in_the_picture_and_in_the_table(as_viewer: Client, chunks: Experiment) -> None:
    query = "?section=SIM&date=20261101&member=fc1"
    assert names(as_viewer, "grid", chunks, query) == {"a000_fc1_1_SIM", "a000_fc1_2_SIM"}
    page = text_of(as_viewer.get(address("grid", chunks, query)))
    assert "a000_fc1_1_SIM" in page
    assert "a000_fc0_1_SIM" not in page


def test_a_date_that_is_none_chooses_nothing(as_viewer: Client, chunks: Experiment) -> None:
    assert names(as_viewer, "grid", chunks, "?date=soon") == set()
    assert "Nothing matches" in text_of(as_viewer.get(address("grid", chunks, "?date=soon")))


def test_a_job_that_was_never_sent_is_not_on_the_timeline(as_viewer: Client, experiment: Experiment) -> None:
    experiment.jobs.filter(section="SIM").update(
        submitted_at=START, started_at=START + timedelta(minutes=2), finished_at=START + timedelta(minutes=5)
    )
    told = data(as_viewer, "timeline", experiment)
    assert (told["names"], told["queued"], told["ran"]) == (["a000_SIM"], [120], [180])
    assert told["origin"] == START.timestamp()


def see(experiment: Experiment, job: str, status: str, at: datetime = START) -> None:
    """Have a job in a status whose times are not written, and the mirror see it so since then."""
    experiment.jobs.filter(name=job).update(status=status)
    Experiment.objects.filter(pk=experiment.pk).update(
        is_running=True, active_since={job: [status, at.isoformat()]}, status_counts={status: 1}
    )


def test_a_running_job_whose_times_are_not_written_is_on_the_timeline_since_it_was_seen(
    as_viewer: Client, experiment: Experiment
) -> None:
    see(experiment, "a000_SIM", "RUNNING")
    told = data(as_viewer, "timeline", experiment)
    assert (told["names"], told["seen"], told["origin"], told["waits"]) == (["a000_SIM"], [0], START.timestamp(), [0])
    table = text_of(as_viewer.get(address("timeline", experiment)))
    assert SEEN.search(table)
    assert "a000_SIM" in table


def test_the_table_of_the_grid_says_since_when_a_job_is_seen_in_the_queue(
    as_viewer: Client, experiment: Experiment
) -> None:
    see(experiment, "a000_SIM", "QUEUING")
    table = text_of(as_viewer.get(address("grid", experiment)))
    assert f'<time datetime="{START.isoformat()}"' in table
    assert len(SEEN.findall(table)) == 2


def test_a_picture_is_another_one_when_a_job_is_seen_in_its_status(as_viewer: Client, experiment: Experiment) -> None:
    see(experiment, "a000_SIM", "RUNNING")
    before = as_viewer.get(address("timeline_data", experiment))["ETag"]
    see(experiment, "a000_SIM", "RUNNING", START + timedelta(minutes=1))
    assert as_viewer.get(address("timeline_data", experiment))["ETag"] != before


def test_runs_stand_on_the_timeline_and_lead_to_their_pages(as_viewer: Client, experiment: Experiment) -> None:
    experiment.jobs.update(submitted_at=START, finished_at=START + timedelta(minutes=5))
    run = factories.create_run(experiment, run_id=3, started_at=START, ended_at=START + timedelta(minutes=6))
    told = data(as_viewer, "timeline", experiment)
    assert told["spans"] == [["Run 3", 0, 0, 360, 0, [], page_of("experiments_run", run.pk)]]
    assert told["groups"][0][0] == "Runs"


def test_only_the_newest_run_of_a_running_experiment_goes_on(as_viewer: Client, experiment: Experiment) -> None:
    experiment.jobs.update(submitted_at=START)
    for number in (1, 2):
        factories.create_run(experiment, run_id=number, started_at=START + timedelta(hours=number - 1))
    type(experiment).objects.update(is_running=True)
    assert [span[3] is None for span in data(as_viewer, "timeline", experiment)["spans"]] == [False, True]


def test_a_run_that_has_stopped_changes_the_timeline(as_viewer: Client, experiment: Experiment) -> None:
    experiment.jobs.update(submitted_at=START, finished_at=START)
    factories.create_run(experiment, run_id=1, started_at=START)
    type(experiment).objects.update(is_running=True)
    before = as_viewer.get(address("timeline_data", experiment))["ETag"]
    type(experiment).objects.update(is_running=False)
    after = as_viewer.get(address("timeline_data", experiment), headers={"If-None-Match": before})
    assert (after.status_code, after.json()["spans"][0][3]) == (200, 1)


def test_wrappers_stand_on_the_timeline_and_lead_to_their_jobs(as_viewer: Client, experiment: Experiment) -> None:
    wrapped = experiment.jobs.exclude(section="INI")
    wrapped.update(submitted_at=START, started_at=START + timedelta(minutes=2), wrapper="a000_W 1&2")
    wrapped.update(finished_at=START + timedelta(minutes=5))
    told = data(as_viewer, "timeline", experiment)
    [[label, x, y, width, wait, places, page]] = told["spans"]
    assert (label, x, y, width, wait, places) == ("a000_W 1&2", 0, 0, 300, 120, [0, 1])
    assert "a000_INI" not in text_of(as_viewer.get(page))
    assert "a000_SIM" in text_of(as_viewer.get(page))


def test_the_table_of_the_timeline_names_wrappers(as_viewer: Client, experiment: Experiment) -> None:
    experiment.jobs.update(submitted_at=START, wrapper="a000_W1")
    assert "?wrapper=a000_W1" in text_of(as_viewer.get(address("timeline", experiment)))


def test_the_graph_begins_with_the_sections(as_viewer: Client, experiment: Experiment) -> None:
    page = text_of(as_viewer.get(address("graph", experiment)))
    assert "INI: 1 edge to SIM" in page
    assert 'aria-label="SIM: 1 FAILED"' in page
    assert "data-picture" not in page


def test_the_surroundings_of_a_job_go_so_many_steps(as_viewer: Client, experiment: Experiment) -> None:
    ini = experiment.jobs.get(section="INI")
    assert names(as_viewer, "graph", experiment, f"?job={ini.pk}&steps=1") == {"a000_INI", "a000_SIM"}
    assert names(as_viewer, "graph", experiment, f"?job={ini.pk}&steps=2") == {"a000_INI", "a000_SIM", "a000_POST"}


def test_a_job_of_another_experiment_has_no_surroundings_here(as_viewer: Client, experiment: Experiment) -> None:
    other = factories.create_job(factories.create_experiment(experiment.site))
    assert as_viewer.get(address("graph_data", experiment, f"?job={other.pk}")).status_code == 404


@pytest.mark.parametrize("query", ["?job=x", "?blocked=", "?job=99999999999999999999"])
def test_what_is_no_job_is_not_found(as_viewer: Client, experiment: Experiment, query: str) -> None:
    assert as_viewer.get(address("graph", experiment, query)).status_code == 404


def test_the_way_from_the_cause_to_a_job_is_a_graph(as_viewer: Client, experiment: Experiment) -> None:
    post = experiment.jobs.get(section="POST")
    assert names(as_viewer, "graph", experiment, f"?blocked={post.pk}") == {"a000_SIM", "a000_POST"}


def test_a_job_says_why_it_does_not_run(as_viewer: Client, experiment: Experiment) -> None:
    last = factories.create_job(experiment, "a000_LAST")
    factories.create_dependency(experiment.jobs.get(section="POST"), last)
    page = text_of(as_viewer.get(page_of("jobs_job", last.pk)))
    told = re.search(r'id="blocked">.*?</section>', page, re.DOTALL)
    assert told
    assert f'{page_of("jobs_job", experiment.jobs.get(name="a000_SIM").pk)}">a000_SIM</a>' in told[0]
    assert "2 jobs back" in told[0]


def test_a_job_that_has_run_does_not_say_why_it_does_not(as_viewer: Client, job: Job) -> None:
    assert 'id="blocked"' not in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


def test_a_job_that_waits_for_nothing_does_not_say_why_it_does_not_run(
    as_viewer: Client, experiment: Experiment
) -> None:
    experiment.jobs.filter(section="SIM").update(status="COMPLETED")
    post = experiment.jobs.get(section="POST")
    assert 'id="blocked"' not in text_of(as_viewer.get(page_of("jobs_job", post.pk)))


def test_a_picture_that_the_browser_has_is_not_sent_again(as_viewer: Client, experiment: Experiment) -> None:
    where = address("grid_data", experiment)
    validator = as_viewer.get(where)["ETag"]
    assert as_viewer.get(where, headers={"If-None-Match": validator}).status_code == 304


def test_a_picture_is_sent_again_when_the_mirror_has_written(as_viewer: Client, experiment: Experiment) -> None:
    where = address("grid_data", experiment)
    validator = as_viewer.get(where)["ETag"]
    experiment.jobs.update(status="COMPLETED")
    Experiment.objects.filter(pk=experiment.pk).update(refreshed_at=START)
    answer = as_viewer.get(where, headers={"If-None-Match": validator})
    assert (answer.status_code, answer.json()["status"]) == (200, "CCC")


def test_a_picture_is_compressed_for_a_browser_that_takes_that(as_viewer: Client, experiment: Experiment) -> None:
    where = address("grid_data", experiment)
    answer = as_viewer.get(where, headers={"Accept-Encoding": "gzip, br"})
    assert answer["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.content) == as_viewer.get(where).content


@pytest.mark.parametrize("page", ["grid", "grid_data"])
def test_whoever_may_not_see_the_experiment_does_not_find_its_pictures(
    signed_in: Callable[[User], Client], experiment: Experiment, page: str
) -> None:
    stranger = factories.create_user()
    factories.create_team((stranger, Role.VIEWER), covers={"owner": "bea"})
    assert signed_in(stranger).get(address(page, experiment)).status_code == 404


def test_an_experiment_that_is_gone_is_shown_as_it_was_last_seen(as_viewer: Client, experiment: Experiment) -> None:
    mark_gone(experiment.site, experiment.expid)
    assert "Gone from the store" in text_of(as_viewer.get(address("grid", experiment)))
    assert len(names(as_viewer, "grid", experiment)) == 3


def test_an_experiment_without_jobs_says_so(as_viewer: Client, experiment: Experiment) -> None:
    empty = factories.create_experiment(experiment.site)
    assert "There is no job list yet" in text_of(as_viewer.get(address("grid", empty)))
    assert names(as_viewer, "graph", empty) == set()


def test_jobs_are_chosen_in_the_grid_by_those_who_may_change_them(
    as_viewer: Client, as_operator: Client, experiment: Experiment
) -> None:
    assert "data-chosen" not in text_of(as_viewer.get(address("grid", experiment)))
    assert f'formaction="{FORM}"' in text_of(as_operator.get(address("grid", experiment)))


def test_jobs_chosen_in_the_grid_come_into_the_form_that_there_is(as_operator: Client, experiment: Experiment) -> None:
    chosen = ",".join(str(job.pk) for job in experiment.jobs.exclude(section="INI"))
    page = text_of(as_operator.post(FORM, {"selection": chosen}))
    assert "<li>a000_SIM</li><li>a000_POST</li>" in page.replace("\n", "")
    assert Action.objects.count() == 0


def test_the_form_of_chosen_jobs_is_refused_to_whoever_may_not_change_them(
    as_viewer: Client, experiment: Experiment
) -> None:
    assert as_viewer.post(FORM, {"selection": str(experiment.jobs.earliest("pk").pk)}).status_code == 403


def test_the_script_knows_the_letters_of_the_statuses() -> None:
    known = dict(re.findall(r"\b([A-Z]): \"(\w+)\"", SCRIPT.read_text()))
    assert {letter: name.upper() for letter, name in known.items()} == {
        letter: status for status, letter in LETTERS.items()
    }
