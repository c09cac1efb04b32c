"""Runs at several hosts of one site: each host sees only its own, and one that is silent ends none.

All hosts are this one; those that are blind see none of the locks here.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from experiments.autosubmit.store import Store
from experiments.mirror import observe, site_mirror, sync
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, Host, Site
from tests.support import factories
from tests.support.in_process_host import InProcessHosts
from tests.support.lock_holders import lock_held, running
from tests.support.small_stores import COMPLETED, make_store, write_pickle

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path, ["a000", "a001"])


@pytest.fixture
def site(store: Store, hosts_here: InProcessHosts, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site whose first host reads, and sees no run; they live at the second."""
    monkeypatch.setattr(site_mirror, "AWAY_AFTER", timedelta())
    made = factories.create_store_site(store)
    made.hosts.update(name="reads")
    Host.objects.create(site=made, name="runs", position=1)
    hosts_here.blind.add("reads")
    return made


@pytest.fixture
def mirror(site: Site) -> SiteMirror:
    made = SiteMirror(site.pk)
    made.look()
    return made


@pytest.fixture
def run(store: Store, mirror: SiteMirror) -> Iterator[int]:
    """A run of a000 that the mirror has seen."""
    with running(store.lock_file("a000")) as pid:
        mirror.look()
        yield pid


def find(expid: str = "a000") -> Experiment:
    return Experiment.objects.select_related("run_host").get(expid=expid)


def where(expid: str = "a000") -> tuple[bool, str | None]:
    found = find(expid)
    return found.is_running, found.run_host.name if found.run_host else None


def test_a_run_is_seen_at_whichever_host_it_lives(run: int) -> None:
    assert (where(), where("a001")) == ((True, "runs"), (False, None))
    assert str(run) in find().evidence


def test_a_run_at_another_host_goes_on_while_its_job_list_is_read(run: int, mirror: SiteMirror, store: Store) -> None:
    write_pickle(store, "a000", COMPLETED)
    assert mirror.look() == []
    assert (where(), find().status_counts) == ((True, "runs"), {"COMPLETED": 1})


def test_the_end_of_a_run_at_another_host_is_seen(mirror: SiteMirror, store: Store) -> None:
    with running(store.lock_file("a000")):
        mirror.look()
    assert [ended.expid for ended in mirror.look()] == ["a000"]
    assert where() == (False, "runs")


def test_who_holds_a_lock_at_another_host_is_told(mirror: SiteMirror, store: Store) -> None:
    with lock_held(store.lock_file("a000"), "a000", program="editor"):
        mirror.look()
        assert "holds the lock" in find().evidence
        assert find().locked_by
    mirror.look()
    assert find().locked_by == ""


def test_a_run_at_a_host_that_is_silent_is_not_seen_since_and_not_ended(
    run: int, mirror: SiteMirror, hosts_here: InProcessHosts
) -> None:
    hosts_here.away["runs"] = "The link is down."
    assert (mirror.look(), mirror.look()) == ([], [])
    assert where() == (True, "runs")
    assert find().evidence.startswith("not seen since 20")
    assert find().evidence.endswith("UTC: the host runs is silent")


def test_a_run_is_seen_again_when_its_host_is_back(run: int, mirror: SiteMirror, hosts_here: InProcessHosts) -> None:
    hosts_here.away["runs"] = "The link is down."
    mirror.look()
    hosts_here.away.clear()
    mirror.look()
    assert (where(), str(run) in find().evidence) == ((True, "runs"), True)


def test_a_run_that_ended_while_its_host_was_silent_is_seen_to_have_ended_when_it_is_back(
    mirror: SiteMirror, store: Store, hosts_here: InProcessHosts
) -> None:
    with running(store.lock_file("a000")):
        mirror.look()
        hosts_here.away["runs"] = "The link is down."
        mirror.look()
    assert mirror.look() == []
    hosts_here.away.clear()
    assert [ended.expid for ended in mirror.look()] == ["a000"]


def test_a_new_mirror_ends_no_run_at_a_host_that_is_silent(
    run: int, mirror: SiteMirror, site: Site, hosts_here: InProcessHosts
) -> None:
    hosts_here.away["runs"] = "The link is down."
    mirror.lease.release()
    assert SiteMirror(site.pk).look() == []
    assert where() == (True, "runs")
    assert find().evidence.startswith("not seen since")


def test_a_run_ends_when_a_manager_says_that_nothing_runs_at_its_silent_host(
    run: int, mirror: SiteMirror, site: Site, hosts_here: InProcessHosts
) -> None:
    hosts_here.away["runs"] = "The link is down."
    mirror.look()
    site.hosts.filter(name="runs").update(called_empty_at=timezone.now())
    assert [ended.expid for ended in mirror.look()] == ["a000"]


def test_a_run_of_a_host_that_was_removed_is_over(run: int, mirror: SiteMirror, site: Site) -> None:
    site.hosts.filter(name="runs").update(removed_at=timezone.now())
    assert [ended.expid for ended in mirror.look()] == ["a000"]


def test_another_host_reads_while_the_first_is_silent(
    mirror: SiteMirror, site: Site, store: Store, hosts_here: InProcessHosts
) -> None:
    hosts_here.away["reads"] = "The link is down."
    write_pickle(store, "a001", COMPLETED)
    with running(store.lock_file("a000")):
        mirror.look()
        assert (where(), find("a001").status_counts) == ((True, "runs"), {"COMPLETED": 1})
    site.refresh_from_db()
    assert site.problem == ""


# --- Workers


def test_a_worker_looks_at_all_hosts(run: int, site: Site) -> None:
    Experiment.objects.update(is_running=False, run_host=None)
    seen = sync.look_alive(find())
    assert seen
    assert (seen.pid, where()) == (run, (True, "runs"))


def test_what_a_worker_reads_at_one_host_does_not_end_a_run_at_another(run: int) -> None:
    sync.refresh(find())
    assert where() == (True, "runs")


def test_a_worker_ends_no_run_at_a_host_that_is_silent(run: int, site: Site, hosts_here: InProcessHosts) -> None:
    hosts_here.away["runs"] = "The link is down."
    assert observe.look_at(site, "a000").alive.is_running
    assert not observe.look_at(site, "a001").alive.is_running
    sync.refresh(find())
    assert find().evidence.startswith("not seen since")
