"""The mirror on a real store."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments import hosts, reads
from experiments.mirror import sync
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, Host, Site
from jobs.models import JobDependency
from tests.conftest import MakeExperiment
from tests.support import factories
from tests.support.services import ForkedAutosubmit
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="session")
def shared_expid(make_experiment: MakeExperiment) -> str:
    """A real experiment whose job list each test puts back."""
    return make_experiment("small")


@pytest.fixture
def small(site: Site, shared_expid: str) -> Iterator[Experiment]:
    """The shared experiment, mirrored."""
    experiment = sync.adopt(site, shared_expid)
    assert experiment is not None
    good = job_list(experiment).read_bytes()
    yield experiment
    job_list(experiment).write_bytes(good)


def job_list(experiment: Experiment) -> Path:
    folder = Path(experiment.site.home) / "autosubmit" / experiment.expid / "pkl"
    return folder / f"job_list_{experiment.expid}.pkl"


def look_twice(watcher: SiteMirror) -> None:
    """A problem is told when it is seen for the second time."""
    watcher.look()
    watcher.look()


def test_a_first_pass_mirrors_experiments_with_jobs_and_dependencies(site: Site, shared_expid: str) -> None:
    SiteMirror(site.pk).look()
    experiment = Experiment.objects.get(expid=shared_expid)
    assert experiment.status_counts == {"READY": 1, "WAITING": 3}
    assert JobDependency.objects.filter(parent__experiment=experiment).count() == 3


def list_queries(watcher: SiteMirror) -> list[str]:
    """Return what a pass asks the database about experiments."""
    with CaptureQueriesContext(connection) as queries:
        watcher.look()
    return [query["sql"] for query in queries if "experiments_experiment" in query["sql"]]


def test_a_pass_over_an_unchanged_store_queries_no_experiment(site: Site, small: Experiment) -> None:
    watcher = SiteMirror(site.pk)
    look_twice(watcher)
    # What ran in the same store before may still be ending.
    wait_for(lambda: list_queries(watcher) == [])


def test_a_new_mirror_process_starts_where_the_last_one_ended(site: Site, small: Experiment) -> None:
    SiteMirror(site.pk).look()
    before = Experiment.objects.get(pk=small.pk).refreshed_at
    SiteMirror(site.pk).look()
    assert Experiment.objects.get(pk=small.pk).refreshed_at == before


def test_a_changed_job_list_shows_after_one_pass(site: Site, small: Experiment) -> None:
    watcher = SiteMirror(site.pk)
    watcher.look()
    name = f"{small.expid}_SETUP"
    autosubmit = ForkedAutosubmit(Path(site.autosubmit), Path(site.home))
    autosubmit.call("setstatus", "--save", "--status_final=SUSPENDED", f"--list={name}", small.expid)
    watcher.look()
    assert small.jobs.get(name=name).status == "SUSPENDED"


@pytest.mark.parametrize("content", [b"", b"\x80\x04half", pickle.dumps(os.system), pickle.dumps("no list")], ids=str)
def test_a_broken_job_list_leaves_the_last_good_mirror_and_says_so(
    content: bytes, site: Site, small: Experiment
) -> None:
    watcher = SiteMirror(site.pk)
    watcher.look()
    job_list(small).write_bytes(content)
    look_twice(watcher)
    small.refresh_from_db()
    assert small.problem
    assert (small.total_jobs, small.jobs.count()) == (4, 4)


def test_a_broken_job_list_does_not_stop_the_others(
    site: Site, small: Experiment, make_experiment: MakeExperiment
) -> None:
    job_list(small).write_bytes(b"broken")
    other = make_experiment("small")
    look_twice(SiteMirror(site.pk))
    assert Experiment.objects.get(expid=other).total_jobs == 4


def test_a_repaired_job_list_clears_the_problem(site: Site, small: Experiment) -> None:
    good = job_list(small).read_bytes()
    watcher = SiteMirror(site.pk)
    job_list(small).write_bytes(b"broken")
    look_twice(watcher)
    job_list(small).write_bytes(good)
    watcher.look()
    small.refresh_from_db()
    assert small.problem == ""


def test_a_job_list_that_is_just_being_written_is_no_problem_yet(site: Site, small: Experiment) -> None:
    watcher = SiteMirror(site.pk)
    watcher.look()
    job_list(small).write_bytes(b"half")
    watcher.look()
    small.refresh_from_db()
    assert small.problem == ""


def test_an_experiment_that_left_the_store_is_marked_and_kept(site: Site) -> None:
    gone = factories.create_experiment(site, expid="zzzz")
    SiteMirror(site.pk).look()
    gone.refresh_from_db()
    assert gone.gone_at is not None


def test_a_missing_program_makes_the_site_unhealthy_with_the_reason(site: Site) -> None:
    Site.objects.update(autosubmit="/nonexistent/autosubmit")
    SiteMirror(site.pk).look()
    site.refresh_from_db()
    assert "/nonexistent/autosubmit is missing" in site.problem


def test_a_broken_program_makes_the_site_unhealthy_with_the_reason(site: Site, tmp_path: Path) -> None:
    program = tmp_path / "autosubmit"
    program.write_text("#!/bin/sh\necho 'No module named autosubmit' >&2\nexit 1\n")
    program.chmod(0o755)
    Site.objects.update(autosubmit=str(program))
    SiteMirror(site.pk, is_patient=False).look()  # a busy machine takes its time to start it
    site.refresh_from_db()
    assert "No module named autosubmit" in site.problem


def test_a_site_that_was_repaired_is_healthy_again(site: Site) -> None:
    watcher = SiteMirror(site.pk)
    Site.objects.update(autosubmit="/nonexistent/autosubmit")
    watcher.look()
    Site.objects.update(autosubmit=site.autosubmit)
    watcher.look()
    site.refresh_from_db()
    assert site.problem == ""


def test_a_job_list_is_waited_for_longer_than_somebody_waits_at_a_page(
    small: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: dict[str, float] = {}
    ask = hosts.ask

    def note(host: Host, name: str, arguments: dict[str, Any], seconds: float, **more: Any) -> tuple[Any, bytes]:
        waits[arguments["what"]] = seconds
        return ask(host, name, arguments, seconds, **more)

    monkeypatch.setattr(hosts, "ask", note)
    sync.refresh(small)
    reads.read(small, "fresh", {})
    assert waits["experiment"] > waits["fresh"]
