"""Whose an experiment is: the account that its folder belongs to, never what the database of a store says."""

import os
import pwd
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from autosubmit_portal.access.models import SiteAccount, SitePolicy
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.unix import get_name, get_uid
from autosubmit_portal.audit.models import AuditEntry
from experiments.actions.execute import execute
from experiments.autosubmit.store import NO_OWNER, Store
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, State
from tests.support import factories
from tests.support.small_stores import make_store

pytestmark = pytest.mark.django_db
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one experiment."""
    return make_store(tmp_path, ["a000"])


@pytest.fixture
def watcher(store: Store) -> SiteMirror:
    """A mirror that has made its first pass over it."""
    made = SiteMirror(factories.create_store_site(store).pk)
    made.look()
    return made


def say(store: Store, owner: str) -> None:
    """Have `autosubmit.db` name an owner."""
    with closing(sqlite3.connect(store.database)) as connection, connection:
        connection.execute("DELETE FROM details")
        connection.execute("INSERT INTO details (exp_id, user) SELECT id, ? FROM experiment", (owner,))


def give(store: Store, uid: int | None) -> None:
    """Give the folder to an account."""
    assert uid is not None
    os.chown(store.experiment_folder("a000"), uid, -1)


def seen(watcher: SiteMirror) -> Experiment:
    """Look once more and return what is mirrored."""
    watcher.look()
    return Experiment.objects.select_related("site").get()


def events() -> list[str]:
    return list(AuditEntry.objects.filter(event__contains="owner").values_list("message", flat=True))


def may_run(user: User, unix_name: str, experiment: Experiment) -> bool:
    """Enter the account at the site, let owners be operators there, and answer whether that lets the user run it."""
    SiteAccount.objects.update_or_create(user=user, site=experiment.site, defaults={"unix_name": unix_name})
    SitePolicy.objects.get_or_create(site=experiment.site, owner_role=Role.OPERATOR)
    experiment.refresh_from_db()
    again = User.objects.get(pk=user.pk)
    allowed = policy.may_request(again, CATALOGUE["run"], experiment=experiment)
    rows = Experiment.objects.visible_to(User.objects.get(pk=user.pk))
    assert rows.filter(pk=experiment.pk).exists() == allowed
    return allowed


def test_the_owner_is_whose_folder_it_is(watcher: SiteMirror, store: Store) -> None:
    say(store, "ana")
    experiment = seen(watcher)
    assert (experiment.owner_uid, experiment.recorded_owner) == (os.getuid(), "ana")
    assert experiment.owner == pwd.getpwuid(os.getuid()).pw_name
    assert "Autosubmit's database says ana. The folder counts" in experiment.owner_note


def test_a_text_in_the_database_gives_nobody_rights(
    watcher: SiteMirror, store: Store, actor: Callable[..., User]
) -> None:
    say(store, "ana")
    assert not may_run(actor(), "ana", seen(watcher))


@needs_root
def test_who_is_given_the_folder_has_the_rights_and_who_had_it_has_them_no_more(
    watcher: SiteMirror, store: Store, actor: Callable[..., User]
) -> None:
    give(store, get_uid("ana"))
    user = actor()
    assert may_run(user, "ana", seen(watcher))
    give(store, get_uid("ben"))
    assert not may_run(user, "ana", seen(watcher))


@needs_root
def test_a_change_of_owner_is_told_once_in_the_trail(watcher: SiteMirror, store: Store) -> None:
    give(store, get_uid("ana"))
    for _ in range(3):
        watcher.look()
    give(store, get_uid("ben"))
    sync.refresh(seen(watcher))
    assert events() == ["root → ana", "ana → ben"]


@needs_root
def test_two_names_of_one_uid_are_the_same_account(
    watcher: SiteMirror, store: Store, actor: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = pwd.getpwnam
    monkeypatch.setattr(pwd, "getpwnam", lambda name: known("ana" if name == "ana-clima" else name))
    give(store, get_uid("ana"))
    assert may_run(actor(), "ana-clima", seen(watcher))


@needs_root
def test_a_renamed_account_has_its_new_name_and_nothing_has_changed(
    watcher: SiteMirror, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(store, get_uid("ana"))
    watcher.look()
    renamed = pwd.struct_passwd(("anna", *pwd.getpwnam("ana")[1:]))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: renamed)
    get_name.cache_clear()
    before = events()
    assert (seen(watcher).owner, events()) == ("anna", before)


@needs_root
def test_a_number_without_a_name_is_shown_and_is_nobody(
    watcher: SiteMirror, store: Store, actor: Callable[..., User]
) -> None:
    give(store, 54_321)
    experiment = seen(watcher)
    team = factories.create_team((actor(), Role.OPERATOR), covers={"owner": "54321"})
    assert experiment.owner == "54321"
    member = team.memberships.get().user
    assert not policy.may_request(member, CATALOGUE["run"], experiment=experiment)
    assert not Experiment.objects.visible_to(member).exists()


@needs_root
def test_nobody_has_the_rights_of_the_superuser(watcher: SiteMirror, store: Store, actor: Callable[..., User]) -> None:
    give(store, 0)
    assert not may_run(actor(), "root", seen(watcher))


def test_a_link_in_place_of_the_folder_is_of_nobody(watcher: SiteMirror, store: Store) -> None:
    folder = store.experiment_folder("a000")
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")
    experiment = seen(watcher)
    assert (experiment.owner_uid, experiment.owner) == (NO_OWNER, "")
    assert "A link or a file" in experiment.owner_note
    assert events() == [f"{pwd.getpwuid(os.getuid()).pw_name} → nobody known"]


def test_an_experiment_without_a_folder_is_of_whom_it_was_last(watcher: SiteMirror, store: Store) -> None:
    folder = store.experiment_folder("a000")
    folder.rename(folder.with_name("elsewhere"))
    experiment = seen(watcher)
    assert (experiment.is_absent, experiment.owner_uid, events()) == (True, os.getuid(), [])


def test_an_upgraded_row_takes_its_first_owner_silently(watcher: SiteMirror, store: Store) -> None:
    Experiment.objects.update(owner_uid=None, owner="")
    watcher.lease.release()
    experiment = seen(SiteMirror(watcher.site_id))
    assert (experiment.owner_uid, events()) == (os.getuid(), [])


@needs_root
def test_what_an_owner_has_queued_does_not_run_when_the_folder_is_of_another_meanwhile(
    watcher: SiteMirror, store: Store, actor: Callable[..., User]
) -> None:
    give(store, get_uid("ana"))
    user, experiment = actor(), seen(watcher)
    assert may_run(user, "ana", experiment)
    action = factories.create_action(experiment, actor=user)
    give(store, get_uid("ben"))
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, action.step_started_at) == (State.CANCELLED, None)
