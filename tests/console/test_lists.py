"""The lists: as many queries for a thousand rows as for two, and everything that users write shown as text."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
from experiments.models import Experiment, Run, Site, State
from jobs.models import Job
from tests.console.pages import list_of, page_of, text_of
from tests.support import factories
from tests.support.caches import forget_stamps

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


def make_experiments(experiment: Experiment, number: int) -> None:
    for index in range(number):
        made = factories.create_experiment(is_running=index % 2 == 0, owner=f"owner{index}")
        factories.create_action(made, state=State.RUNNING)


def make_jobs(experiment: Experiment, number: int) -> None:
    for index in range(number):
        factories.create_job(factories.create_experiment(experiment.site), section=f"S{index}")


def make_runs(experiment: Experiment, number: int) -> None:
    for _ in range(number):
        factories.create_run(factories.create_experiment(experiment.site))


def make_actions(experiment: Experiment, number: int) -> None:
    for _ in range(number):
        factories.create_action(factories.create_experiment())


def make_sites(experiment: Experiment, number: int) -> None:
    for _ in range(number):
        factories.create_site()


def make_entries(experiment: Experiment, number: int) -> None:
    for index in range(number):
        trail.record("test.happened", origin=Origin(door=Door.API, actor_name=f"a{index}"), subject="something")


def make_accounts(experiment: Experiment, number: int) -> None:
    for _ in range(number):
        factories.create_user(*Role)


MAKERS: dict[str, Callable[[Experiment, int], None]] = {
    "experiments_experiment": make_experiments,
    "jobs_job": make_jobs,
    "experiments_run": make_runs,
    "experiments_action": make_actions,
    "experiments_site": make_sites,
    "audit_auditentry": make_entries,
    "auth_user": make_accounts,
}


def queries_of(client: Client, address: str) -> int:
    """Count the queries of a page when nothing of it is known yet: what is kept for a second might end in between."""
    forget_stamps()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize("name", MAKERS)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    as_admin: Client, experiment: Experiment, name: str
) -> None:
    MAKERS[name](experiment, 3)
    as_admin.get(list_of(name))  # fills the caches of the process
    few = queries_of(as_admin, list_of(name))
    MAKERS[name](experiment, 30)
    assert queries_of(as_admin, list_of(name)) == few


def test_now_takes_as_many_queries_for_many_rows_as_for_few(as_admin: Client, experiment: Experiment) -> None:
    make_experiments(experiment, 3)
    as_admin.get("/")
    few = queries_of(as_admin, "/")
    make_experiments(experiment, 30)
    assert queries_of(as_admin, "/") == few


def test_the_page_of_an_experiment_takes_as_many_queries_for_many_jobs_as_for_few(
    as_admin: Client, experiment: Experiment
) -> None:
    address = page_of("experiments_experiment", experiment.pk)
    as_admin.get(address)
    few = queries_of(as_admin, address)
    for index in range(30):
        factories.create_job(experiment, section=f"S{index}", status="FAILED")
        factories.create_action(experiment, state=State.SUCCEEDED)
    assert queries_of(as_admin, address) == few


def test_a_big_list_is_not_counted_to_its_end(as_viewer: Client, experiment: Experiment) -> None:
    Job.objects.bulk_create(Job(experiment=experiment, name=f"a000_{n}_X") for n in range(10_100))
    assert "more than 10,000 jobs" in text_of(as_viewer.get(list_of("jobs_job")))


# --- Text of users


@pytest.fixture
def hostile(experiment: Experiment) -> dict[str, int]:
    """Rows with HTML in every text; return the key of each by the name of its pages."""
    Site.objects.update(name=HOSTILE, problem=HOSTILE)
    texts: dict[str, Any] = dict.fromkeys(("description", "owner", "hpc", "model", "branch"), HOSTILE)
    Experiment.objects.update(**texts, evidence=HOSTILE, problem=HOSTILE)
    values = {"section": HOSTILE, "member": HOSTILE, "platform": HOSTILE, "out_log": HOSTILE, "status": "FAILED"}
    job = factories.create_job(experiment, HOSTILE, **values)
    factories.create_dependency(job, experiment.jobs.get(name="a000_POST"))
    factories.create_dependency(experiment.jobs.get(name="a000_INI"), job)
    action = factories.create_action(
        experiment,
        actor_name=HOSTILE,
        reason=HOSTILE,
        message=HOSTILE,
        state=State.FAILED,
        command=[["autosubmit", HOSTILE]],
        parameters={"description": HOSTILE, "jobs": [HOSTILE]},
        job_changes=[[HOSTILE, "READY"]],
    )
    run = factories.create_run(experiment, chunk_unit="<b>u</b>")
    entry = trail.record(
        "action.failed",
        origin=Origin(door=Door.API, actor_name=HOSTILE),
        subject=HOSTILE,
        expid="a000",
        message=HOSTILE,
        details={HOSTILE: HOSTILE},
    )
    return {
        "experiments_experiment": experiment.pk,
        "jobs_job": job.pk,
        "experiments_action": action.pk,
        "experiments_run": run.pk,
        "audit_auditentry": entry.pk,
        "experiments_site": experiment.site.pk,
    }


def assert_shown_as_text(page: str) -> None:
    assert escape("<script>alert(1)</script>") in page
    assert "<script>alert" not in page
    assert "<b>u</b>" not in page
    assert "49" not in page.partition("{{7*7}}")[0][-10:]


@pytest.mark.parametrize("name", ["experiments_experiment", "jobs_job", "experiments_action", "audit_auditentry"])
def test_a_list_shows_what_users_wrote_as_text(as_admin: Client, hostile: dict[str, int], name: str) -> None:
    assert_shown_as_text(text_of(as_admin.get(list_of(name))))


@pytest.mark.parametrize(
    "name", ["experiments_experiment", "jobs_job", "experiments_action", "audit_auditentry", "experiments_site"]
)
def test_a_page_shows_what_users_wrote_as_text(as_admin: Client, hostile: dict[str, int], name: str) -> None:
    assert_shown_as_text(text_of(as_admin.get(page_of(name, hostile[name]))))


def test_the_page_of_a_run_shows_its_unit_as_text(as_admin: Client, hostile: dict[str, int]) -> None:
    page = text_of(as_admin.get(page_of("experiments_run", hostile["experiments_run"])))
    assert "&lt;b&gt;u&lt;/b&gt;" in page


def test_now_shows_what_users_wrote_as_text(as_admin: Client, hostile: dict[str, int]) -> None:
    assert_shown_as_text(text_of(as_admin.get("/")))


def test_a_form_and_its_preview_show_what_users_wrote_as_text(as_admin: Client, hostile: dict[str, int]) -> None:
    Site.objects.update(problem="")
    address = f"/experiments/~/jobs/~{hostile['jobs_job']}/request/set_status/"
    assert_shown_as_text(text_of(as_admin.get(address)))
    changes = text_of(as_admin.post(f"/experiments/~/jobs/~{ini()}/request/set_status/preview/", {"status": "READY"}))
    assert_shown_as_text(changes)


def ini() -> int:
    return Job.objects.get(name="a000_INI").pk


def test_a_search_shows_what_was_typed_as_text(as_viewer: Client, experiment: Experiment) -> None:
    for name in ("experiments_experiment", "jobs_job", "experiments_action"):
        assert_shown_as_text(text_of(as_viewer.get(list_of(name), {"q": HOSTILE})))


def test_a_filter_shows_what_was_typed_as_text(as_viewer: Client, experiment: Experiment) -> None:
    assert_shown_as_text(text_of(as_viewer.get(list_of("jobs_job"), {"section": HOSTILE})))


@pytest.mark.parametrize("name", ["experiments_experiment", "jobs_job", "experiments_action", "experiments_run"])
@pytest.mark.parametrize("value", ["nonsense", "9" * 30, "-1", "1e3", "²"])
def test_a_filter_that_makes_no_sense_chooses_nothing(
    as_viewer: Client, experiment: Experiment, name: str, value: str
) -> None:
    query = {"experiment": value, "chunk": value, "store": value, "running": value}
    wanted = {key: query[key] for key in FILTERS.get(name, ("experiment",))}
    assert as_viewer.get(list_of(name), wanted).status_code == 200


FILTERS = {"experiments_experiment": ("store", "running"), "jobs_job": ("experiment", "chunk")}


def test_the_number_of_failed_jobs_leads_to_them(as_viewer: Client, experiment: Experiment) -> None:
    Experiment.objects.update(status_counts={"FAILED": 1}, total_jobs=1)
    page = text_of(as_viewer.get(list_of("experiments_experiment")))
    assert 'href="/experiments/a000/jobs/?status=FAILED"' in page


def test_a_job_that_runs_for_long_is_listed_before_those_that_have_ended(
    as_viewer: Client, experiment: Experiment
) -> None:
    now = timezone.now()
    factories.create_job(experiment, "a000_LONG", status="RUNNING", started_at=now - timedelta(days=3))
    for number in range(10):
        factories.create_job(experiment, f"a000_{number}_END", status="COMPLETED", finished_at=now)
    page = text_of(as_viewer.get(page_of("experiments_experiment", experiment.pk)))
    assert page.index("a000_LONG") < page.index("_END")


def test_an_experiment_whose_jobs_are_all_done_is_completed(as_viewer: Client, experiment: Experiment) -> None:
    Experiment.objects.update(status_counts={"COMPLETED": 2, "SKIPPED": 1}, total_jobs=3)
    assert ">Completed</span>" in text_of(as_viewer.get(page_of("experiments_experiment", experiment.pk)))


def test_a_store_that_was_never_looked_at_is_said_to_be_read(as_admin: Client, site: Site) -> None:
    page = text_of(as_admin.get("/"))
    assert "The experiments are being read" in page
    assert "is stale" not in page


def test_a_run_that_goes_on_is_listed_under_its_experiment(as_viewer: Client, experiment: Experiment) -> None:
    factories.create_run(experiment, run_id=77)
    factories.create_run(factories.create_experiment(experiment.site), run_id=88)
    page = text_of(as_viewer.get(list_of("experiments_run"), {"experiment": experiment.pk}, follow=True))
    assert ("Run 77" in page or ">77<" in page, Run.objects.count()) == (True, 2)
    assert "88" not in page.partition("result_list")[2].partition("</table>")[0]


def test_the_runs_of_an_experiment_do_not_repeat_its_name(as_viewer: Client, experiment: Experiment) -> None:
    factories.create_run(experiment, run_id=77)
    page = text_of(as_viewer.get(f"/experiments/{experiment.expid}/runs/"))
    assert "Run 77" in page
    assert ("column-of_experiment" in page, "Search expid" in page) == (False, False)


def test_experiments_that_contradict_themselves_are_marked_and_found(as_viewer: Client, experiment: Experiment) -> None:
    Experiment.objects.update(disagreement="It says RUNNING.", disagrees_since=timezone.now())
    agreeing = factories.create_experiment(experiment.site)
    found = as_viewer.get(list_of("experiments_experiment"), {"disagrees": "yes"}).content.decode()
    assert 'title="It says RUNNING.">Contradictory<' in found
    assert agreeing.expid not in found
    assert "It says RUNNING." in as_viewer.get(page_of("experiments_experiment", experiment.pk)).content.decode()


@pytest.mark.parametrize("page", ["freezes", "delegations", "tokens"])
def test_a_refused_form_leads_back_to_the_filtered_list(as_manager: Client, site: Site, page: str) -> None:
    listed = text_of(as_manager.get(f"/{page}/?o=1"))
    adding = f"/{page}/add/?_changelist_filters=o%3D1"
    assert f'href="{adding}"' in listed
    for answer in (as_manager.get(adding), as_manager.post(adding, {})):
        assert f'href="/{page}/?o=1"' in text_of(answer)


# --- What needs somebody

STALLED = {
    "rule": "stalled",
    "sentence": "The run gives no sign of life since 2026-11-29 02:00 UTC.",
    "evidence": "process 7 on <node> holds the lock.",
    "advice": "Stop it with `stop`.",
    "remedy": "stop",
    "job": "",
    "since": "2026-11-29T02:00:00+00:00",
}


@pytest.fixture
def stalled(experiment: Experiment) -> Experiment:
    """An experiment with an alarm, beside one without."""
    return factories.create_experiment(
        experiment.site, expid="a009", is_running=True, attention=[STALLED], attention_rules=",stalled,"
    )


def test_what_needs_somebody_is_flagged_in_the_list(as_viewer: Client, stalled: Experiment) -> None:
    flag = f'<span class="flag" title="{STALLED["sentence"]}">Stalled</span>'
    assert text_of(as_viewer.get(list_of("experiments_experiment"))).count(flag) == 1


@pytest.mark.parametrize(("wanted", "found"), [("yes", True), ("no", False), ("stalled", True), ("dead", False)])
def test_experiments_that_need_somebody_are_found(
    as_viewer: Client, stalled: Experiment, wanted: str, found: bool
) -> None:
    page = text_of(as_viewer.get(list_of("experiments_experiment"), {"attention": wanted}))
    assert (f">{stalled.expid}</a>" in page) is found


def test_the_page_of_an_experiment_says_what_needs_somebody(as_viewer: Client, stalled: Experiment) -> None:
    page = text_of(as_viewer.get(page_of("experiments_experiment", stalled.pk)))
    assert f"<b>Stalled.</b> {STALLED['sentence']} process 7 on &lt;node&gt; holds the lock." in page
    assert "with <code>stop</code>" in page


def test_a_dead_experiment_is_called_dead_and_not_idle(as_viewer: Client, experiment: Experiment) -> None:
    Experiment.objects.update(is_dead=True, disagreement="No process was found.")
    page = text_of(as_viewer.get(list_of("experiments_experiment")))
    assert (">Dead</span>" in page, ">Contradictory</span>" in page) == (True, False)


def find_pages_of_runs(experiment: Experiment) -> list[str]:
    """Return the addresses of all pages that say how long runs took."""
    overview = page_of("experiments_experiment", experiment.pk)
    run = experiment.runs.latest("run_id")
    return [list_of("experiments_run"), page_of("experiments_run", run.pk), overview, f"{overview}compare/"]


def test_all_pages_say_that_a_run_took_from_when_its_process_began_to_when_it_ended(
    as_viewer: Client, experiment: Experiment
) -> None:
    end, later = timezone.now(), {"finished_at": timezone.now() + timedelta(days=1)}
    began = {"started_at": end - timedelta(days=9), "began_at": end - timedelta(minutes=5)}
    for number in (1, 2):
        factories.create_run(experiment, run_id=number, ended_at=end, **began, **later)
    for page in find_pages_of_runs(experiment):
        assert "5 min 00 s" in text_of(as_viewer.get(page)), page


def test_nobody_says_how_long_a_run_took_whose_beginning_or_end_is_not_known(
    as_viewer: Client, experiment: Experiment
) -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    late = at + timedelta(minutes=5)
    factories.create_run(experiment, run_id=1, started_at=at, ended_at=late)
    factories.create_run(experiment, run_id=2, started_at=at, began_at=at, finished_at=late)
    for page in find_pages_of_runs(experiment):
        assert "5 min 00 s" not in text_of(as_viewer.get(page)), page


@pytest.mark.parametrize("name", MAKERS)
def test_a_list_loads_nothing_of_the_admin_that_it_does_not_use(
    as_admin: Client, experiment: Experiment, name: str
) -> None:
    loaded = re.findall(r'<script[^>]* src="[^"]*/admin/js/([^"]+)"', text_of(as_admin.get(list_of(name))))
    assert {*loaded} <= {"theme.js", "actions.js"}


def test_the_label_of_a_search_says_what_is_looked_for(as_viewer: Client) -> None:
    assert ">Search by job name</label>" in text_of(as_viewer.get("/jobs/"))
