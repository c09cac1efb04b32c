"""Wrappers that Autosubmit made or planned, and metrics that it collected from jobs."""

import shutil
import sys
from pathlib import Path

import pytest

from autosubmit_portal.management.demo import Autosubmit
from experiments.mirror import sync
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Experiment, Site
from jobs.autosubmit.user_metrics import read_metric_runs, read_metrics
from jobs.models import Job
from tests.conftest import MakeExperiment
from tests.support import factories, stores
from tests.support.services import ForkedAutosubmit

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


EXPERIMENT = """
CREATE TABLE experiment (id INTEGER PRIMARY KEY, name, description TEXT, autosubmit_version TEXT);
INSERT INTO experiment VALUES (1, 'a000', 'wrapped', '4.1.17');
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """The file of the wrappers of a000 in a store of its own; its job list was written by 4.1.17.1."""
    root = tmp_path / "autosubmit"
    stores.make_database(root / "autosubmit.db", EXPERIMENT)
    stores.configure(tmp_path, root)
    made = stores.make_database(root / "a000" / "pkl" / "job_packages_a000.db", stores.WRAPPERS)
    shutil.copy(stores.FOLDER / "4.1.17.1.pkl", made.parent / "job_list_a000.pkl")
    return made


def test_a_wrapper_is_mirrored_once_it_is_written(packages: Path, tmp_path: Path) -> None:
    watcher = SiteMirror(factories.create_site(autosubmit=sys.executable, home=str(tmp_path)).pk)
    watcher.look()
    assert set(Job.objects.values_list("wrapper", flat=True)) == {""}
    sent = "INSERT INTO wrappers_jobs VALUES (7, 'a000_ASThread_1', 'a000_20000101_fc0_1_SIM', 'now');"
    stores.make_database(packages, sent)
    watcher.look()
    wrapped = Job.objects.exclude(wrapper="").values_list("name", "wrapper")
    assert [*wrapped] == [("a000_20000101_fc0_1_SIM", "a000_ASThread_1")]


def test_a_broken_file_of_wrappers_is_told_and_harms_no_jobs(packages: Path, tmp_path: Path) -> None:
    watcher = SiteMirror(factories.create_site(autosubmit=sys.executable, home=str(tmp_path)).pk, is_patient=False)
    watcher.look()
    packages.write_bytes(b"no database" * 200)
    watcher.look()
    experiment = Experiment.objects.get()
    assert "wrappers in" in experiment.problem
    assert experiment.total_jobs == experiment.jobs.count() == 4


@pytest.fixture
def commands(autosubmit: Path, autosubmit_home: Path) -> Autosubmit:
    return ForkedAutosubmit(autosubmit, autosubmit_home)


def configured(commands: Autosubmit, expid: str, text: str) -> str:
    """Add a file to the configuration of an experiment; what it says goes before the other files."""
    (commands.home / "autosubmit" / expid / "conf" / "zz.yml").write_text(text)
    return expid


def test_planned_wrappers_are_mirrored(commands: Autosubmit, site: Site, make_experiment: MakeExperiment) -> None:
    expid = configured(commands, make_experiment("waiting"), WRAPPED)
    commands.call("create", "--noplot", "--check_wrapper", expid)
    experiment = sync.adopt(site, expid)
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
    source = factories.locate_store(site).metrics_database(expid)
    (run_id,) = read_metric_runs(source)
    (metric,) = read_metrics(source, run_id)
    assert (metric.job_name, metric.metric_name, metric.metric_value) == (f"{expid}_SETUP", "sypd", "12.5")
