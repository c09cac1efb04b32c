"""Nothing is concluded from a job list that cannot be read."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from experiments.autosubmit.store import Store
from experiments.catalogue import impact, postconditions, preconditions
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, Site, annotate_active_action
from tests.support import factories
from tests.support.small_stores import RUNNING, make_store, write_pickle

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one experiment."""
    return make_store(tmp_path, ["a000"])


@pytest.fixture
def site(store: Store) -> Site:
    """A site that serves it."""
    return factories.create_store_site(store)


def look(site: Site) -> Any:
    """Make one pass that tells at once what it sees."""
    mirror = SiteMirror(site.pk, is_patient=False)
    mirror.look()
    mirror.lease.release()
    return annotate_active_action().get()


@pytest.fixture
def broken(store: Store, site: Site) -> Any:
    """An experiment with a running job in the list that was read last."""
    write_pickle(store, "a000", RUNNING)
    look(site)
    Path(store.list_lone_files("a000")[0]).write_bytes(b"")
    return look(site)


@pytest.fixture
def never_read(store: Store, site: Site) -> Any:
    """An experiment whose job list was broken from the beginning."""
    Path(store.list_lone_files("a000")[0]).write_bytes(b"")
    return look(site)


def test_a_job_that_was_active_before_is_not_said_to_be_killed(broken: Any) -> None:
    assert (broken.status_counts, broken.disagreement) == ({"RUNNING": 1}, "")
    assert "truncated: it is empty" in broken.problem


def test_what_contradicted_the_evidence_before_is_taken_back(store: Store, site: Site) -> None:
    write_pickle(store, "a000", RUNNING)
    assert "1 RUNNING" in look(site).disagreement
    Path(store.list_lone_files("a000")[0]).write_bytes(b"")
    assert look(site).disagreement == ""


def test_a_doubt_is_withheld_while_a_list_that_is_being_written_is_not_told_yet(store: Store, site: Site) -> None:
    mirror = SiteMirror(site.pk)
    mirror.look()
    write_pickle(store, "a000", RUNNING)
    mirror.look()
    mirror.doubts.settle_seconds = 0
    Path(store.list_lone_files("a000")[0]).write_bytes(b"")
    mirror.look()
    experiment = Experiment.objects.get()
    assert (experiment.problem, experiment.disagreement) == ("", "")


def test_it_is_stale_since_the_first_time_and_no_more_when_it_is_repaired(
    store: Store, site: Site, broken: Any
) -> None:
    assert isinstance(broken.problem_since, datetime)
    assert look(site).problem_since == broken.problem_since
    write_pickle(store, "a000", RUNNING)
    assert look(site).problem_since is None


def test_nobody_is_told_to_generate_a_list_that_is_there(never_read: Any) -> None:
    assert (never_read.is_unread, never_read.total_jobs) == (True, 0)
    assert preconditions.refuse_without_jobs(never_read, {}) == ""


def test_to_generate_it_anew_needs_a_reason_although_no_job_is_known(never_read: Any) -> None:
    assert "What a000 loses is not known" in impact.lose_progress(never_read, {})


def test_nothing_is_said_about_jobs_that_are_left_active_or_were_changed(broken: Any) -> None:
    change = {"status": "SUSPENDED", "jobs": ["a000_0"]}
    assert "is not known" in postconditions.report_active_jobs(broken, {})
    assert postconditions.refuse_unchanged_jobs(broken, change) == ""
    assert "is not known" in postconditions.report_statuses(broken, change)
