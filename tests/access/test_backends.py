"""The permissions of an account: all of them, in one query."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.sign_in.backends import AccountBackend, annotate_permissions, remember
from tests.support import factories

pytestmark = pytest.mark.django_db
VIEW = "experiments.view_experiment"


def test_an_account_holds_its_own_permissions_and_those_of_its_groups(viewer: User) -> None:
    own = Permission.objects.get(codename="delete_apitoken")
    viewer.user_permissions.add(own)
    assert viewer.get_all_permissions() == viewer.get_group_permissions() | {"access.delete_apitoken"}
    assert viewer.has_perm(VIEW)


def test_an_account_asks_for_its_permissions_once(operator: User) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert operator.has_perm(VIEW)
        assert not operator.has_perm("audit.view_auditentry")
    assert len(captured) == 1


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.MANAGER])
def test_a_token_comes_with_what_its_account_holds(actor: Callable[..., User], role: Role | None) -> None:
    user = actor(*([role] if role else []))
    user.user_permissions.add(Permission.objects.get(codename="delete_apitoken"))
    factories.create_token(user)
    (token,) = annotate_permissions(ApiToken.objects.select_related("user"), "access_apitoken.user_id")
    remember(token)
    with CaptureQueriesContext(connection) as captured:
        held = token.user.get_all_permissions()
    assert (held, len(captured)) == (user.get_all_permissions(), 0)


def test_the_token_of_an_administrator_holds_every_permission(actor: Callable[..., User]) -> None:
    factories.create_token(actor(is_superuser=True))
    (token,) = annotate_permissions(ApiToken.objects.select_related("user"), "access_apitoken.user_id")
    remember(token)
    assert len(token.user.get_all_permissions()) == Permission.objects.count()


def test_an_administrator_holds_every_permission(actor: Callable[..., User]) -> None:
    administrator = actor(is_superuser=True)
    assert len(administrator.get_all_permissions()) == Permission.objects.count()


def test_nobody_and_closed_accounts_hold_none(actor: Callable[..., User]) -> None:
    closed = actor(Role.MANAGER, is_active=False)
    assert closed.get_all_permissions() == set()
    assert AccountBackend().get_all_permissions(AnonymousUser()) == set()


# What SQLite counts in a new portal, where nobody is in a group yet.
COUNTED = (
    ("auth_group_permissions", "auth_group_permissions_group_id_permission_id_0cd325b0_uniq", "36 12 1"),
    ("django_content_type", "django_content_type_app_label_model_76bd3d3b_uniq", "38 3 1"),
    ("auth_permission", "auth_permission_content_type_id_codename_01ab375a_uniq", "86 4 1"),
)


@pytest.fixture
def counted(db: None) -> Iterator[None]:
    """Let SQLite have counted so; what it has read of that would outlast the test."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("DELETE FROM sqlite_stat1")
        cursor.executemany("INSERT INTO sqlite_stat1 VALUES (%s, %s, %s)", COUNTED)
        cursor.execute("ANALYZE sqlite_schema")
        yield
        cursor.execute("DELETE FROM sqlite_stat1")
        cursor.execute("ANALYZE sqlite_schema")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="plans of PostgreSQL follow from its own statistics")
def test_the_permissions_of_a_token_are_found_from_its_account_whatever_sqlite_counts(counted: None) -> None:
    tokens = ApiToken.objects.select_related("user").filter(digest="x")
    plan = annotate_permissions(tokens, "access_apitoken.user_id").explain()
    assert "SEARCH permission" in plan
    assert not re.search("SCAN (permission|content_type)", plan)
