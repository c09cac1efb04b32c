"""Lending rights at the console."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.models import Delegation
from experiments.catalogue.kinds import RUN
from experiments.models import Action, Experiment
from jobs.models import Job
from tests.console.pages import form_of, list_of, page_of, text_of

ADD = "/delegations/add/"


def filled(**values: Any) -> dict[str, Any]:
    ends_at = f"{timezone.now() + timedelta(days=3):%Y-%m-%dT%H:%M}"
    return {"grantee": "colleague", "role": 2, "ends_at": ends_at, "reason": "Holidays"} | values


@pytest.fixture
def as_colleague(signed_in: Callable[[User], Client], actor: Callable[..., User]) -> Client:
    """Somebody without any right."""
    return signed_in(actor(username="colleague"))


def test_a_colleague_acts_for_an_operator_at_the_console(as_operator: Client, as_colleague: Client, job: Job) -> None:
    page = text_of(as_operator.post(ADD, filled(experiment="a000"), follow=True))
    assert "a000 at local" in page
    answer = as_colleague.post(form_of(RUN, job), follow=True)
    assert "for operator" in text_of(answer)
    assert Action.objects.get().on_behalf_of == "operator"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"grantee": "nobody"}, "There is no such account"),
        ({"experiment": "a0zz"}, "There is no such one"),
        ({"role": 3}, "You do not have this role"),
        ({"ends_at": "2001-01-01T00:00"}, "It must end in the future"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    wrong: dict[str, Any], text: str, as_operator: Client, as_colleague: Client, experiment: Experiment
) -> None:
    assert text in text_of(as_operator.post(ADD, filled(**wrong)))
    assert not Delegation.objects.exists()


def test_the_grantor_revokes_and_the_grantee_cannot(
    as_operator: Client, as_colleague: Client, experiment: Experiment
) -> None:
    as_operator.post(ADD, filled())
    made = Delegation.objects.get()
    address = reverse("admin:access_delegation_end", args=[made.pk])
    as_colleague.post(address)
    assert Delegation.objects.get().revoked_at is None
    assert "Revoke it now" in text_of(as_operator.get(page_of("access_delegation", made.pk)))
    as_operator.post(address)
    assert Delegation.objects.get().revoked_by_name == "operator"


def test_nobody_else_sees_it(as_operator: Client, as_colleague: Client, as_viewer: Client) -> None:
    as_operator.post(ADD, filled())
    made = Delegation.objects.get()
    assert "Holidays" in text_of(as_colleague.get(list_of("access_delegation")))
    assert "Holidays" not in text_of(as_viewer.get(list_of("access_delegation")))
    assert as_viewer.get(page_of("access_delegation", made.pk)).status_code == 404
