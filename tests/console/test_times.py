"""Times at the console say their zone, and mean it, whatever the time zone of the portal is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from autosubmit_portal.access.models import Delegation
from autosubmit_portal.access.roles import Role
from experiments.models import Experiment, Freeze
from tests.console.pages import page_of, text_of
from tests.support import factories

pytestmark = pytest.mark.django_db
AT = datetime(2031, 7, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def in_helsinki(settings: Any) -> None:
    """Three hours before UTC in summer."""
    settings.TIME_ZONE = "Europe/Helsinki"


def test_a_freeze_is_told_in_utc_and_says_so(as_viewer: Client, experiment: Experiment) -> None:
    factories.create_freeze(experiment.site, ends_at=AT)
    pages = [page_of("experiments_experiment", experiment.pk), page_of("experiments_freeze", Freeze.objects.get().pk)]
    shown = [text_of(as_viewer.get(page)) for page in pages]
    assert "until 2031-07-01 12:00 UTC" in shown[0]
    assert "2031-07-01 12:00:00 UTC" in shown[1]


def test_a_run_is_told_with_its_zone_where_it_is_chosen(as_viewer: Client, experiment: Experiment) -> None:
    factories.create_run(experiment, run_id=1, started_at=AT)
    address = page_of("experiments_experiment", experiment.pk) + "configuration/"
    assert "2031-07-01 12:00 UTC" in text_of(as_viewer.get(address))


def test_what_a_form_calls_utc_is_utc(as_manager: Client, experiment: Experiment) -> None:
    sent = {"site": experiment.site.pk, "message": "x", "ends_at": "2031-07-01T12:00"}
    as_manager.post("/freezes/add/", sent)
    assert Freeze.objects.get().ends_at == AT


def test_a_delegation_ends_when_its_form_says(as_operator: Client, viewer: User) -> None:
    ends_at = (timezone.now().astimezone(UTC) + timedelta(days=2)).replace(second=0, microsecond=0)
    sent = {"grantee": viewer.username, "reason": "x", "ends_at": f"{ends_at:%Y-%m-%dT%H:%M}"}
    as_operator.post("/delegations/add/", sent | {"role": Role.VIEWER.value})
    assert Delegation.objects.get().ends_at == ends_at


def test_the_page_of_a_person_says_the_zone(as_admin: Client, viewer: User) -> None:
    User.objects.filter(pk=viewer.pk).update(date_joined=AT)
    shown = text_of(as_admin.get(page_of("auth_user", viewer.pk)))
    assert '<span class="num nowrap">2031-07-01 12:00:00 UTC</span>' in shown


def test_the_date_of_a_job_is_that_of_the_model(as_viewer: Client, experiment: Experiment) -> None:
    job = factories.create_job(experiment, date=AT)
    assert "2031-07-01 12:00 UTC" in text_of(as_viewer.get(page_of("jobs_job", job.pk)))
