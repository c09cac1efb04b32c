"""One mirror at a time, and another when it dies or hangs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from autosubmit_portal.management.demo import Autosubmit
from autosubmit_portal.management.processes import MANAGE
from experiments.autosubmit.store import Store
from experiments.mirror import lease as lease_module
from experiments.mirror.lease import Lease, LostLease, get_holder
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, Site
from tests.support import factories
from tests.support.postgres import Postgres, execute
from tests.support.services import Portal
from tests.support.small_stores import COMPLETED, make_store, write_pickle
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(minutes=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with two experiments."""
    return make_store(tmp_path, ["a000", "a001"])


@pytest.fixture
def site(store: Store) -> Site:
    """A site that serves it."""
    return factories.create_store_site(store)


def end_lease(site: Site) -> None:
    """Let the lease of a site end, as when its holder has hung for long."""
    Site.objects.filter(pk=site.pk).update(mirror_expires_at=timezone.now() - LONG_AGO)


def test_a_lease_is_taken_by_one(site: Site) -> None:
    assert [Lease(site.pk).take() for _ in range(3)] == [True, False, False]


def test_a_lease_tells_who_holds_it(site: Site) -> None:
    Lease(site.pk).take()
    site.refresh_from_db()
    assert site.mirrored_by == get_holder()


def test_a_lease_that_has_ended_is_taken_over(site: Site) -> None:
    Lease(site.pk).take()
    end_lease(site)
    assert Lease(site.pk).take()


def test_a_lease_that_was_released_is_free_at_once(site: Site) -> None:
    first = Lease(site.pk)
    first.take()
    first.release()
    assert Lease(site.pk).take()


def test_a_holder_that_was_overtaken_releases_nothing(site: Site) -> None:
    first, second = Lease(site.pk), Lease(site.pk)
    first.take()
    end_lease(site)
    second.take()
    first.release()
    assert not Lease(site.pk).take()


def test_a_lease_is_renewed_when_it_is_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Lease(site.pk)
    ours.take()
    end_lease(site)
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0)
    ours.hold()
    assert not Lease(site.pk).take()


def test_a_holder_that_was_overtaken_notices_when_it_renews(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Lease(site.pk)
    ours.take()
    end_lease(site)
    Lease(site.pk).take()
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0)
    with pytest.raises(LostLease):
        ours.hold()


def test_a_mirror_stands_by_while_another_is_at_work(site: Site, store: Store) -> None:
    SiteMirror(site.pk).look()
    second = SiteMirror(site.pk)
    write_pickle(store, "a000", COMPLETED)
    second.look()
    assert second.is_standing_by
    assert Experiment.objects.get(expid="a000").status_counts == {"READY": 1}


def test_a_mirror_that_stands_by_takes_over_when_the_lease_ends(site: Site, store: Store) -> None:
    SiteMirror(site.pk).look()
    end_lease(site)
    write_pickle(store, "a000", COMPLETED)
    SiteMirror(site.pk).look()
    assert Experiment.objects.get(expid="a000").status_counts == {"COMPLETED": 1}


def test_a_mirror_that_was_overtaken_while_it_hung_writes_nothing(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = SiteMirror(site.pk)
    hung.look()
    end_lease(site)
    SiteMirror(site.pk).look()
    write_pickle(store, "a000", COMPLETED)
    hung.look()  # it was renewed so lately that it does not ask before it writes
    assert hung.is_standing_by
    assert Experiment.objects.get(expid="a000").status_counts == {"READY": 1}


def test_a_new_experiment_is_not_written_by_a_mirror_that_was_overtaken(site: Site, store: Store) -> None:
    hung = SiteMirror(site.pk)
    hung.look()
    end_lease(site)
    SiteMirror(site.pk).look()
    hung.epoch = ""  # so that it is told of all again
    Experiment.objects.all().delete()
    hung.look()
    assert not Experiment.objects.exists()


# --- The command


def test_the_mirror_gives_its_lease_back_when_it_ends(site: Site) -> None:
    call_command("mirror", once=True)
    assert Lease(site.pk).take()


def test_a_single_pass_says_who_mirrors_already(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Lease(site.pk)
    other.take()
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0)
    monkeypatch.setattr(time, "sleep", lambda _: other.hold())
    with pytest.raises(CommandError, match=f"is mirrored by {get_holder()} already"):
        call_command("mirror", once=True, stdout=StringIO())


def test_a_single_pass_waits_for_the_lease_of_a_dead_mirror(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    Lease(site.pk).take()
    monkeypatch.setattr(time, "sleep", lambda _: end_lease(site))
    call_command("mirror", once=True)
    assert Experiment.objects.filter(site=site).count() == 2


# --- Real processes


class Fleet:
    """Mirror processes on one database of their own, with a site."""

    def __init__(self, home: Path, database_url: str, store: Store) -> None:
        home.mkdir()
        self.portal = Portal(home, Autosubmit(Path(sys.executable), store.root.parent), database_url)
        self.portal.make_tables()
        values = {"slug": "x", "name": "x", "autosubmit": sys.executable, "home": str(store.root.parent)}
        code = f"from experiments.models import Site; Site.objects.create(**{values!r})"
        self.portal.manage("shell", "--no-imports", "-c", code)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> "subprocess.Popen[bytes]":
        self.processes.append(subprocess.Popen([*MANAGE, "mirror"], env=self.portal.environment))
        return self.processes[-1]

    def read(self, query: str) -> str:
        """Return the one value that a query has for an answer."""
        return execute(query, self.portal.database_url).strip()

    def holder(self) -> int:
        """The process that holds the lease or held it last, 0 if it was given back."""
        return int(self.read("SELECT mirror_holder FROM experiments_site").rpartition(":")[2] or 0)


@pytest.fixture
def fleet(postgres: Postgres, store: Store, tmp_path: Path) -> Iterator[Fleet]:
    """No mirror yet, and a site in a PostgreSQL database."""
    url = postgres.create_database()
    made = Fleet(tmp_path / "home", url, store)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()
    postgres.drop_database(url)


def test_of_two_mirrors_one_works_and_the_other_takes_over_when_it_is_killed(fleet: Fleet, store: Store) -> None:
    first, second = fleet.start(), fleet.start()
    pids = {first.pid: second, second.pid: first}
    holder = wait_for(fleet.holder, is_enough=pids.__contains__)
    other = pids[holder]
    os.kill(holder, signal.SIGKILL)
    write_pickle(store, "a000", COMPLETED)
    wait_for(lambda: fleet.holder() == other.pid)
    counted = "SELECT status_counts FROM experiments_experiment WHERE expid = 'a000'"
    wait_for(lambda: fleet.read(counted) == '{"COMPLETED": 1}')


def test_a_mirror_that_is_stopped_gives_its_lease_back(fleet: Fleet) -> None:
    first = fleet.start()
    wait_for(lambda: fleet.holder() == first.pid)
    first.terminate()
    assert first.wait(PATIENCE) == 0
    assert fleet.read("SELECT mirror_token FROM experiments_site") == ""
