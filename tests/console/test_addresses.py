"""The addresses of pages, as people read them, and how those of before lead there."""

import pytest
from django.contrib.auth.models import User
from django.http import Http404
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.roles import Role
from autosubmit_portal.console.addresses import find_experiment, find_job, make_experiment_key, make_job_key
from experiments.models import Experiment, Site
from jobs.models import Job
from tests.console.pages import text_of
from tests.support import factories

EXPERIMENTS, JOBS = Experiment.objects, Job.objects


def test_an_experiment_and_its_pages_are_called_by_its_expid(experiment: Experiment, job: Job) -> None:
    assert reverse("admin:experiments_experiment_change", args=[experiment]) == "/experiments/a000/"
    assert reverse("admin:experiments_experiment_grid", args=[experiment]) == "/experiments/a000/grid/"
    assert reverse("admin:jobs_job_of_experiment", args=[experiment]) == "/experiments/a000/jobs/"
    assert reverse("admin:jobs_job_change", args=[job]) == "/experiments/a000/jobs/a000_SIM/"


def test_an_experiment_of_another_site_is_called_with_its_site(experiment: Experiment) -> None:
    other = factories.create_experiment(factories.create_site(slug="mn5"), expid="a000")
    assert make_experiment_key(other) == "a000@mn5"
    assert find_experiment(EXPERIMENTS.all(), "a000@mn5") == other
    assert find_experiment(EXPERIMENTS.all(), "a000") == experiment


def test_an_expid_without_a_site_means_the_only_one_that_somebody_may_see(db: None) -> None:
    one = factories.create_experiment(factories.create_site(slug="mn5"), expid="a000")
    assert find_experiment(EXPERIMENTS.all(), "a000") == one
    factories.create_experiment(factories.create_site(slug="lumi"), expid="a000")
    with pytest.raises(Http404, match="a000@lumi, a000@mn5"):
        find_experiment(EXPERIMENTS.all(), "a000")
    assert find_experiment(EXPERIMENTS.filter(site=one.site), "a000") == one


def test_an_experiment_that_is_gone_keeps_an_address_of_its_own(experiment: Experiment, site: Site) -> None:
    gone = factories.create_experiment(site, expid="a000", gone_at=timezone.now())
    assert make_experiment_key(gone) == f"a000~{gone.pk}"
    assert find_experiment(EXPERIMENTS.all(), f"a000~{gone.pk}") == gone
    assert find_experiment(EXPERIMENTS.all(), "a000") == experiment
    assert find_experiment(EXPERIMENTS.all(), f"b000~{gone.pk}") is None


def test_an_expid_that_was_a_folder_has_an_address_too(site: Site, as_viewer: Client) -> None:
    made = factories.create_experiment(site, expid="site")
    page = as_viewer.get(reverse("admin:experiments_experiment_change", args=[made]))
    assert page.status_code == 200


@pytest.mark.parametrize("name", ["a000_1%2F", "a/b", "..", "x?y#z", "a b", "é~1", "~17", "/", "jobs", "a@b"])
def test_a_job_of_any_name_has_a_page(name: str, experiment: Experiment, as_viewer: Client) -> None:
    job = factories.create_job(experiment, name)
    assert find_job(JOBS.all(), EXPERIMENTS.all(), make_job_key(job)) == job
    page = as_viewer.get(reverse("admin:jobs_job_change", args=[job]))
    assert page.status_code == 200


@pytest.mark.parametrize("key", ["", "~", "@local", "a000@", "a000~", "a000@other", "a000@local@local", "a 00", "~999"])
def test_what_means_no_experiment_is_not_found(key: str, experiment: Experiment) -> None:
    assert find_experiment(EXPERIMENTS.all(), key) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("experiments/experiment/", "experiments/"),
        ("experiments/experiment/{experiment}/change/?log=run", "experiments/a000/?log=run"),
        ("experiments/experiment/{experiment}/graph/?view=jobs", "experiments/a000/graph/?view=jobs"),
        ("jobs/job/?status=FAILED", "jobs/?status=FAILED"),
        ("jobs/job/{job}/change/", "experiments/a000/jobs/a000_SIM/"),
        ("jobs/job/{job}/log/x.out/", "experiments/a000/jobs/a000_SIM/log/x.out/"),
        ("jobs/job/request/set_status/", "jobs/request/set_status/"),
        ("experiments/action/12/change/", "actions/12/"),
        ("experiments/action/12/output/0/", "actions/12/output/0/"),
        ("experiments/site/3/change/", "sites/3/change/"),
        ("audit/auditentry/?event=refused", "audit/?event=refused"),
        ("auth/user/add/", "people/add/"),
        ("users/?q=ana", "people/?q=ana"),
    ],
)
def test_an_address_of_before_redirects_for_good(
    old: str, new: str, experiment: Experiment, job: Job, as_viewer: Client
) -> None:
    answer = as_viewer.get("/" + old.format(experiment=experiment.pk, job=job.pk))
    assert (answer.status_code, answer["Location"]) == (301, f"/{new}")


@pytest.mark.parametrize("old", ["experiments/experiment/{experiment}/change/", "jobs/job/{job}/change/"])
def test_an_address_of_before_does_not_tell_what_somebody_may_not_see(
    old: str, experiment: Experiment, job: Job, client: Client
) -> None:
    stranger: User = factories.create_user()
    factories.create_team((stranger, Role.VIEWER), covers={"site": factories.create_site()})
    client.force_login(stranger)
    assert client.get("/" + old.format(experiment=experiment.pk, job=job.pk)).status_code == 404


def test_who_signs_in_at_an_address_of_before_comes_to_the_page(experiment: Experiment, client: Client) -> None:
    old = f"/experiments/experiment/{experiment.pk}/change/"
    assert client.get(old)["Location"] == f"/login/?next={old}"


def test_the_list_of_the_jobs_of_an_experiment_has_its_tabs_and_only_its_jobs(
    experiment: Experiment, as_viewer: Client
) -> None:
    factories.create_job(factories.create_experiment(experiment.site, expid="b000"), "b000_SIM")
    page = text_of(as_viewer.get("/experiments/a000/jobs/?status=FAILED"))
    assert '<a href="/experiments/a000/jobs/" aria-current="page">Jobs</a>' in page
    assert 'href="/experiments/a000/jobs/a000_SIM/"' in page
    assert "b000_SIM" not in page


def test_the_jobs_of_an_experiment_can_be_narrowed_by_what_occurs_there(
    experiment: Experiment, as_viewer: Client
) -> None:
    page = text_of(as_viewer.get("/experiments/a000/jobs/"))
    assert 'name="section" value="POST"' in page
    assert "a000_INI" not in text_of(as_viewer.get("/experiments/a000/jobs/?section=POST"))


def test_the_list_of_all_jobs_with_an_experiment_leads_to_the_list_of_its_jobs(
    experiment: Experiment, as_viewer: Client
) -> None:
    answer = as_viewer.get(f"/jobs/?experiment={experiment.pk}&status=FAILED")
    assert answer["Location"] == "/experiments/a000/jobs/?status=FAILED"
