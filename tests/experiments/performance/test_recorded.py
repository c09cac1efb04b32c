"""The metrics of experiments whose answers Autosubmit API recorded: they are the same, or here stands why not."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment
from experiments.performance.metrics import MeasuredJob, Metrics
from experiments.performances import Performance, read_performance
from tests.support import factories, stores

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
STORE, RESPONSES = DATA / "real-store", DATA / "peer-4.2.0" / "responses"
TOTALS = {
    "SY": "years",
    "SYPD": "sypd",
    "ASYPD": "asypd",
    "RSYPD": "rsypd",
    "CHSY": "chsy",
    "JPSY": "jpsy",
    "Parallelization": "parallelization",
    "Total_energy": "energy",
    "Total_footprint": "footprint",
}

_found: dict[str, Performance] = {}  # for all tests: the store is mirrored once


def read_recorded(expid: str, what: str) -> Any:
    """Return a recorded answer; skip where there is none."""
    found = sorted(RESPONSES.glob(f"v3_{what}*.json"))
    if not found:
        pytest.skip("There are no recorded answers of Autosubmit API beside this repository.")
    return json.loads(found[0].read_text())


@pytest.fixture
def performances(tmp_path: Path) -> dict[str, Performance]:
    """How the experiments of the recorded store perform."""
    if not STORE.is_dir():
        pytest.skip("There is no recorded store beside this repository.")
    if not _found:
        stores.configure(tmp_path, STORE.resolve())
        site = factories.create_site(autosubmit=sys.executable, home=str(tmp_path))
        SiteMirror(site.pk).look()
        _found.update({row.expid: read_performance(row) for row in Experiment.objects.all()})
    return _found


def tell_totals(metrics: Metrics) -> dict[str, float]:
    """Return the metrics under the names of Autosubmit API, which has 0 for what there is nothing to compute from."""
    return {name: getattr(metrics, ours) or 0 for name, ours in TOTALS.items()}


def tell_job(measured: MeasuredJob) -> dict[str, Any]:
    """Return a simulation under the names of Autosubmit API."""
    return {
        "name": measured.job.name,
        "chunk": measured.job.chunk,
        "queue": measured.queue,
        "running": measured.run,
        "CHSY": measured.chsy,
        "SYPD": measured.sypd,
        "ASYPD": measured.asypd,
        "JPSY": measured.jpsy,
        "energy": measured.attempt.energy,
        "yps": measured.years,
        "ncpus": measured.elements,
    }


def test_the_metrics_are_those_of_autosubmit_api(performances: dict[str, Performance]) -> None:
    for expid in ("a003", "a1ve", "a1vx", "a3tb"):
        recorded = read_recorded(expid, f"performance_{expid}")
        found = performances[expid]
        assert tell_totals(found.metrics) == pytest.approx({name: recorded[name] for name in TOTALS}), expid
        assert found.settings.platform == recorded["platform_info"]["name"]
        assert (found.settings.carbon, found.settings.usage) == (
            recorded["platform_info"]["CF"],
            recorded["platform_info"]["PUE"],
        )


def test_the_simulations_that_they_are_made_of_are_the_same(performances: dict[str, Performance]) -> None:
    for expid in ("a003", "a1ve", "a1vx", "a3tb"):
        recorded = read_recorded(expid, f"performance_{expid}")
        for ours, theirs in (("considered", "considered"), ("left_out", "not_considered")):
            found = [tell_job(measured) for measured in getattr(performances[expid].metrics, ours)]
            expected = [{name: job[name] for name in job if name != "footprint"} for job in recorded[theirs]]
            assert sorted(found, key=lambda job: job["name"]) == sorted(expected, key=lambda job: job["name"]), expid


def test_queue_and_run_of_completed_jobs_are_those_of_its_statistics(performances: dict[str, Performance]) -> None:
    compared = 0
    for expid in ("a003", "a3tb"):
        for told in read_recorded(expid, f"stats_{expid}_0_Any")["Statistics"]["JobStatistics"]:
            if told["completedCount"]:
                *_, newest = performances[expid].attempts[told["name"]]
                assert newest.run_seconds / 3600 == pytest.approx(told["completedRunTime"]), told["name"]
                assert newest.queue_seconds / 3600 == pytest.approx(told["completedQueueTime"]), told["name"]
                compared += 1
    assert compared == 33
