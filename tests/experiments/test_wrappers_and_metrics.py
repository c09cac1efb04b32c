"""Wrappers that the real Autosubmit planned, and metrics that it collected from jobs."""

from pathlib import Path

import pytest

from autosubmit_portal.management.demo import Autosubmit
from experiments import mirror
from experiments.models import Site
from jobs.autosubmit.user_metrics import read_metric_runs, read_metrics
from tests.conftest import MakeExperiment

pytestmark = pytest.mark.django_db

WRAPPED = """
WRAPPERS:
  YEARS: {TYPE: vertical, JOBS_IN_WRAPPER: SIM}
PLATFORMS:
  HPC: {TYPE: slurm, HOST: hpc.example.org, USER: ana, PROJECT: p, SCRATCH_DIR: /scratch, MAX_WALLCLOCK: '24:00'}
JOBS:
  SIM: {PLATFORM: HPC}
"""
MEASURED = """
JOBS:
  SETUP:
    SCRIPT: |
      mkdir -p %CURRENT_METRIC_FOLDER%
      echo 12.5 > %CURRENT_METRIC_FOLDER%/speed
    METRICS:
      - {NAME: sypd, FILENAME: speed}
"""


@pytest.fixture
def commands(autosubmit: Path, autosubmit_home: Path) -> Autosubmit:
    return Autosubmit(autosubmit, autosubmit_home)


def configured(commands: Autosubmit, expid: str, text: str) -> str:
    """Add a file to the configuration of an experiment; what it says goes before the other files."""
    (commands.home / "autosubmit" / expid / "conf" / "zz.yml").write_text(text)
    return expid


def test_planned_wrappers_are_mirrored(
    commands: Autosubmit, site: Site, make_experiment: MakeExperiment
) -> None:
    expid = configured(commands, make_experiment("waiting"), WRAPPED)
    commands.call("create", "--noplot", "--check_wrapper", expid)
    experiment = mirror.adopt(site, expid)
    assert experiment is not None
    wrappers = dict(experiment.jobs.values_list("section", "wrapper"))
    assert (wrappers["SETUP"], wrappers["INI"]) == ("", "")
    assert wrappers["SIM"].startswith(f"{expid}_ASThread_")
    assert experiment.jobs.filter(wrapper=wrappers["SIM"]).count() == 2


def test_metrics_that_a_job_reported_are_read(
    commands: Autosubmit, site: Site, make_experiment: MakeExperiment
) -> None:
    expid = configured(commands, make_experiment("waiting"), MEASURED)
    commands.call("create", "--noplot", expid)
    commands.call("run", expid)
    source = mirror.store_of(site).metrics_database(expid)
    (run_id,) = read_metric_runs(source)
    (metric,) = read_metrics(source, run_id)
    assert (metric.job_name, metric.metric_name, metric.metric_value) == (f"{expid}_SETUP", "sypd", "12.5")
