"""Stamps of live parts: what a part shows changes its stamp, and a tab that shows all of it costs next to nothing."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.models import Coverage, Delegation, Membership, SiteRole
from autosubmit_portal.access.preferences import set_preferences
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.console import stamps
from experiments.mirror import sync
from experiments.models import Action, Experiment, Freeze, Run, Site, State
from experiments.registry import mark_gone
from jobs.models import Job
from tests.console.pages import list_of, page_of
from tests.support import factories
from tests.support.caches import forget_stamps
from tests.support.small_stores import COMPLETED, FAILED, READY, make_store, write_pickle
from tests.support.steps import create_step, find_directory
from tests.support.waiting import wait_for
from tests.test_queries import address_of, routes, rows  # noqa: F401  # a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

HTMX = {"HX-Request": "true"}
STAMP = re.compile(r'data-live="\d+" data-stamp="(\w+)"')
DAY = timedelta(days=1)


class Tab:
    """An open tab: it asks with the stamp of what it shows."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address, self.stamp = client, address, ""
        assert self.has_changed()

    def tick(self) -> int:
        """Ask whether something has changed, later than a second after the last time; return the status."""
        stamps.look_once_a_second.cache_clear()
        answer = self.client.get(self.address, headers=HTMX | {stamps.HEADER: self.stamp})
        if answer.status_code == 200:
            self.stamp = STAMP.findall(answer.content.decode())[0]
        return answer.status_code

    def has_changed(self) -> bool:
        """Answer whether the tab got its part anew."""
        status = self.tick()
        assert status in (200, 204)
        return status == 200


