"""An expid that Autosubmit gives again names another experiment, which inherits nothing of the one before."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from autosubmit_portal.access.models import TeamExperiment
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.execute import execute
from experiments.actions.finish import fail
from experiments.actions.idempotency import IdempotencyKey
from experiments.actions.refusals import KeyReused
from experiments.audit_visibility import find_experiment, list_entries_about, list_visible_entries
from experiments.autosubmit.store import Store, read_experiments
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Action, Experiment, State
from tests.support import factories
from tests.support.small_stores import COMPLETED, make_store, write_pickle

pytestmark = pytest.mark.django_db

FIRST, SECOND = "2026-01-01T10:00:00+00:00", "2026-02-02T10:00:00+00:00"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one experiment, number 1, of the first day."""
    made = make_store(tmp_path, ["a000"])
    register(made, (1, FIRST))
    return made


@pytest.fixture
def watcher(store: Store) -> SiteMirror:
    """A mirror that has made its first pass over it."""
    made = SiteMirror(factories.create_store_site(store).pk)
    made.look()
    return made


@pytest.fixture
def old(watcher: SiteMirror) -> Experiment:
    """The first experiment of that name."""
    return Experiment.objects.select_related("site").get()


def register(store: Store, *rows: tuple[int, str | None], name: str = "a000") -> None:
    """Have `autosubmit.db` list the expid with these numbers and times of creation, and nothing else of it."""
    with closing(sqlite3.connect(store.database)) as connection, connection:
        connection.execute("DELETE FROM experiment WHERE name = ?", (name,))
        connection.execute("DELETE FROM details")
        for number, created in rows:
            connection.execute("INSERT INTO experiment (id, name) VALUES (?, ?)", (number, name))
            connection.execute("INSERT INTO details (exp_id, created) VALUES (?, ?)", (number, created))


def given_again(watcher: SiteMirror, store: Store, *, number: int = 2, created: str = SECOND) -> Experiment:
    """Delete the experiment and create another one that gets its expid; return that as it is mirrored."""
    register(store, (number, created))
    write_pickle(store, "a000", COMPLETED, COMPLETED)
    watcher.look()
    return Experiment.objects.select_related("site").get(gone_at=None)


@pytest.mark.parametrize(("number", "created"), [(2, SECOND), (1, SECOND), (2, FIRST)])
def test_another_number_or_another_time_is_another_experiment(
    number: int, created: str, watcher: SiteMirror, store: Store, old: Experiment
) -> None:
    new = given_again(watcher, store, number=number, created=created)
    old.refresh_from_db()
    assert (new.pk != old.pk, old.gone_at is not None) == (True, True)


def test_the_jobs_of_the_new_one_are_not_the_old_ones(watcher: SiteMirror, store: Store, old: Experiment) -> None:
    new = given_again(watcher, store)
    old.refresh_from_db()
    assert (new.status_counts, old.status_counts) == ({"COMPLETED": 2}, {"READY": 1})
    assert (new.jobs.count(), old.jobs.count()) == (2, 1)


def test_a_team_that_had_the_old_one_by_hand_has_nothing_of_the_new_one(
    watcher: SiteMirror, store: Store, old: Experiment, actor: Callable[..., User]
) -> None:
    member = actor()
    team = factories.create_team((member, Role.MANAGER))
    TeamExperiment.objects.create(team=team, experiment=old)
    new = given_again(watcher, store)
    member = User.objects.get(pk=member.pk)
    assert not policy.may_request(member, CATALOGUE["run"], experiment=new)
    assert [experiment.pk for experiment in Experiment.objects.visible_to(member)] == [old.pk]


def test_old_actions_stay_with_the_old_one_also_when_they_end_later(
    watcher: SiteMirror, store: Store, old: Experiment
) -> None:
    action = factories.create_action(old, state=State.RUNNING)
    new = given_again(watcher, store)
    fail(action, "The experiment is gone.")
    action.refresh_from_db()
    assert (action.experiment_id, new.actions.count()) == (old.pk, 0)


@pytest.mark.parametrize("kind", ["run", "stop"])
def test_what_was_queued_for_the_old_one_is_not_done_to_the_new_one(
    kind: str, watcher: SiteMirror, store: Store, old: Experiment, operator: User
) -> None:
    action = factories.create_action(old, kind=kind, actor=operator)
    register(store, (2, SECOND))
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, action.step_started_at) == (State.FAILED, None)
    assert "gone from the store" in action.message


def test_a_key_of_the_old_one_is_refused_for_the_new_one(
    watcher: SiteMirror, store: Store, old: Experiment, operator: User
) -> None:
    first = request_action(asked(operator, old))
    Action.objects.update(state=State.SUCCEEDED)
    new = given_again(watcher, store)
    with pytest.raises(KeyReused, match=f"made action {first.pk}"):
        request_action(asked(operator, new))
    assert Action.objects.count() == 1


