"""The page of a job, with its logs as they lie in the store."""

from pathlib import Path
from urllib.parse import quote

import pytest
from django.test import Client

from experiments.models import Site
from jobs.models import Job
from tests.admin.pages import page_of, text_of
from tests.stores.written import write_store


@pytest.fixture
def logs(job: Job, tmp_path: Path) -> Path:
    """The folder of the logs of the experiment, in a store where nothing else is; the job has an output there."""
    folder = write_store(tmp_path, "a000") / "tmp" / "LOG_a000"
    Site.objects.update(home=str(tmp_path))
    Job.objects.filter(pk=job.pk).update(out_log="a000_SIM.1.out")
    (folder / "a000_SIM.1.out").write_bytes(b"first\n<script>alert(1)</script>\n")
    return folder


def log(job: Job, name: str = "a000_SIM.1.out") -> str:
    return f"/jobs/job/{job.pk}/log/{name}/"


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
def test_an_offset_beyond_the_log_answers_its_end(
    as_viewer: Client, logs: Path, job: Job, offset: int
) -> None:
    for name in ("after", "before"):
        assert as_viewer.get(log(job), {name: offset}).json()["html"].startswith("first\n")


def test_a_log_that_is_gone_says_so(as_viewer: Client, logs: Path, job: Job) -> None:
    (logs / "a000_SIM.1.out").unlink()
    assert "There is no log &#x27;a000_SIM.1.out&#x27; any more, or not yet." in text_of(
        as_viewer.get(page_of("jobs_job", job.pk))
    )
    assert as_viewer.get(log(job)).status_code == 404


@pytest.mark.parametrize("name", ["../../../autosubmit.db", "/etc/passwd", ".."])
def test_a_name_that_leads_out_of_the_logs_is_not_followed(
    as_viewer: Client, logs: Path, job: Job, name: str
) -> None:
    Job.objects.filter(pk=job.pk).update(out_log=name)
    assert as_viewer.get(log(job, quote(name, safe=""))).status_code == 404
    assert "is not the bare name of a log" in text_of(as_viewer.get(page_of("jobs_job", job.pk)))


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