@pytest.fixture(autouse=True)
def _long_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no stamp end because its time is over."""
    monkeypatch.setattr(stamps, "MOST_SECONDS", 10**9)
    monkeypatch.setattr(stamps, "FILES_SECONDS", 10**9)


@pytest.fixture
def store_home(tmp_path: Path) -> Path:
    make_store(tmp_path, ["a000"])
    return tmp_path


@pytest.fixture
def experiment(store_home: Path) -> Experiment:
    """A mirrored experiment with one job, an action and a run, at a site whose mirror is fresh and has a freeze."""
    now = timezone.now()
    site = factories.create_site(slug="local", home=str(store_home), is_default=True, mirrored_at=now, swept_at=now)
    experiment = sync.adopt(site, "a000")
    assert experiment is not None
    factories.create_action(experiment, kind="generate", state=State.SUCCEEDED)
    factories.create_run(experiment, run_id=7)
    factories.create_freeze(site, platform="MN5")
    factories.create_worker()
    return experiment


@pytest.fixture
def addresses(experiment: Experiment) -> dict[str, str]:
    """The address of each live page."""
    pages: dict[str, type[Model]] = {
        "experiments_experiment": Experiment,
        "experiments_action": Action,
        "experiments_freeze": Freeze,
        "experiments_site": Site,
        "jobs_job": Job,
    }
    found = {f"{name} page": page_of(name, model._default_manager.earliest("pk").pk) for name, model in pages.items()}
    found |= {f"{name} list": list_of(name) for name in (*pages, "audit_auditentry")}
    found |= {"active actions": f"{list_of('experiments_action')}?state__exact=queued"}
    found |= {"running": f"{list_of('experiments_experiment')}?running=yes"}
    found |= {"grid": reverse("admin:experiments_experiment_grid", args=[experiment])}
    found |= {"activity": reverse("admin:activity")}
    found |= {"logs of an experiment": reverse("admin:experiments_experiment_logs", args=[experiment])}
    found |= {"activity of an experiment": reverse("admin:experiments_experiment_activity", args=[experiment])}
    return found | {"now": reverse("admin:index"), "health": reverse("admin:health")}


# --- Changes, by what somebody would call them


def finish_job(experiment: Experiment) -> None:
    """Let the mirror see another status of the job."""
    write_pickle(factories.locate_store(experiment.site), "a000", COMPLETED)
    sync.refresh(experiment)


def add_failed_job(experiment: Experiment) -> None:
    write_pickle(factories.locate_store(experiment.site), "a000", READY, FAILED)
    sync.refresh(experiment)


def of_experiment(**values: object) -> Callable[[Experiment], object]:
    return lambda experiment: Experiment.objects.filter(pk=experiment.pk).update(**values)


def of_site(**values: object) -> Callable[[Experiment], object]:
    return lambda experiment: Site.objects.filter(pk=experiment.site_id).update(**values)


def of_action(**values: object) -> Callable[[Experiment], object]:
    return lambda experiment: Action.objects.filter(experiment=experiment).update(**values)


def add_action(experiment: Experiment) -> None:
    factories.create_action(experiment)


def add_entry(experiment: Experiment) -> None:
    trail.record(
        "action.requested",
        origin=Origin(Door.API),
        subject="a000",
        site="local",
        expid="a000",
        action_id=Action.objects.get().pk,
    )


def add_act(experiment: Experiment) -> None:
    trail.record("experiment.run_ended_outside", origin=Origin(Door.MIRROR), site="local", expid="a000")


def end_run(experiment: Experiment) -> None:
    Run.objects.filter(experiment=experiment).update(ended_at=timezone.now())


def freeze(experiment: Experiment) -> None:
    factories.create_freeze(experiment.site, message="Maintenance of the batch system")


def end_freeze(experiment: Experiment) -> None:
    Freeze.objects.update(ended_at=timezone.now())


def begin_planned_freeze(experiment: Experiment) -> None:
    """Let time pass: nothing is written when the time of a freeze comes."""
    Freeze.objects.update(starts_at=timezone.now() + DAY)


def lose_mirror(experiment: Experiment) -> None:
    Site.objects.update(mirrored_at=timezone.now() - timedelta(minutes=5))


def kill_worker(experiment: Experiment) -> None:
    factories.create_worker().__class__.objects.update(seen_at=timezone.now() - DAY)


def wait_long(experiment: Experiment) -> None:
    factories.create_action(experiment)
    Action.objects.filter(state=State.QUEUED).update(requested_at=timezone.now() - DAY)


def lose(experiment: Experiment) -> None:
    assert mark_gone(experiment.site, "a000")


CHANGES: dict[str, dict[str, Callable[[Experiment], object]]] = {
    "grid": {"status of a job": finish_job, "a failed job": add_failed_job, "gone": lose},
    "experiments_experiment page": {
        "status of a job": finish_job,
        "a failed job": add_failed_job,
        "description": of_experiment(description="Another"),
        "a run begins": of_experiment(is_running=True),
        "evidence": of_experiment(evidence="process 7"),
        "problem": of_experiment(problem="It cannot be read."),
        "contradiction": of_experiment(disagreement="They differ."),
        "gone": lose,
        "state of an action": of_action(state=State.FAILED, message="It failed."),
        "a new action": add_action,
        "end of a run": end_run,
        "a freeze": freeze,
        "end of a freeze": end_freeze,
        "time of a freeze": begin_planned_freeze,
        "a sick site": of_site(problem="No program."),
        "a kind is switched off": of_site(disabled_kinds=["run"]),
        "an entry of the trail": add_entry,
    },
    "experiments_experiment list": {
        "status of a job": finish_job,
        "a run begins": of_experiment(is_running=True),
        "gone": lose,
        "a second site": lambda _: factories.create_site(),
        "a new one": lambda experiment: factories.create_experiment(experiment.site),
        "an action that starts": add_action,
    },
    "running": {"one that begins to run": of_experiment(is_running=True)},
    "experiments_action page": {
        "state": of_action(state=State.FAILED, message="It failed."),
        "message": of_action(message="Waits for a slot."),
        "cancelling": of_action(cancel_requested_at=timezone.now(), cancelled_by="ana"),
        "the next step": of_action(step=1),
        "status of a job": finish_job,
        "an entry of the trail": add_entry,
    },
    "experiments_action list": {
        "state": of_action(state=State.FAILED),
        "message": of_action(message="Waits for a slot."),
        "a new one": add_action,
        "one to approve": of_action(state=State.AWAITING_APPROVAL),
    },
    "active actions": {"one that enters": of_action(state=State.QUEUED)},
    "jobs_job page": {
        "status": finish_job,
        "edges": of_experiment(edges_note="Unknown."),
        "stale": of_experiment(problem="It cannot be read."),
        "an action that is in the way": add_action,
    },
    "jobs_job list": {
        "status": finish_job,
        "a new one": add_failed_job,
        "stale": of_experiment(problem="It cannot be read."),
    },
    "experiments_freeze page": {
        "end": end_freeze,
        "time": begin_planned_freeze,
        "a run there": of_experiment(is_running=True, hpc="MN5"),
    },
    "experiments_freeze list": {"a new one": freeze, "end": end_freeze, "time": begin_planned_freeze},
    "experiments_site page": {
        "problem": of_site(problem="No program."),
        "a late mirror": lose_mirror,
        "who mirrors": of_site(mirror_holder="host:7", mirror_expires_at=timezone.now() + DAY),
        "version": of_site(autosubmit_version="4.1.17"),
    },
    "experiments_site list": {
        "problem": of_site(problem="No program."),
        "a late mirror": lose_mirror,
        "a new one": lambda _: factories.create_site(),
    },
    "audit_auditentry list": {"a new one": add_entry},
    "now": {
        "status of a job": finish_job,
        "a run begins": of_experiment(is_running=True),
        "problem": of_experiment(problem="It cannot be read."),
        "an alarm": of_experiment(attention_rules=",stalled,"),
        "gone": lose,
        "a failed action": of_action(state=State.FAILED, ended_at=timezone.now()),
        "a new action": add_action,
        "an action that waits long": wait_long,
        "one to approve": of_action(state=State.AWAITING_APPROVAL),
        "a freeze": freeze,
        "a sick site": of_site(problem="No program."),
        "a late mirror": lose_mirror,
        "a dead worker": kill_worker,
        "what was done outside": add_act,
    },
    "activity": {"a new action": add_action, "state": of_action(state=State.FAILED), "what was done outside": add_act},
    "logs of an experiment": {"a new action": add_action, "jobs": finish_job},
    "activity of an experiment": {
        "a new action": add_action,
        "state": of_action(state=State.FAILED),
        "what was done outside": add_act,
    },
    "health": {
        "a dead worker": kill_worker,
        "a late mirror": lose_mirror,
        "a sick site": of_site(problem="No program."),
    },
}


@pytest.mark.parametrize(
    ("page", "change"), [(page, change) for page, changes in CHANGES.items() for change in changes]
)
def test_a_tab_gets_its_part_when_something_that_it_shows_has_changed(
    experiment: Experiment, addresses: dict[str, str], as_admin: Client, page: str, change: str
) -> None:
    tab = Tab(as_admin, addresses[page])
    assert not tab.has_changed()
    CHANGES[page][change](experiment)
    assert tab.has_changed()
    assert not tab.has_changed()


def test_every_live_page_is_changed_by_something(addresses: dict[str, str]) -> None:
    assert CHANGES.keys() == addresses.keys()


def test_every_part_that_refreshes_itself_has_a_stamp_and_costs_one_query(
    rows: Experiment,  # noqa: F811
    as_admin: Client,
) -> None:
    live = set()
    for route in dict.fromkeys(
        route for route in routes() if not route.startswith(("v4", "healthz", "metrics", "static"))
    ):
        address = address_of(route)
        answer = as_admin.get(address)
        found = [] if answer.streaming else STAMP.findall(answer.content.decode(errors="replace"))
        if found:
            live.add(route)
            assert_cheap(as_admin, address, found[0])
        assert answer.streaming or len(found) == answer.content.count(b"data-live="), address
    assert len(live) == 20


def assert_cheap(client: Client, address: str, stamp: str) -> None:
    """Assert that a tick costs no template and one query, unless a second has passed on this busy machine."""
    wait_for(lambda: cost(client, address, stamp), is_enough=lambda found: found == (204, 1, []))


def cost(client: Client, address: str, stamp: str) -> tuple[int, int, list[str]]:
    """Return the status of a tick, its queries, and the templates that it rendered."""
    client.get(address, headers=HTMX | {stamps.HEADER: stamp})  # what is asked once a second is known then, mostly
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address, headers=HTMX | {stamps.HEADER: stamp})
        return answer.status_code, len(captured), [template.name or "" for template in answer.templates]


# --- Rights


RIGHTS: dict[str, Callable[[User, Experiment], object]] = {
    "a role at the site": lambda user, experiment: SiteRole.objects.create(
        user=user, site=experiment.site, role=Role.OPERATOR
    ),
    "a team": lambda user, experiment: factories.create_team((user, Role.OPERATOR), covers={"expid_pattern": "a*"}),
    "a permission": lambda user, experiment: user.user_permissions.add(Permission.objects.get(codename="request_run")),
    "a group": lambda user, experiment: user.groups.add(Group.objects.get(name=Role.OPERATOR.title)),
    "a loan": lambda user, experiment: factories.create_delegation(factories.create_user(Role.OPERATOR), user),
    "the experiment in a team": lambda user, experiment: factories.create_team().experiments.add(experiment),
    "the keys of everything": lambda user, experiment: User.objects.filter(pk=user.pk).update(is_superuser=True),
}


@pytest.mark.parametrize("right", RIGHTS)
def test_a_tab_gets_its_part_when_the_rights_of_whoever_looks_have_changed(
    experiment: Experiment, as_viewer: Client, viewer: User, right: str
) -> None:
    tab = Tab(as_viewer, page_of("experiments_experiment", experiment.pk))
    RIGHTS[right](viewer, experiment)
    assert tab.has_changed()
    assert not tab.has_changed()


def test_a_tab_gets_its_part_when_who_lends_has_lost_the_right_or_the_time_is_over(
    experiment: Experiment, as_viewer: Client, viewer: User
) -> None:
    lender = factories.create_user(Role.OPERATOR)
    factories.create_delegation(lender, viewer)
    tab = Tab(as_viewer, page_of("experiments_experiment", experiment.pk))
    lender.groups.clear()
    assert tab.has_changed()
    Delegation.objects.update(ends_at=timezone.now())
    assert tab.has_changed()


def test_who_loses_coverage_is_not_told_that_nothing_has_changed(
    experiment: Experiment, signed_in: Callable[[User], Client]
) -> None:
    member = factories.create_user()
    factories.create_team((member, Role.VIEWER), covers={"expid_pattern": "a*"})
    tab = Tab(signed_in(member), page_of("experiments_experiment", experiment.pk))
    Coverage.objects.update(expid_pattern="b*")
    assert tab.tick() == 404
    Membership.objects.all().delete()
    assert tab.tick() == 302


def test_a_tab_is_not_told_that_nothing_has_changed_when_a_membership_is_over(
    experiment: Experiment, signed_in: Callable[[User], Client]
) -> None:
    member = factories.create_user()
    factories.create_team((member, Role.VIEWER), covers={"expid_pattern": "a*"})
    tab = Tab(signed_in(member), page_of("experiments_experiment", experiment.pk))
    Membership.objects.update(ends_at=timezone.now())
    assert tab.tick() == 302


@pytest.mark.parametrize(
    "end",
    [
        lambda user: Session.objects.all().delete(),
        lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda user: user.set_password("another") or user.save(),
        lambda user: user.groups.clear(),
    ],
    ids=["signed out", "closed", "another password", "without rights"],
)
def test_who_may_not_look_any_more_is_not_told_that_nothing_has_changed(
    experiment: Experiment, as_viewer: Client, viewer: User, end: Callable[[User], object]
) -> None:
    tab = Tab(as_viewer, page_of("experiments_experiment", experiment.pk))
    assert tab.tick() == 204
    end(viewer)
    assert tab.tick() == 302


def test_who_lacks_the_second_factor_that_a_new_role_needs_is_not_told_that_nothing_has_changed(
    experiment: Experiment, as_viewer: Client, viewer: User, settings: Any
) -> None:
    settings.REQUIRE_SECOND_FACTOR = "managers"
    tab = Tab(as_viewer, page_of("experiments_experiment", experiment.pk))
    assert tab.tick() == 204
    SiteRole.objects.create(user=viewer, site=experiment.site, role=Role.MANAGER)
    assert tab.tick() == 302


def test_who_lost_the_second_factor_is_not_told_that_nothing_has_changed(
    experiment: Experiment, as_viewer: Client, viewer: User
) -> None:
    totp = Authenticator.objects.create(user=viewer, type=Authenticator.Type.TOTP, data={})
    tab = Tab(as_viewer, page_of("experiments_experiment", experiment.pk))
    totp.delete()
    assert tab.has_changed()


def test_a_session_that_has_ended_is_not_told_that_nothing_has_changed(
    experiment: Experiment, as_viewer: Client
) -> None:
    tab = Tab(as_viewer, page_of("experiments_experiment", experiment.pk))
    Session.objects.update(expire_date=timezone.now())
    assert tab.tick() == 302


def test_who_prefers_another_language_is_not_told_that_nothing_has_changed(
    experiment: Experiment, as_viewer: Client, viewer: User
) -> None:
    tab = Tab(as_viewer, page_of("experiments_experiment", experiment.pk))
    set_preferences(viewer, time_zone="", language="es")
    assert tab.has_changed()
    assert not tab.has_changed()


def test_a_browser_that_asks_for_another_language_is_not_told_that_nothing_has_changed(
    experiment: Experiment, as_viewer: Client
) -> None:
    tab = Tab(as_viewer, page_of("experiments_experiment", experiment.pk))
    as_viewer.defaults["HTTP_ACCEPT_LANGUAGE"] = "es"
    assert tab.has_changed()


def test_the_stamp_of_somebody_else_says_nothing(experiment: Experiment, as_viewer: Client, as_admin: Client) -> None:
    address = page_of("experiments_experiment", experiment.pk)
    other, tab = Tab(as_admin, address), Tab(as_viewer, address)
    tab.stamp = other.stamp
    assert tab.tick() == 200


def test_a_stamp_lasts_no_longer_than_its_period(
    experiment: Experiment, as_viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = Tab(as_viewer, page_of("experiments_experiment", experiment.pk))
    monkeypatch.setattr(stamps, "MOST_SECONDS", 10)
    assert tab.has_changed()


def test_the_stamp_of_a_job_lasts_no_longer_than_that_of_files(
    experiment: Experiment, as_viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = factories.create_job(experiment)
    tabs = [
        Tab(as_viewer, page_of(name, row.pk))
        for name, row in (("jobs_job", job), ("experiments_experiment", experiment))
    ]
    monkeypatch.setattr(stamps, "FILES_SECONDS", 10)
    assert [tab.has_changed() for tab in tabs] == [True, False]


def test_a_process_that_does_not_know_the_tab_says_as_well_that_nothing_has_changed(
    experiment: Experiment, as_viewer: Client
) -> None:
    tab = Tab(as_viewer, page_of("experiments_experiment", experiment.pk))
    forget_stamps()
    assert not tab.has_changed()


# --- Outputs that are followed


def piece(client: Client, address: str, stamp: str) -> tuple[int, str, str]:
    """Return the status, the stamp and the text of what comes after the first line of an output."""
    answer = client.get(address, {"after": "4"}, headers={stamps.HEADER: stamp})
    said = answer.json() if answer.status_code == 200 else {"html": ""}
    return (answer.status_code, answer.headers.get(stamps.HEADER, stamp), f"{said['html']}{said.get('is_over', '')}")


def test_the_output_of_an_action_is_sent_when_it_has_grown_or_ended(experiment: Experiment, as_viewer: Client) -> None:
    action = factories.create_action(experiment, state=State.RUNNING, step_started_at=timezone.now())
    create_step(action, printed="one\n")
    file = find_directory(action) / "output"
    address = reverse("admin:experiments_action_output", args=[action.pk, 0])
    _, stamp, _ = piece(as_viewer, address, "")
    assert piece(as_viewer, address, stamp)[0] == 204
    file.write_text("one\ntwo\n")
    _, stamp, text = piece(as_viewer, address, stamp)
    assert text == "two\nFalse"
    Action.objects.filter(pk=action.pk).update(state=State.SUCCEEDED)
    assert piece(as_viewer, address, stamp)[2] == "two\nTrue"


def test_a_log_is_sent_when_it_has_grown_or_is_another_one(
    experiment: Experiment, store_home: Path, as_viewer: Client
) -> None:
    file = store_home / "autosubmit" / "a000" / "tmp" / "ASLOGS" / "20261125_100000_run.log"
    file.parent.mkdir()
    file.write_text("one\n")
    address = reverse("admin:experiments_experiment_log", args=[experiment, file.name])
    _, stamp, _ = piece(as_viewer, address, "")
    assert piece(as_viewer, address, stamp)[0] == 204
    file.write_text("one\ntwo\n")
    _, stamp, text = piece(as_viewer, address, stamp)
    assert text == "two\nFalse"
    file.unlink()
    assert piece(as_viewer, address, stamp)[0] == 404
