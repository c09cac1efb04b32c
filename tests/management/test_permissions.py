"""`manage.py who-can` and `manage.py why-cant`."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from autosubmit_portal.access.roles import Role
from experiments.models import Experiment
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def experiment() -> Experiment:
    """An experiment at a site with a name."""
    return factories.create_experiment(factories.create_site(slug="local"), expid="a000", owner="ana")


def said(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, no_color=True)
    return out.getvalue()


def test_it_lists_who_may_and_why(operator: User, viewer: User) -> None:
    factories.create_user(username="root", is_superuser=True)
    factories.create_user(Role.OPERATOR, username="gone", is_active=False)
    factories.create_team((factories.create_user(username="ben"), Role.OPERATOR), covers={"owner": "ana"}, slug="ocean")
    assert said("who-can", "run", "a000").splitlines() == [
        "ben\toperator in the team ocean",
        "operator\tpermission experiments.request_run (group Operator)",
        "root\tsuperuser",
    ]


def test_it_lists_who_may_create_at_a_site(manager: User, operator: User) -> None:
    assert said("who-can", "create", "local").split()[0] == "manager"


def test_it_says_why_not_and_ends_with_an_error(viewer: User) -> None:
    with pytest.raises(CommandError, match="the role operator in a team that covers a000"):
        said("why-cant", "viewer", "run", "a000")


def test_it_says_why_one_can(operator: User) -> None:
    assert said("why-cant", "operator", "run", "a000").startswith("operator may do “Start”")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("run", "a0zz"), "There is no experiment a0zz"),
        (("run", "a000"), "exists at several sites: local, other"),
        (("create", "nowhere"), "There is no site nowhere"),
    ],
)
def test_it_complains_about_what_is_not_there(arguments: tuple[str, str], complaint: str) -> None:
    factories.create_experiment(factories.create_site(slug="other"), expid="a000")
    with pytest.raises(CommandError, match=complaint):
        said("who-can", *arguments)


def test_it_asks_about_one_of_several_sites(operator: User) -> None:
    factories.create_experiment(factories.create_site(slug="other"), expid="a000")
    assert said("who-can", "run", "a000", "--site", "other").startswith("operator")
