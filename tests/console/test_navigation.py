"""The navigation asks for the rights to all lists together; it must answer as each list would."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import reverse

from autosubmit_portal.access.models import FailedSignIn, SiteAccount, SitePolicy, SiteRole
from autosubmit_portal.access.roles import Role
from autosubmit_portal.console import navigation
from autosubmit_portal.console.site import console
from experiments.models import Experiment, Site
from tests.console.pages import list_of, text_of
from tests.support import factories

REACHED_FROM_OTHER_PAGES = {SiteRole, SiteAccount, SitePolicy, FailedSignIn}


def holder_of(codename: str) -> User:
    user = factories.create_user()
    user.user_permissions.add(Permission.objects.get(codename=codename))
    return user


def member_of_a_team(site: Site) -> User:
    user = factories.create_user()
    factories.create_team((user, Role.VIEWER), covers={"site": site})
    return user


def manager_of_a_site(site: Site) -> User:
    user = factories.create_user()
    SiteRole.objects.create(user=user, site=site, role=Role.MANAGER)
    return user


@pytest.mark.parametrize(
    "make",
    [
        *(lambda _, role=role: factories.create_user(role) for role in Role),
        lambda _: factories.create_administrator(),
        lambda _: factories.create_user(),
        lambda _: holder_of("change_user"),
        lambda _: holder_of("view_group"),
        lambda _: holder_of("view_auditentry"),
        member_of_a_team,
        manager_of_a_site,
    ],
)
def test_the_navigation_and_the_page_admin_lead_to_the_lists_that_somebody_may_see(
    make: Callable[[Site], User], site: Site, rf: RequestFactory
) -> None:
    request = rf.get("/")
    request.user = User.objects.get(pk=make(site).pk)
    seen = [page.model for page in navigation.filter_seen(request.user, navigation.ALL) if page.model]
    admins = [console.get_model_admin(page.model) for page in navigation.ALL if page.model]
    assert seen == [admin.model for admin in admins if admin.has_view_or_change_permission(request)]


def test_every_list_is_led_to_or_reached_from_another_page() -> None:
    assert set(console._registry) == {*(page.model for page in navigation.ALL if page.model), *REACHED_FROM_OTHER_PAGES}


@pytest.mark.parametrize("page", navigation.ALL, ids=lambda page: page.name)
def test_everything_that_is_led_to_is_there(page: navigation.Page, as_admin: Client) -> None:
    assert as_admin.get(page.address).status_code == 200


@pytest.mark.parametrize(
    ("address", "name"),
    [
        *(("/", "Now"), ("/admin/", "Admin"), ("/health/", "Admin"), ("jobs_job", "Jobs"), ("/shift/", "Activity")),
        *(("experiments_run", "Experiments"), ("experiments_action", "Activity")),
    ],
)
def test_a_page_belongs_to_one_entry_of_the_navigation(address: str, name: str, as_admin: Client, site: Site) -> None:
    page = text_of(as_admin.get(address if address.startswith("/") else list_of(address)))
    assert re.findall(r'aria-current="page"[^>]*>([^<]*)<', page) == [name]


def test_preferences_belong_to_the_account_and_not_to_the_navigation(as_admin: Client) -> None:
    assert 'aria-current="page"' not in text_of(as_admin.get("/preferences/"))


def test_the_form_of_a_new_experiment_belongs_to_the_experiments(as_admin: Client, site: Site) -> None:
    page = text_of(as_admin.get(reverse("admin:experiments_site_request", args=[site.pk, "create"])))
    (current,) = re.findall(r'<a href="([^"]*)" aria-current="page"', page)
    assert current == list_of("experiments_experiment")


def test_an_address_without_a_page_answers_with_a_way_back(as_viewer: Client) -> None:
    answer = as_viewer.get("/nothing/here/")
    assert answer.status_code == 404
    assert 'href="/">Now</a>' in text_of(answer)
    assert 'action="/search/"' in text_of(answer)


def test_an_expid_that_several_sites_have_is_explained(as_viewer: Client) -> None:
    for slug in ("lumi", "mn5"):
        factories.create_experiment(factories.create_site(slug=slug), expid="a000")
    assert "a000@lumi, a000@mn5" in text_of(as_viewer.get("/experiments/a000/"))


def test_a_page_that_fails_has_a_look_and_a_way_back() -> None:
    page = render_to_string("500.html")
    assert "portal/portal.css" in page
    assert 'href="/">Now</a>' in page


@pytest.mark.parametrize("page", ["", "graph/", "graph/?view=jobs", "grid/", "jobs/", "activity/"])
def test_no_two_landmarks_of_a_page_have_one_name(page: str, experiment: Experiment, as_viewer: Client) -> None:
    shown = text_of(as_viewer.get(f"/experiments/{experiment.expid}/{page}"))
    landmarks = re.findall(
        r'<(?:section|nav|form)\b[^>]*(aria-label(?:ledby)?="[^"]*")|role="region" (aria-[^>]*)', shown
    )
    assert len(set(landmarks)) == len(landmarks)


def test_keys_reach_the_pages_before_the_menu_of_the_account(as_viewer: Client) -> None:
    page = text_of(as_viewer.get("/"))
    places = [page.index(mark) for mark in ("skip-to-content-link", 'class="portal-nav"', 'id="go-to"', 'id="account"')]
    assert places == sorted(places)
