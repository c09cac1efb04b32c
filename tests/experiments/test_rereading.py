"""What a pass leaves to the next one, and when files are read again that could not be read."""

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent.watch.request import MOST_ATTENDED
from experiments.autosubmit.store import Store
from experiments.mirror import observe, site_mirror
from experiments.mirror.site_mirror import SiteMirror
from experiments.mirror.standing import read_standings
from experiments.mirror.sync import write
from experiments.models import Experiment, Host, Site
from tests.support import factories
from tests.support.in_process_host import InProcessHosts
from tests.support.lock_holders import running
from tests.support.small_stores import COMPLETED, make_store, write_pickle
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
EXPIDS = [f"a{number:03d}" for number in range(20)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with twenty quiet experiments."""
    return make_store(tmp_path, EXPIDS)


@pytest.fixture
def site(store: Store) -> Site:
    """A site that serves it; its program only tells a version."""
    return factories.create_store_site(store)


def test_a_pass_that_leaves_a_large_list_to_the_next_is_behind(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror, may_end = SiteMirror(site.pk), threading.Event()
    mirror.look()
    write_pickle(store, "a000", COMPLETED)
    read = observe.read(site.hosts.get(), observe.make_request(Experiment.objects.get(expid="a000")))
    monkeypatch.setattr(site_mirror, "SMALL_BYTES", 0)
    monkeypatch.setattr(observe, "read", lambda *_: may_end.wait() and read)
    mirror.reader = ThreadPoolExecutor(1)
    mirror.look()
    assert mirror.is_behind
    may_end.set()
    wait_for(lambda: mirror.look() == [] and not mirror.is_behind)
    assert Experiment.objects.get(expid="a000").status_counts == {"COMPLETED": 1}


def test_a_pass_that_has_written_a_large_list_leaves_the_next_that_is_read_to_another_pass(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_mirror, "LARGE_SECONDS", 0.0)
    mirror = SiteMirror(site.pk)
    mirror.look()
    for expid in ("a000", "a001"):
        write_pickle(store, expid, COMPLETED)

    def write_when_all_are_read(*arguments: Any, **options: Any) -> Any:
        wait([reading.future for reading in mirror.readings])
        return write(*arguments, **options)

    monkeypatch.setattr(site_mirror, "SMALL_BYTES", 0)
    monkeypatch.setattr(site_mirror, "write", write_when_all_are_read)
    wait_for(mirror.look, is_enough=lambda _: bool(_get_finished()))
    assert (len(_get_finished()), mirror.is_behind) == (1, True)
    wait_for(mirror.look, is_enough=lambda _: not mirror.is_behind)
    assert len(_get_finished()) == 2


def _get_finished() -> list[Experiment]:
    return [experiment for experiment in Experiment.objects.all() if experiment.status_counts == {"COMPLETED": 1}]


def test_a_mirror_of_a_broken_store_is_not_behind(site: Site, store: Store) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    write_pickle(store, "a000", COMPLETED)
    Site.objects.update(home="/nowhere")
    mirror.look()
    assert not mirror.is_behind


def test_what_is_being_acted_on_is_looked_at_in_each_pass(site: Site, asked: list[dict[str, Any]]) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    factories.create_action(Experiment.objects.get(expid="a007"))
    mirror.look()
    assert [request["attend"] for request in asked] == [[], ["a007"]]


def test_of_very_many_that_are_being_acted_on_an_agent_is_told_as_many_as_it_takes(
    site: Site, asked: list[dict[str, Any]]
) -> None:
    (standing,) = read_standings()
    SiteMirror(site.pk).look(replace(standing, acted_on=[f"b{number:049d}" for number in range(1_000)]))
    assert len(asked[0]["attend"]) == MOST_ATTENDED
    site.refresh_from_db()
    assert site.problem == ""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, hosts_here: InProcessHosts) -> list[dict[str, Any]]:
    """The requests `watch`."""
    requests: list[dict[str, Any]] = []
    ask = hosts_here.ask

    def noting(place: Path, host: str, name: str, arguments: dict[str, Any], seconds: float, **how: bool) -> Any:
        if name == "watch":
            requests.append(arguments)
        return ask(place, host, name, arguments, seconds, **how)

    monkeypatch.setattr(hosts_here, "ask", noting)
    return requests


def test_only_what_is_new_is_asked_for(site: Site, asked: list[dict[str, Any]]) -> None:
    mirror = SiteMirror(site.pk)
    for _ in range(3):
        mirror.look()
    first, second, third = [(request["epoch"], request["counter"]) for request in asked]
    assert first == ("", 0)
    assert second == third == (mirror.epoch, mirror.counter)


# --- A host that does not answer


def test_a_site_whose_host_is_away_says_since_when_in_the_same_words(
    site: Site, hosts_here: InProcessHosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    monkeypatch.setattr(site_mirror, "AWAY_AFTER", timedelta())
    hosts_here.away[Host.objects.get().name] = "The connection was refused."
    told = set()
    for _ in range(2):
        mirror.look()
        site.refresh_from_db()
        told.add(site.problem)
    (problem,) = told
    assert problem.startswith("Nothing is seen of the site since 20")


def test_a_host_that_is_away_for_a_moment_is_no_problem(site: Site, hosts_here: InProcessHosts) -> None:
    mirror = SiteMirror(site.pk)
    hosts_here.away[Host.objects.get().name] = "It has not been reached yet."
    mirror.look()
    site.refresh_from_db()
    assert site.problem == ""


def test_what_a_host_that_is_away_has_shown_stays_and_nothing_is_called_gone(
    site: Site, store: Store, hosts_here: InProcessHosts
) -> None:
    mirror = SiteMirror(site.pk)
    with running(store.lock_file("a000")):
        mirror.look()
        hosts_here.away[Host.objects.get().name] = "The connection was refused."
        mirror.look()
    mirror.look()
    assert Experiment.objects.get(expid="a000").is_running
    hosts_here.away.clear()
    mirror.look()
    assert not Experiment.objects.get(expid="a000").is_running


# --- Files that cannot be read


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the mirror: its last entry is the time."""
    times = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: times[-1])
    return times


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The experiments in the order in which the mirror tried to read them."""
    tried: list[str] = []
    read = observe.read

    def counting(host: Host, request: dict[str, Any]) -> Any:
        tried.append(request["expid"])
        return read(host, request)

    monkeypatch.setattr(observe, "read", counting)
    return tried


def test_a_file_that_cannot_be_read_is_tried_again_less_and_less_often(
    site: Site, store: Store, clock: list[float], tries: list[str]
) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    Path(store.list_lone_files("a000")[0]).write_bytes(b"broken")
    mirror.look()
    mirror.look()
    for pause in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        tries.clear()
        clock.append(clock[-1] + pause - 1)
        mirror.look()
        assert tries == []
        clock.append(clock[-1] + 1)
        mirror.look()
        assert tries == ["a000"]


def test_a_file_that_cannot_be_read_is_tried_at_once_when_it_changes(site: Site, store: Store) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    Path(store.list_lone_files("a000")[0]).write_bytes(b"broken")
    mirror.look()
    mirror.look()
    Path(store.list_lone_files("a000")[0]).write_bytes(pickle.dumps({"x": {"_name": "x", "_status": 5}}))
    mirror.look()
    experiment = Experiment.objects.get(expid="a000")
    assert (experiment.problem, experiment.status_counts) == ("", {"COMPLETED": 1})


def test_a_run_shows_though_the_job_list_cannot_be_read(site: Site, store: Store) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    Path(store.list_lone_files("a000")[0]).write_bytes(b"broken")
    mirror.look()
    mirror.look()
    with running(store.lock_file("a000")):
        mirror.look()
        assert Experiment.objects.get(expid="a000").is_running
    mirror.look()
    assert not Experiment.objects.get(expid="a000").is_running
