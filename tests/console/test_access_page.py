"""The page of who may do what on an experiment."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.models import Delegation, SiteAccount, SitePolicy, SiteRole
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.people import list_candidates, read_together
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.console.pages.access import decide_about
from experiments.models import Experiment
from tests.console.pages import text_of
from tests.support import factories


def show(client: Client, experiment: Experiment) -> str:
    answer = client.get(reverse("admin:experiments_experiment_access", args=[experiment]))
    assert answer.status_code == 200
    return text_of(answer)


@pytest.fixture
def everybody(experiment: Experiment) -> dict[str, User]:
    """Accounts with a right of each source, and some without any."""
    names = ("team", "picked", "at_site", "permitted", "lent", "lent_of_team", "closed", "elsewhere", "nobody")
    found = {name: factories.create_user(username=name) for name in names}
    factories.create_team(
        (found["team"], Role.OPERATOR), (found["closed"], Role.MANAGER), covers={"expid_pattern": "a0*"}
    )
    picking = factories.create_team((found["picked"], Role.VIEWER))
    picking.experiments.add(experiment)
    factories.create_team((found["elsewhere"], Role.MANAGER), covers={"expid_pattern": "b*"})
    SiteRole.objects.create(user=found["at_site"], site=experiment.site, role=Role.MANAGER)
    found["permitted"].user_permissions.add(_permission("request_stop"))
    factories.create_delegation(found["team"], found["lent"], experiment=experiment, role=Role.OPERATOR)
    factories.create_delegation(found["picked"], found["lent_of_team"], team=picking, role=Role.OPERATOR)
    User.objects.filter(username="closed").update(is_active=False)
    return found


def _permission(codename: str) -> Any:
    return Permission.objects.get(codename=codename)


def test_all_people_who_have_a_right_are_told_where_it_comes_from(
    as_admin: Client, experiment: Experiment, everybody: dict[str, User]
) -> None:
    page = show(as_admin, experiment).partition('id="people"')[2].partition("</table>")[0]
    assert "operator in the team" in page
    assert "manager at the site local" in page
    assert "by a permission that holds everywhere" in page
    assert "delegation" in page
    named = {name for name in everybody if f">{name}</a></th>" in page}
    assert named == {"team", "picked", "at_site", "permitted", "lent", "lent_of_team"}


@pytest.mark.usefixtures("everybody")
def test_what_is_read_together_decides_as_what_the_policy_reads_alone(experiment: Experiment) -> None:
    users = list(list_candidates(experiment))
    read_together(users, experiment)
    together = [decide_about(user, experiment) for user in users]
    alone = [decide_about(User.objects.get(pk=user.pk), experiment) for user in users]
    assert together == alone
    assert [person.may_see for person in alone] == [
        Experiment.objects.visible_to(User.objects.get(pk=user.pk)).exists() for user in users
    ]


@pytest.mark.usefixtures("everybody")
def test_nobody_who_has_a_right_is_left_out(experiment: Experiment) -> None:
    found = {user for user in User.objects.all() if decide_about(user, experiment).has_some}
    assert found <= {*list_candidates(experiment)}


@pytest.mark.usefixtures("everybody")
def test_decisions_about_all_people_ask_the_database_nothing_more(experiment: Experiment) -> None:
    users = list(list_candidates(experiment))
    read_together(users, experiment)
    with CaptureQueriesContext(connection) as captured:
        [decide_about(user, experiment) for user in users]
    assert len(captured) == 0


def test_an_owner_is_told_as_such(as_admin: Client, experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autosubmit_portal.access.rights.grants.get_uid", lambda _: 4_711)
    Experiment.objects.update(owner_uid=4_711)
    SitePolicy.objects.create(site=experiment.site, owner_role=Role.OPERATOR)
    SiteAccount.objects.create(user=factories.create_user(), site=experiment.site, unix_name="ana")
    assert "operator as owner: the account is ana at the site local" in show(as_admin, experiment)


@pytest.mark.usefixtures("everybody")
def test_somebody_who_manages_nothing_sees_their_own_rights_alone(
    signed_in: Callable[[User], Client], experiment: Experiment, everybody: dict[str, User]
) -> None:
    page = show(signed_in(everybody["picked"]), experiment)
    assert "viewer in the team" in page
    assert "at_site" not in page
    assert "Who else may do what is shown to managers" in page


@pytest.mark.usefixtures("everybody")
def test_the_manager_of_the_site_sees_the_people(
    signed_in: Callable[[User], Client], experiment: Experiment, everybody: dict[str, User]
) -> None:
    assert "permitted</th>" in show(signed_in(everybody["at_site"]), experiment)


def test_what_is_missing_is_said(as_viewer: Client, experiment: Experiment) -> None:
    assert "the role operator in a team that covers a000" in show(as_viewer, experiment)


def test_a_viewer_who_has_nothing_to_lend_gets_no_form(as_viewer: Client, experiment: Experiment) -> None:
    assert "Give someone rights" not in show(as_viewer, experiment)


def test_a_colleague_gets_a_right_on_the_experiment_by_the_form(as_operator: Client, experiment: Experiment) -> None:
    page = show(as_operator, experiment)
    assert 'name="experiment" value="local/a000"' in page
    assert ">Manager</option>" not in page
    colleague = factories.create_user(username="carl")
    form = {
        "grantee": "carl",
        "role": "2",
        "experiment": "local/a000",
        "ends_at": f"{timezone.now() + timedelta(days=1):%Y-%m-%dT%H:%M}",
        "reason": "Work on a000",
    }
    assert as_operator.post(reverse("admin:access_delegation_add"), form).status_code == 302
    assert Delegation.objects.get().experiment == experiment
    assert AuditEntry.objects.filter(event="delegation.made", expid="a000").exists()
    assert policy.explain_view(colleague, experiment).startswith("delegation ")
    assert "carl" in show(as_operator, experiment)


def test_a_freeze_is_told(as_viewer: Client, experiment: Experiment) -> None:
    factories.create_freeze(experiment.site, message="Cooling")
    assert "Cooling" in show(as_viewer, experiment)
