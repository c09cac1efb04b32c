"""Freezes at the console."""

import pytest
from django.test import Client
from django.urls import reverse

from experiments.catalogue.kinds import RUN
from experiments.models import Experiment, Freeze, Site
from jobs.models import Job
from tests.console.pages import form_of, list_of, page_of, text_of
from tests.support import factories

ADD = "/freezes/add/"


def test_a_manager_freezes_and_sees_who_is_affected(as_manager: Client, experiment: Experiment) -> None:
    Experiment.objects.update(is_running=True)
    form = {"site": experiment.site.pk, "platform": "mn5", "message": "New disks", "ends_at": "2126-01-01T00:00"}
    page = text_of(as_manager.post(ADD, form, follow=True))
    assert "MN5 at local" in page
    assert '<a class="expid"' in page
    assert "<td>ana</td>" in page


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_operator_gets_no_form(as_operator: Client, site: Site, method: str) -> None:
    assert getattr(as_operator, method)(ADD).status_code == 403
    assert ADD not in text_of(as_operator.get(list_of("experiments_freeze")))


def test_what_makes_no_sense_is_said_at_its_field(as_manager: Client, site: Site) -> None:
    form = {"site": site.pk, "message": "x", "ends_at": "2001-01-01T00:00"}
    assert "It must end in the future" in text_of(as_manager.post(ADD, form))
    assert not Freeze.objects.exists()


def test_a_manager_ends_it(as_manager: Client, site: Site) -> None:
    made = factories.create_freeze(site)
    assert "End it now" in text_of(as_manager.get(page_of("experiments_freeze", made.pk)))
    as_manager.post(reverse("admin:experiments_freeze_end", args=[made.pk]))
    made.refresh_from_db()
    assert made.ended_by_name == "manager"


def test_an_operator_reads_it_and_does_not_end_it(as_operator: Client, site: Site) -> None:
    made = factories.create_freeze(site)
    assert "End it now" not in text_of(as_operator.get(page_of("experiments_freeze", made.pk)))
    as_operator.post(reverse("admin:experiments_freeze_end", args=[made.pk]))
    made.refresh_from_db()
    assert made.ended_at is None


@pytest.mark.parametrize("is_touched", [True, False])
def test_the_experiment_has_a_banner_if_it_is_touched(
    as_viewer: Client, experiment: Experiment, is_touched: bool
) -> None:
    factories.create_freeze(experiment.site, platform="MN5" if is_touched else "LUMI", message="<i>New</i> disks")
    page = text_of(as_viewer.get(page_of("experiments_experiment", experiment.pk)))
    assert ("&lt;i&gt;New&lt;/i&gt; disks" in page) is is_touched


def test_now_has_a_banner(as_viewer: Client, experiment: Experiment) -> None:
    factories.create_freeze(experiment.site, message="New disks")
    assert "New disks" in text_of(as_viewer.get(reverse("admin:index")))


def test_the_form_of_a_start_says_what_is_frozen(as_operator: Client, job: Job) -> None:
    factories.create_freeze(job.experiment.site, message="New disks")
    assert "is frozen: New disks" in text_of(as_operator.get(form_of(RUN, job)))
