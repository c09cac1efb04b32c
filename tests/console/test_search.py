"""The search from everywhere, and the page that lists what the navigation leaves out."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from autosubmit_portal.access.roles import Role
from autosubmit_portal.console.parts import finder
from experiments.models import Experiment, Site
from jobs.models import Job
from tests.console.pages import page_of, text_of
from tests.support import factories


def names(user: User, text: str) -> dict[str, list[str]]:
    """Return the names that a text finds, by their kinds."""
    return {hits.title: [hit.name for hit in hits.hits] for hits in finder.find(user, text)}


def test_an_exact_expid_opens_the_experiment(as_viewer: Client, experiment: Experiment) -> None:
    answer = as_viewer.get("/search/", {"q": " A000 "})
    assert (answer.status_code, answer["Location"]) == (302, page_of("experiments_experiment", experiment.pk))


def test_an_expid_of_two_sites_offers_both(as_viewer: Client, experiment: Experiment) -> None:
    other = factories.create_experiment(expid="a000", description="The other one")
    page = text_of(as_viewer.get("/search/", {"q": "a000"}))
    assert page_of("experiments_experiment", other.pk) in page
    assert page_of("experiments_experiment", experiment.pk) in page


def test_the_beginning_of_an_expid_and_words_of_a_description_find_experiments(
    viewer: User, experiment: Experiment
) -> None:
    factories.create_experiment(experiment.site, expid="b000", description="A spin-up")
    assert names(viewer, "a0")["Experiments"] == ["a000"]
    assert names(viewer, "run cont")["Experiments"] == ["a000"]
    assert "Experiments" not in names(viewer, "run spin")


def test_any_part_of_its_name_finds_a_job(viewer: User, job: Job) -> None:
    assert names(viewer, "000_sim")["Jobs"] == [job.name]
    assert "Jobs" not in names(viewer, "si")


def test_an_owner_is_found_by_everybody_and_an_account_by_who_may_see_accounts(
    viewer: User, experiment: Experiment
) -> None:
    User.objects.create_user("anabel")
    assert names(viewer, "an")["People"] == ["ana"]
    assert names(factories.create_administrator(), "an")["People"] == ["ana", "anabel"]


def test_pages_are_found_by_a_word_of_their_names(viewer: User) -> None:
    assert names(viewer, "expe")["Pages"] == ["Experiments"]
    assert names(viewer, "tok")["Pages"] == ["API tokens"]
    assert "Pages" not in names(viewer, "audit")


@pytest.mark.parametrize("text", ["a000", "control", "a000_SIM", "ana"])
def test_the_search_finds_nothing_that_somebody_may_not_see(text: str, experiment: Experiment) -> None:
    stranger = factories.create_user()
    factories.create_team((stranger, Role.VIEWER), covers={"site": factories.create_site()})
    assert names(stranger, text) == {}


def test_a_site_beyond_ones_rights_does_not_make_an_expid_ambiguous(
    site: Site, signed_in: Callable[[User], Client], experiment: Experiment
) -> None:
    factories.create_experiment(expid="a000")
    user = factories.create_user()
    factories.create_team((user, Role.VIEWER), covers={"site": site})
    answer = signed_in(user).get("/search/", {"q": "a000"})
    assert answer["Location"] == page_of("experiments_experiment", experiment.pk)


def test_the_search_leads_to_the_list_of_all_that_it_found(as_viewer: Client, experiment: Experiment) -> None:
    for number in range(finder.MOST):
        factories.create_job(experiment, f"a000_{number}_SIM")
    assert '?q=_SIM">All jobs' in text_of(as_viewer.get("/search/", {"q": "_SIM"}))


def test_what_is_offered_is_escaped(as_viewer: Client, experiment: Experiment) -> None:
    Experiment.objects.update(description="<script>run")
    assert "&lt;script&gt;run" in text_of(as_viewer.get("/search/offers/", {"q": "a000"}))


@pytest.mark.parametrize("text", ["\x00", "  ", "%", "'\"", "é" * 300, "9", "z", "_"])
def test_any_text_may_be_looked_for(as_viewer: Client, experiment: Experiment, text: str) -> None:
    assert as_viewer.get("/search/", {"q": text}).status_code == 200


def test_the_page_admin_leads_to_all_other_lists_that_somebody_may_see(as_viewer: Client) -> None:
    page = text_of(as_viewer.get("/admin/"))
    assert ">Sites</a>" in page
    assert ">People</a>" not in page
