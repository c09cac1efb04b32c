"""The page of a job, with its logs as they lie in the store."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from autosubmit_portal.access.roles import Role
from experiments.models import Experiment, Site
from jobs.models import Job
from tests.console.pages import page_of, text_of
from tests.support import factories, stores
from tests.support.stores.written import write_store

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database


@pytest.fixture
def logs(job: Job, tmp_path: Path) -> Path:
    """The folder of the logs of the experiment, in a store where nothing else is; the job has an output there."""
    folder = write_store(tmp_path, "a000") / "tmp" / "LOG_a000"
    Site.objects.update(home=str(tmp_path))
    Job.objects.filter(pk=job.pk).update(out_log="a000_SIM.1.out")
    (folder / "a000_SIM.1.out").write_bytes(b"first\n<script>alert(1)</script>\n")
    return folder


def log(job: Job, name: str = "a000_SIM.1.out") -> str:
    return f"/experiments/~/jobs/~{job.pk}/log/{name}/"


def test_the_page_shows_the_log_as_text(as_viewer: Client, logs: Path, job: Job) -> None:
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    assert "first\n&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


def test_the_log_is_followed_from_where_one_is(as_viewer: Client, logs: Path, job: Job) -> None:
    with (logs / "a000_SIM.1.out").open("ab") as file:
        file.write(b"last\n")
    answer = as_viewer.get(log(job), {"after": 32}).json()
    assert (answer["html"], answer["end"], answer["is_over"]) == ("last\n", 37, False)


@pytest.mark.parametrize("offset", [10**6, 10**18, 10**30])
def test_an_offset_beyond_the_log_answers_its_end(as_viewer: Client, logs: Path, job: Job, offset: int) -> None:
    for name in ("after", "before"):
        assert as_viewer.get(log(job), {name: offset}).json()["html"].startswith("first\n")


def test_a_log_that_is_gone_says_so(as_viewer: Client, logs: Path, job: Job) -> None:
    (logs / "a000_SIM.1.out").unlink()
    assert "There is no log &#x27;a000_SIM.1.out&#x27; any more, or not yet." in text_of(
        as_viewer.get(page_of("jobs_job", job.pk))
    )
    assert as_viewer.get(log(job)).status_code == 404


def test_of_a_failed_job_the_errors_are_opened_first(as_viewer: Client, logs: Path, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(err_log="a000_SIM.1.err")
    (logs / "a000_SIM.1.err").write_bytes(b"segmentation fault\n")
    page = page_of("jobs_job", job.pk)
    assert "segmentation fault" in text_of(as_viewer.get(page))
    Job.objects.filter(pk=job.pk).update(status="COMPLETED")
    assert "segmentation fault" not in text_of(as_viewer.get(page))


@pytest.mark.parametrize("status", ["RUNNING", "COMPLETED"])
def test_of_an_empty_output_and_errors_that_are_there_the_errors_are_opened(
    as_viewer: Client, logs: Path, job: Job, status: str
) -> None:
    Job.objects.filter(pk=job.pk).update(status=status, err_log="a000_SIM.1.err")
    (logs / "a000_SIM.1.err").write_bytes(b"+ sleep 3000\n")
    (logs / "a000_SIM.1.out").write_bytes(b"")
    page = page_of("jobs_job", job.pk)
    assert "+ sleep 3000" in text_of(as_viewer.get(page))
    assert "+ sleep 3000" not in text_of(as_viewer.get(page, {"log": "a000_SIM.1.out"}))


def test_an_empty_output_is_opened_where_nothing_else_is(as_viewer: Client, logs: Path, job: Job) -> None:
    (logs / "a000_SIM.1.out").write_bytes(b"")
    assert '<span class="quiet code">a000_SIM.1.out</span>' in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


def test_every_log_of_the_job_is_listed_and_one_of_them_is_opened(as_viewer: Client, logs: Path, job: Job) -> None:
    (logs / "a000_SIM.0.err").write_bytes(b"failed before\n")
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk), {"log": "a000_SIM.0.err"}))
    assert "failed before" in page
    assert "?log=a000_SIM.1.out#log" in page


def test_the_lines_around_a_place_are_shown_with_what_is_there_marked(as_viewer: Client, logs: Path, job: Job) -> None:
    (logs / "a000_SIM.1.out").write_bytes(b"<before>\n" * 10_000 + b"an <error> here\n" + b"after\n" * 20_000)
    piece = as_viewer.get(log(job), {"at": 90_003, "length": 7}).json()
    assert "&lt;before&gt;\nan <mark>&lt;error&gt;</mark> here\nafter\n" in piece["html"]
    assert piece["html"].startswith("&lt;before&gt;\n")
    assert piece["html"].endswith("after\n")
    assert (piece["start"] < 90_000 < piece["end"] < piece["size"], piece["is_reset"]) == (True, True)


def test_what_follows_is_shown_however_much_it_is(as_viewer: Client, logs: Path, job: Job) -> None:
    (logs / "a000_SIM.1.out").write_bytes(b"0123456\n" * 400_000)
    piece = as_viewer.get(log(job), {"beyond": 8000}).json()
    assert (piece["start"], piece["end"], piece["is_reset"]) == (8000, 8000 + 65_536, False)


def test_another_file_of_the_name_is_shown_from_its_end(as_viewer: Client, logs: Path, job: Job) -> None:
    file = as_viewer.get(log(job)).json()["file"]
    assert not as_viewer.get(log(job), {"after": 6, "file": file}).json()["is_reset"]
    (logs / "a000_SIM.1.out").rename(logs / "old")
    (logs / "a000_SIM.1.out").write_bytes(b"another one\n")
    piece = as_viewer.get(log(job), {"after": 6, "file": file}).json()
    assert (piece["html"], piece["is_reset"]) == ("another one\n", True)


def test_the_log_is_searched(as_viewer: Client, logs: Path, job: Job) -> None:
    found = as_viewer.get(log(job), {"search": "ALERT", "ignore_case": "1"}).json()
    assert [(match["line"], match["offset"]) for match in found["matches"]] == [(2, 14)]
    assert as_viewer.get(log(job), {"search": "ALERT"}).json()["matches"] == []
    assert as_viewer.get(log(job), {"search": ""}).status_code == 404


def test_the_log_is_saved_whole_under_its_name(as_viewer: Client, logs: Path, job: Job) -> None:
    answer = as_viewer.get(log(job), {"download": ""})
    assert b"".join(answer.streaming_content).startswith(b"first\n")  # type: ignore[attr-defined]
    assert answer["Content-Disposition"] == 'attachment; filename="a000_SIM.1.out"'


def test_a_broken_log_says_so(as_viewer: Client, logs: Path, job: Job) -> None:
    (logs / "a000_SIM.3.out.gz").write_bytes(b"no gzip")
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk), {"log": "a000_SIM.3.out.gz"}))
    assert "The log cannot be read: it is broken" in page
    for query in ({}, {"download": ""}, {"search": "x"}):
        assert as_viewer.get(log(job, "a000_SIM.3.out"), query).status_code == 404


def test_the_page_of_an_experiment_shows_the_logs_of_its_commands(as_viewer: Client, logs: Path, job: Job) -> None:
    (logs.parent / "ASLOGS" / "20261125_100000_run.log").write_bytes(b"said by the run\n")
    address = reverse("admin:experiments_experiment_logs", args=[job.experiment])
    assert "said by the run" not in text_of(as_viewer.get(address))
    page = text_of(as_viewer.get(address, {"log": "20261125_100000_run.log"}))
    assert "said by the run" in page
    assert f"/experiments/{job.experiment.expid}/log/20261125_100000_run.log/" in page


def test_the_address_that_a_log_had_on_the_overview_leads_to_it(as_viewer: Client, job: Job) -> None:
    answer = as_viewer.get(page_of("experiments_experiment", job.experiment_id), {"log": "20261125_100000_run.log"})
    assert answer["Location"] == "/experiments/a000/logs/?log=20261125_100000_run.log"


def test_a_page_says_why_there_are_no_logs(as_viewer: Client, job: Job) -> None:
    page = text_of(as_viewer.get(reverse("admin:experiments_experiment_logs", args=[job.experiment])))
    assert "The logs cannot be read: There is no Autosubmit configuration" in page


def test_logs_are_for_those_who_may_see_the_row(client: Client, logs: Path, job: Job) -> None:
    client.force_login(factories.create_user(Role.VIEWER))
    assert client.get(log(job)).status_code == 200
    client.force_login(factories.create_user())
    assert client.get(log(job)).status_code in (302, 403)


@pytest.mark.parametrize("name", ["../../../autosubmit.db", "/etc/passwd", ".."])
def test_a_name_that_leads_out_of_the_logs_is_not_followed(as_viewer: Client, logs: Path, job: Job, name: str) -> None:
    Job.objects.filter(pk=job.pk).update(out_log=name)
    assert as_viewer.get(log(job, quote(name, safe=""))).status_code == 404
    page = as_viewer.get(page_of("jobs_job", job.pk), {"log": name})
    assert "is not the bare name of a log" in text_of(page)


def test_the_page_of_a_job_opens_the_log_that_stands_for_the_recorded_one(
    as_viewer: Client, logs: Path, job: Job
) -> None:
    (logs / "a000_SIM.20261128173232.out_attempt_1").write_bytes(b"ERROR out of memory\n")
    Job.objects.filter(pk=job.pk).update(out_log="a000_SIM.20261128173227.out_attempt_1")
    assert "ERROR out of memory" in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


def test_the_page_of_a_job_opens_the_newest_output_when_the_recorded_one_is_lost(
    as_viewer: Client, logs: Path, job: Job
) -> None:
    (logs / "a000_SIM.cmd.out.7").write_bytes(b"the seventh\n")
    Job.objects.filter(pk=job.pk).update(out_log="a000_SIM.20261128173227.out_attempt_9")
    assert "the seventh" in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


@pytest.mark.parametrize("name", ["out", "a000_SIM.2.out", "a000_POST.1.out"])
def test_a_log_that_the_job_has_not_is_not_found(as_viewer: Client, logs: Path, job: Job, name: str) -> None:
    assert as_viewer.get(log(job, name)).status_code == 404


def test_the_page_names_what_the_job_waits_for_and_what_waits_for_it(as_viewer: Client, job: Job) -> None:
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    parents, children = page.partition("Waits for")[2].split("Is waited for by")
    assert ("a000_INI" in parents, "a000_POST" in children) == (True, True)


def test_the_page_of_a_job_in_a_wrapper_names_that(as_viewer: Client, job: Job) -> None:
    address = page_of("jobs_job", job.pk)
    assert "Wrapper" not in text_of(as_viewer.get(address))
    Job.objects.filter(pk=job.pk).update(wrapper="a000_ASThread_1")
    assert "a000_ASThread_1" in text_of(as_viewer.get(address))


def test_the_page_of_a_job_says_that_its_dependencies_are_not_known(as_viewer: Client, job: Job) -> None:
    Experiment.objects.update(are_edges_known=False, edges_note="Which jobs wait for which is not known.")
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    assert "Which jobs wait for which is not known." in page
    assert "It waits for no job." not in page


def test_the_page_of_a_job_that_was_not_sent_says_what_is_planned(as_viewer: Client, job: Job) -> None:
    Experiment.objects.update(plans={"SIM": {"platform": "MN5"}})
    Job.objects.filter(pk=job.pk).update(status="WAITING", section="SIM", platform="")
    assert 'MN5 <span class="quiet">planned</span>' in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


def test_a_failed_job_says_why_with_the_line_that_tells_it_and_advice(as_viewer: Client, logs: Path, job: Job) -> None:
    (logs / "a000_SIM.1.err").write_bytes(b"begun\n" * 20_000 + b"cp: <x>: No space left on device\n")
    Job.objects.filter(pk=job.pk).update(status="FAILED", err_log="a000_SIM.1.err")
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    assert "Disk full" in page
    assert "cp: &lt;x&gt;: No space left on device" in page
    assert "Make room" in page
    assert '?log=a000_SIM.1.err#log" aria-label="Disk full: open the log"' in page


def test_secrets_of_a_log_are_covered_where_it_says_why(as_viewer: Client, logs: Path, job: Job) -> None:
    (logs / "a000_SIM.1.err").write_bytes(b"password=hunter2 : Permission denied\n")
    Job.objects.filter(pk=job.pk).update(status="FAILED", err_log="a000_SIM.1.err")
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    assert "Permission denied" in page
    assert "hunter2" not in page


@pytest.mark.parametrize("status", ["COMPLETED", "RUNNING", "WAITING"])
def test_a_job_that_has_not_failed_is_not_explained(as_viewer: Client, logs: Path, job: Job, status: str) -> None:
    (logs / "a000_SIM.1.out").write_bytes(b"No space left on device\n")
    Job.objects.filter(pk=job.pk).update(status=status)
    assert "Why it failed" not in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


def test_a_failed_job_whose_logs_are_gone_is_not_explained(as_viewer: Client, logs: Path, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status="FAILED", err_log="a000_SIM.1.err", out_log="")
    page = as_viewer.get(page_of("jobs_job", job.pk))
    assert page.status_code == 200
    assert "Why it failed" not in text_of(page)


def why(client: Client, job: Job) -> str:
    return text_of(client.get(page_of("jobs_job", job.pk) + "why/"))


def test_why_a_job_failed_is_told_in_one_line(as_viewer: Client, logs: Path, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status="FAILED", err_log="a000_SIM.1.err")
    (logs / "a000_SIM.1.err").write_bytes(b"<x>: Permission denied\n+ exit 7\n")
    assert why(as_viewer, job) == (
        '<b>Permission denied</b> <span class="code">&lt;x&gt;: Permission denied</span>'
        ' <span class="quiet">Exit code 7</span>\n'
    )


def test_a_job_that_failed_for_no_known_reason_tells_its_last_error(as_viewer: Client, logs: Path, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status="FAILED", err_log="a000_SIM.1.err")
    (logs / "a000_SIM.1.err").write_bytes(b"ERROR: first\nERROR: odd\nend\n+ echo 'ERROR: x'\n")
    assert why(as_viewer, job) == '<span class="code">ERROR: odd</span>\n'


def test_what_a_failure_has_told_is_kept_until_the_job_fails_anew(as_viewer: Client, logs: Path, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status="FAILED", err_log="a000_SIM.1.err")
    assert why(as_viewer, job) == "\n"  # not fetched yet
    (logs / "a000_SIM.1.err").write_bytes(b"ERROR: odd\n")
    assert "odd" in why(as_viewer, job)
    (logs / "a000_SIM.1.err").write_bytes(b"ERROR: new\n")
    assert "odd" in why(as_viewer, job)
    Job.objects.filter(pk=job.pk).update(fail_count=1)
    assert "new" in why(as_viewer, job)


def test_why_a_job_failed_is_not_known_while_its_site_is_silent(as_viewer: Client, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status="FAILED", err_log="a000_SIM.1.err")
    assert "The logs cannot be read: " in why(as_viewer, job)


def test_the_page_of_an_experiment_asks_why_its_jobs_failed(as_viewer: Client, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status="FAILED")
    asked = f'hx-get="{page_of("jobs_job", job.pk)}why/"'
    assert asked in text_of(as_viewer.get(page_of("experiments_experiment", job.experiment_id)))


JOB_DATA = """
CREATE TABLE job_data (id INTEGER PRIMARY KEY, job_name TEXT, run_id INTEGER, status TEXT, submit INTEGER,
    start INTEGER, finish INTEGER, job_id INTEGER, out TEXT, err TEXT);