def asked(actor: User, experiment: Experiment) -> ActionRequest:
    """Ask for a run of what is called a000, always with the same words and the same key."""
    return ActionRequest(
        actor=actor,
        origin=Origin.make(actor, door=Door.API),
        kind=CATALOGUE["run"],
        site=experiment.site,
        experiment=experiment,
        parameters={},
        key=IdempotencyKey.make("key", ["POST", "/v4/experiments/a000"]),
    )


def test_the_trail_tells_of_both(watcher: SiteMirror, store: Store, old: Experiment) -> None:
    given_again(watcher, store)
    told = AuditEntry.objects.filter(door="mirror").order_by("pk").values_list("event", flat=True)
    assert [*told] == ["experiment.deleted_outside", "experiment.created_outside"]


def test_a_manager_of_the_old_one_reads_no_entry_of_the_new_one(
    watcher: SiteMirror, store: Store, old: Experiment, actor: Callable[..., User]
) -> None:
    member = actor()
    team = factories.create_team((member, Role.MANAGER))
    TeamExperiment.objects.create(team=team, experiment=old)
    new = given_again(watcher, store)
    admin = factories.create_user(is_superuser=True)
    entry = list_entries_about(admin, new).get(event="experiment.created_outside")
    assert (find_experiment(admin, entry), list_entries_about(admin, old).count()) == (new, 0)
    assert not list_visible_entries(User.objects.get(pk=member.pk)).exists()


def test_a_manager_of_the_new_one_reads_no_entry_of_the_old_one(
    watcher: SiteMirror, store: Store, old: Experiment, actor: Callable[..., User]
) -> None:
    write_pickle(store, "a000", COMPLETED)
    watcher.look()
    new = given_again(watcher, store)
    member = actor()
    TeamExperiment.objects.create(team=factories.create_team((member, Role.MANAGER)), experiment=new)
    seen = list_visible_entries(User.objects.get(pk=member.pk)).values_list("event", flat=True)
    assert "experiment.jobs_changed_outside" not in set(seen)
    (entry,) = list_entries_about(factories.create_user(is_superuser=True), old)
    assert find_experiment(factories.create_user(is_superuser=True), entry) == old


def test_what_is_restored_from_a_backup_is_the_same_experiment_again(
    watcher: SiteMirror, store: Store, old: Experiment
) -> None:
    new = given_again(watcher, store)
    register(store, (1, FIRST))
    watcher.look()
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.gone_at, new.gone_at is not None, Experiment.objects.count()) == (None, True, 2)


def test_a_store_that_was_away_has_the_same_experiments_again(
    watcher: SiteMirror, store: Store, old: Experiment
) -> None:
    register(store)
    watcher.look()
    register(store, (1, FIRST))
    watcher.look()
    assert Experiment.objects.get(gone_at=None).pk == old.pk


def test_of_doubled_rows_the_one_that_is_mirrored_stays(watcher: SiteMirror, store: Store, old: Experiment) -> None:
    for rows in ([(1, FIRST), (2, SECOND)], [(2, SECOND), (1, FIRST)], [(1, FIRST), (3, SECOND)]):
        register(store, *rows)
        watcher.look()
        assert Experiment.objects.get().pk == old.pk


def test_of_doubled_rows_that_were_never_seen_the_newer_counts(store: Store) -> None:
    register(store, (1, FIRST), (2, SECOND))
    assert [record.autosubmit_id for record in read_experiments(store)] == [2]
    assert [record.autosubmit_id for record in read_experiments(store, {"a000": 1}, only="a000")] == [1]


@pytest.mark.parametrize("values", [{"autosubmit_id": 0}, {"created_at": None}])
def test_a_row_that_does_not_know_what_it_is_takes_what_is_seen_first(
    values: dict[str, object], watcher: SiteMirror, store: Store, old: Experiment
) -> None:
    Experiment.objects.update(**values)
    register(store, (1, FIRST))
    watcher.lease.release()
    SiteMirror(watcher.site_id).look()
    row = Experiment.objects.get()
    assert (row.pk, row.autosubmit_id, row.created_at) == (old.pk, 1, old.created_at)


def test_a_time_of_creation_that_was_known_stays_known(watcher: SiteMirror, store: Store, old: Experiment) -> None:
    register(store, (1, None))
    watcher.look()
    assert Experiment.objects.get().created_at == old.created_at


def test_a_refresh_reads_nothing_of_the_new_one_into_the_old_one(
    watcher: SiteMirror, store: Store, old: Experiment
) -> None:
    register(store, (2, SECOND))
    write_pickle(store, "a000", COMPLETED, COMPLETED)
    sync.refresh(old)
    old.refresh_from_db()
    assert old.status_counts == {"READY": 1}


def test_a_creation_that_gets_the_expid_of_a_deleted_one_makes_another_row(
    watcher: SiteMirror, store: Store, old: Experiment
) -> None:
    register(store, (2, SECOND))
    adopted = sync.adopt(old.site, "a000")
    assert adopted is not None
    assert (adopted.pk != old.pk, adopted.autosubmit_id) == (True, 2)
