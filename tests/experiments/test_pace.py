"""How often a store is looked at: less often where nothing goes on."""

from pathlib import Path

import pytest

from experiments.autosubmit.store import Store
from experiments.mirror.site_mirror import QUIET_AFTER_SECONDS, QUIET_PAUSE_SECONDS, SiteMirror
from experiments.models import Site, State
from tests.support import factories
from tests.support.lock_holders import running
from tests.support.small_stores import add_experiment, make_store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hosts_here")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path, ["a000"])


@pytest.fixture
def site(store: Store) -> Site:
    return factories.create_store_site(store)


@pytest.fixture
def mirror(site: Site) -> SiteMirror:
    """A mirror of a store in which nothing has gone on for long."""
    made = SiteMirror(site.pk)
    made.look()
    pass_time(made)
    return made


def pass_time(mirror: SiteMirror) -> None:
    mirror.stirred_at -= QUIET_AFTER_SECONDS


def test_a_store_is_looked_at_less_often_where_nothing_goes_on(site: Site, mirror: SiteMirror) -> None:
    mirror.look()
    assert (site.refresh_seconds, mirror.get_pause(site)) == (0.25, QUIET_PAUSE_SECONDS)


def test_a_site_that_is_looked_at_seldom_is_not_looked_at_more_often(site: Site, mirror: SiteMirror) -> None:
    site.refresh_seconds = 30.0
    assert mirror.get_pause(site) == 30.0


def test_a_change_brings_the_usual_pace_back(site: Site, mirror: SiteMirror, store: Store) -> None:
    add_experiment(store, "a001")
    mirror.look()
    assert mirror.get_pause(site) == site.refresh_seconds


def test_the_pace_stays_while_somebody_holds_a_lock(site: Site, mirror: SiteMirror, store: Store) -> None:
    with running(store.lock_file("a000")):
        mirror.look()
        pass_time(mirror)
        mirror.look()
        assert mirror.get_pause(site) == site.refresh_seconds


def test_the_pace_stays_while_an_action_is_done(site: Site, mirror: SiteMirror) -> None:
    factories.create_action(site.experiments.get(expid="a000"), state=State.RUNNING)
    mirror.look()
    assert mirror.get_pause(site) == site.refresh_seconds