INSERT INTO job_data VALUES
    (1, 'a000_SIM', 1, 'FAILED', 1796096857, 1796096857, 1796096860, 9160,
     'a000_SIM.20261201034737.out', 'a000_SIM.20261201034737.err'),
    (2, 'a000_POST', 1, 'FAILED', 1796096857, 1796096857, 1796096860, 9170, '', ''),
    (3, 'a000_SIM', 1, 'FAILED', 1796096861, 1796096861, 1796096863, 9365,
     'a000_SIM.20261201034741.out_attempt_1', 'a000_SIM.20261201034741.err_attempt_1');
"""


@pytest.fixture
def tried(logs: Path, job: Job) -> Path:
    """The folder of the logs of a job that was tried twice; Autosubmit names its second log by another second."""
    stores.make_database(logs.parents[2] / "job_data_a000.db", JOB_DATA)
    for name in ("20261201034737.err", "20261201034743.err_attempt_1", "cmd.err.2"):
        (logs / f"a000_SIM.{name}").write_bytes(b"x")
    Job.objects.filter(pk=job.pk).update(status="FAILED", err_log="a000_SIM.20261201034741.err_attempt_1")
    return logs


def cells_of(page: str, begin: str) -> list[list[str]]:
    """Return the words in the rows of the table after these words."""
    body = page.partition(begin)[2].partition("<tbody>")[2].partition("</tbody>")[0]
    return [[strip_tags(cell).strip() for cell in row.split("</td>")[:-1]] for row in body.split("</tr>")[:-1]]


def test_all_attempts_at_a_job_are_listed_with_their_logs(as_viewer: Client, tried: Path, job: Job) -> None:
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    rows = cells_of(page, 'id="attempts-title"')
    assert [[row[0], row[1], row[2], row[5], row[6], row[7]] for row in rows] == [
        ["2", "1", "FAILED", "2 s", "9365", "err"],
        ["1", "1", "FAILED", "3 s", "9160", "err"],
    ]
    assert '<a href="?log=a000_SIM.20261201034737.err#log" aria-label="err of attempt 1">' in page


def test_a_log_is_labelled_with_its_attempt(as_viewer: Client, tried: Path, job: Job) -> None:
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    labels = {row[0]: row[2] for row in cells_of(page, "table-box log-files")}
    assert labels == {
        "a000_SIM.20261201034737.err": "1",
        "a000_SIM.20261201034743.err_attempt_1": "2",
        "a000_SIM.cmd.err.2": "–",
        "a000_SIM.1.out": "–",
    }


def test_a_job_that_was_tried_once_lists_no_attempts(as_viewer: Client, logs: Path, job: Job) -> None:
    assert "attempts-title" not in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


def test_a_history_that_cannot_be_read_says_why_there_are_no_attempts(as_viewer: Client, tried: Path, job: Job) -> None:
    (tried.parents[2] / "job_data_a000.db").write_bytes(b"no database" * 200)
    assert "The attempts cannot be read: The history" in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


def exit_code_of(page: str) -> str:
    return page.partition("<dt>Exit code</dt><dd>")[2].partition("</dd>")[0]


def test_a_failed_job_tells_its_exit_code_where_its_log_ends_with_it(as_viewer: Client, logs: Path, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status="FAILED", err_log="a000_SIM.1.err")
    for log, told in ((b"+ exit 1\n", "1"), (b"+ exit 143\n", "143 (SIGTERM)")):
        (logs / "a000_SIM.1.err").write_bytes(log)
        assert exit_code_of(text_of(as_viewer.get(page_of("jobs_job", job.pk)))) == told


def test_a_failed_job_says_that_its_exit_code_is_not_known(as_viewer: Client, logs: Path, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status="FAILED")
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    assert "Autosubmit keeps none, and the log does not tell it" in exit_code_of(page)


def test_a_job_that_has_not_failed_has_no_exit_code(as_viewer: Client, logs: Path, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status="COMPLETED")
    assert "Exit code" not in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


def see(job: Job, status: str) -> str:
    """Have the job in a status since a moment that only the mirror has seen; return that moment."""
    since = "2026-11-01T03:46:00+00:00"
    Job.objects.filter(pk=job.pk).update(status=status)
    Experiment.objects.update(is_running=True, active_since={job.name: [status, since]})
    return f'<time datetime="{since}"'


@pytest.mark.parametrize(
    ("status", "fact"), [("RUNNING", "Started"), ("QUEUING", "Submitted"), ("SUBMITTED", "Submitted")]
)
def test_a_time_that_is_not_written_is_since_when_the_job_was_seen_so(
    as_viewer: Client, job: Job, status: str, fact: str
) -> None:
    seen = see(job, status)
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    told = page.partition(f"<dt>{fact}</dt>")[2].partition("</dd>")[0]
    assert seen in told
    assert "(seen)" in told


def test_a_running_job_counts_on_since_it_was_seen(as_viewer: Client, job: Job) -> None:
    see(job, "RUNNING")
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    assert 'data-since="2026-11-01T03:46:00+00:00"' in page.partition("<dt>Took</dt>")[2].partition("</dd>")[0]


def test_what_is_written_of_a_job_counts_and_not_what_was_seen(as_viewer: Client, job: Job) -> None:
    see(job, "RUNNING")
    Job.objects.filter(pk=job.pk).update(started_at="2026-11-01T03:45:10Z")
    page = text_of(as_viewer.get(page_of("jobs_job", job.pk)))
    assert "2026-11-01 03:45:10 UTC" in page
    assert "(seen)" not in page


@pytest.mark.parametrize(
    "other", [{"active_since": {"a000_SIM": ["QUEUING", "2026-11-01T03:46:00Z"]}}, {"is_running": False}]
)
def test_what_was_seen_of_another_status_or_run_does_not_count(
    as_viewer: Client, job: Job, other: dict[str, Any]
) -> None:
    see(job, "RUNNING")
    Experiment.objects.update(**other)
    assert "(seen)" not in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


@pytest.mark.parametrize("page", ["/experiments/a000/", "/experiments/a000/jobs/"])
def test_active_jobs_say_since_when_they_were_seen(as_viewer: Client, job: Job, page: str) -> None:
    seen = see(job, "RUNNING")
    text = text_of(as_viewer.get(page))
    assert seen in text
    assert "(seen)" in text


def test_what_holds_a_job_up_says_since_when_it_was_seen_to_run(as_viewer: Client, job: Job) -> None:
    seen = see(job, "RUNNING")
    post = Job.objects.get(name="a000_POST")
    assert f"runs since {seen}" in text_of(as_viewer.get(page_of("jobs_job", post.pk)))
