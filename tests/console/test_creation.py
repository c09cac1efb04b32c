"""The form of a new experiment, and what the page of its action offers next."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from autosubmit_portal.access.roles import Role
from experiments.catalogue.kinds import CREATE, GENERATE, RUN
from experiments.models import Action, Experiment, Site, State
from jobs.models import Job
from tests.console.pages import commands_in, form_of, key_in, page_of, text_of
from tests.support import factories


def action_page(action: Action) -> str:
    return page_of("experiments_action", action.pk)


def create(client: Client, job: Job, **given: str) -> Any:
    return client.post(form_of(CREATE, job), {"description": "Ocean", **given})


def get_argv() -> list[str]:
    (argv,) = Action.objects.get().command
    return [*argv[1:]]


# --- Ways


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ({}, []),
        ({"origin": "dummy", "hpc": "MN5"}, ["--HPC=MN5", "--dummy"]),
        ({"origin": "minimal"}, ["--minimal_configuration"]),
        ({"origin": "copy", "copy": "a000", "hpc": "MN5"}, ["--HPC=MN5", "--copy=a000"]),
        ({"purpose": "testcase"}, ["--testcase"]),
    ],
)
def test_a_way_is_the_options_that_it_stands_for(
    as_manager: Client, job: Job, given: dict[str, str], flags: list[str]
) -> None:
    assert create(as_manager, job, **given).status_code == 302
    assert get_argv() == ["expid", "--description=Ocean", *flags]


def test_from_git_is_a_minimal_configuration_with_repository_branch_and_folder(as_manager: Client, job: Job) -> None:
    repository = "https://git.example.org/x.git"
    create(as_manager, job, origin="git", git_repo=repository, git_branch="main", git_as_conf="conf")
    flags = ["--minimal_configuration", f"--git_repo={repository}", "--git_branch=main", "--git_as_conf=conf"]
    assert get_argv() == ["expid", "--description=Ocean", *flags]


def test_what_was_filled_in_for_another_way_does_not_count(as_manager: Client, job: Job) -> None:
    assert create(as_manager, job, origin="default", copy="a000", git_branch="main").status_code == 302
    assert get_argv() == ["expid", "--description=Ocean"]


@pytest.mark.parametrize(("way", "missing"), [("copy", "copy"), ("git", "git_repo")])
def test_what_a_way_needs_is_named_with_an_example(as_manager: Client, job: Job, way: str, missing: str) -> None:
    answer = create(as_manager, job, origin=way, hpc="LOCAL")
    (message,) = answer.context["form"].errors[missing]
    assert answer.status_code == 400
    assert "Fill it in, such as" in message


def test_a_copy_needs_a_platform_which_autosubmit_would_replace(as_manager: Client, job: Job) -> None:
    answer = create(as_manager, job, origin="copy", copy="a000", hpc="")
    assert answer.context["form"].errors.keys() == {"hpc"}


def test_a_way_that_there_is_not_is_refused(as_manager: Client, job: Job) -> None:
    answer = create(as_manager, job, origin="tape")
    assert answer.context["form"].errors.keys() == {"origin"}


def test_the_form_has_a_box_for_each_way_and_its_fields_below_it(as_manager: Client, job: Job) -> None:
    page = text_of(as_manager.get(form_of(CREATE, job)))
    for way in ("default", "dummy", "minimal", "copy", "git"):
        assert f'name="origin" value="{way}"' in page
    assert page.index('value="copy"') < page.index('name="copy"') < page.index('value="git"')
    assert page.index('value="git"') < page.index('name="git_branch"')
    assert 'name="dummy"' not in page


def test_asking_again_shows_the_way_of_before(as_manager: Client, job: Job) -> None:
    create(as_manager, job, origin="git", git_repo="https://git.example.org/x.git", purpose="operational")
    Action.objects.update(state=State.FAILED)
    form = as_manager.get(f"{form_of(CREATE, job)}?like={Action.objects.get().pk}").context["form"]
    assert (form.initial["origin"], form.initial["purpose"]) == ("git", "operational")


def test_an_address_may_choose_the_experiment_to_copy(as_manager: Client, job: Job) -> None:
    answer = as_manager.get(f"{form_of(CREATE, job)}?copy=a000")
    assert answer.context["form"].initial["origin"] == "copy"
    assert answer.context["form"].initial["copy"] == "a000"


# --- Offers


def choices(client: Client, site: Site, text: str) -> str:
    return text_of(client.get(f"/search/experiments/{site.pk}/", {"q": text}))


def test_experiments_are_offered_by_expid_and_words_with_their_platform(
    as_viewer: Client, experiment: Experiment
) -> None:
    for text in ("a0", "run cont"):
        assert 'data-value="a000" data-hpc="MN5"' in choices(as_viewer, experiment.site, text)
    assert choices(as_viewer, experiment.site, " \0").strip() == ""


def test_only_experiments_of_the_site_that_one_may_see_are_offered(
    signed_in: Callable[[User], Client], experiment: Experiment
) -> None:
    factories.create_experiment(experiment.site, expid="a001", owner="ben")
    factories.create_experiment(expid="a002")
    user = factories.create_user()
    factories.create_team((user, Role.MANAGER), covers={"site": experiment.site, "owner": "ana"})
    found = choices(signed_in(user), experiment.site, "a0")
    assert ("a000" in found, "a001" in found, "a002" in found) == (True, False, False)


def test_a_site_beyond_ones_rights_offers_nothing(signed_in: Callable[[User], Client], experiment: Experiment) -> None:
    user = factories.create_user()
    factories.create_team((user, Role.MANAGER), covers={"site": factories.create_site()})
    assert signed_in(user).get(f"/search/experiments/{experiment.site.pk}/", {"q": "a0"}).status_code == 404


def test_the_platforms_of_the_site_are_offered_and_the_most_used_one_is_filled_in(as_manager: Client, job: Job) -> None:
    site = job.experiment.site
    for number in range(2):
        factories.create_experiment(site, expid=f"b00{number}", hpc="LUMI", limits={"mn5": {}, "ARCHIVE": {}})
    factories.create_experiment(hpc="ELSEWHERE")
    answer = as_manager.get(form_of(CREATE, job))
    assert answer.context["form"].fields["hpc"].offers == ["LUMI", "MN5", "ARCHIVE"]
    assert 'list="offers-hpc"' in text_of(answer)
    assert 'name="hpc" value="LUMI"' in text_of(answer)


def test_a_program_is_asked_for_only_where_there_are_several(as_manager: Client, job: Job) -> None:
    assert 'name="program"' not in text_of(as_manager.get(form_of(CREATE, job)))
    job.experiment.site.hosts.update(programs={"next": "4.2.0"}, rules_asked_at="2026-01-01T00:00Z")
    assert '<option value="next">' in text_of(as_manager.get(form_of(CREATE, job)))


# --- What follows


@pytest.fixture
def fresh(site: Site) -> Experiment:
    """An experiment without a job list."""
    return factories.create_experiment(site, expid="b000")


def done(experiment: Experiment, kind: str) -> Action:
    return factories.create_action(experiment=experiment, kind=kind, state=State.SUCCEEDED)


def test_after_a_creation_one_button_generates(as_manager: Client, fresh: Experiment) -> None:
    answer = as_manager.get(action_page(done(fresh, "create")))
    assert "Next: Generate b000" in text_of(answer)
    assert commands_in(answer)[0].split()[1:] == ["create", "--noplot", "b000"]
    sent = as_manager.post(answer.context["next"]["address"], {"idempotency_key": key_in(answer)})
    assert (sent.status_code, Action.objects.latest("pk").kind) == (302, GENERATE.name)


def test_after_generating_one_button_starts(as_manager: Client, experiment: Experiment) -> None:
    answer = as_manager.get(action_page(done(experiment, "generate")))
    as_manager.post(answer.context["next"]["address"], {"idempotency_key": key_in(answer)})
    assert Action.objects.latest("pk").kind == RUN.name


def test_a_step_that_would_destroy_work_is_no_single_button(as_manager: Client, experiment: Experiment) -> None:
    answer = as_manager.get(action_page(done(experiment, "create")))
    assert "loses the progress" in text_of(answer)
    assert 'name="idempotency_key"' not in text_of(answer)
    assert answer.context["next"]["address"] in text_of(answer)


def test_a_step_that_is_not_possible_says_why(as_manager: Client, fresh: Experiment) -> None:
    Site.objects.update(problem="The program is gone.")
    answer = as_manager.get(action_page(done(fresh, "create")))
    assert "Not possible now." in text_of(answer)
    assert 'name="idempotency_key"' not in text_of(answer)


@pytest.mark.parametrize("state", [State.FAILED, State.RUNNING])
def test_nothing_follows_what_has_not_succeeded(as_manager: Client, fresh: Experiment, state: State) -> None:
    action = factories.create_action(experiment=fresh, kind="create", state=state)
    assert as_manager.get(action_page(action)).context["next"] is None


def test_nothing_follows_once_something_else_was_asked_for(as_manager: Client, fresh: Experiment) -> None:
    first = done(fresh, "create")
    done(fresh, "generate")
    assert as_manager.get(action_page(first)).context["next"] is None


def test_who_may_not_do_the_next_step_is_not_offered_it(as_operator: Client, fresh: Experiment) -> None:
    assert as_operator.get(action_page(done(fresh, "create"))).context["next"] is None
