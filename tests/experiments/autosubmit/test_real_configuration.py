"""Files are merged as the installed Autosubmit merges them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from experiments.autosubmit import installation
from experiments.autosubmit.configuration import read_configuration
from experiments.autosubmit.store import locate, read_experiments, read_rc
from tests.conftest import MakeExperiment
from tests.support.configured import write

RESOLVE = """
import json, sys
from autosubmit.config.basicconfig import BasicConfig
from autosubmit.config.configcommon import AutosubmitConfig
BasicConfig.read()
configuration = AutosubmitConfig(sys.argv[1], BasicConfig)
configuration.reload(force_load=True)
print("RESOLVED" + json.dumps(configuration.experiment_data, default=str))
"""
JOBS = """
jobs:
  Ini: {file: "ini.sh, a.sh b.sh", running: once, notify_on: "FAILED completed", custom_directives: ["#X a"]}
  SIM:
    FILE: [sim.sh, x.sh]
    DEPENDENCIES: {INI: {}, SIM-1: {STATUS: failed}, post: {STATUS: "running?"}}
    WALLCLOCK: 00:30:00
    SIZE: "%EXPERIMENT.CHUNKSIZE%-%default.expid%-%NONE.SUCH%"
  LOOP:
    FOR: {NAME: [north, "%EXPERIMENT.MEMBERS%"], PLATFORM: [local, mn5], DEPENDENCIES: [{INI: {}}, {SIM: {}}]}
    FILE: "%NAME%.sh"
  EMPTY: {}
WRAPPERS: {W: {TYPE: Vertical, JOBS_IN_WRAPPER: sim&ini}}
LISTS: {A: [{a: 1}], B: ["%EXPERIMENT.MEMBERS%", x]}
LATE: "%^EXPERIMENT.MEMBERS%"
NUMBERS: {A: 010, B: 48:00, C: yes, D: 1e3, E: 0x1F, F: 1_000, G: .5, H: 0o17, I: -3, J: on}
"""
CUSTOM = {
    "conf/minimal.yml": "DEFAULT: {CUSTOM_CONFIG: {PRE: '%ROOTDIR%/pre', POST: ['%ROOTDIR%/post.yml']}}\nX: {M: 1}\n",
    "conf/x.yml": "X: {C: conf, B: conf, A: conf}\n",
    "pre/a.yml": "X: {C: pre, P: pre, L: [3]}\nDEFAULT: {EXPID: zzzz, CUSTOM_CONFIG: {PRE: '%ROOTDIR%/nested.yml'}}\n",
    "pre/b.yaml": "X: {L: [1, 2]}\n",
    "post.yml": "X: {B: post}\nHPCARCH: none\nPLATFORMS: {local: {SCRATCH_DIR: /s, PROJECT: p, USER: u}}\n",
    "nested.yml": "X: {N: nested, L: [4], P: nested}\n",
}
PROJECT = (
    "PROJECT: {PROJECT_TYPE: git, PROJECT_DESTINATION: ''}\nGIT: {PROJECT_ORIGIN: https://x.example/a/model.git}\n"
)


def resolved(autosubmit: Path, home: Path, expid: str) -> Any:
    """Return the configuration as Autosubmit has it."""
    command = [str(autosubmit.parent / "python"), "-c", RESOLVE, expid]
    environment = os.environ | {"HOME": str(home), "AUTOSUBMIT_CONFIGURATION": str(home / ".autosubmitrc")}
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(output.partition("RESOLVED")[2])


@pytest.mark.parametrize(
    "files",
    [{}, {"conf/jobs_more.yml": JOBS}, CUSTOM, {"conf/project.yml": PROJECT}],
    ids=["as made", "jobs", "custom files", "project"],
)
def test_files_are_merged_as_autosubmit_merges_them(
    autosubmit: Path, autosubmit_home: Path, make_experiment: MakeExperiment, files: dict[str, str]
) -> None:
    expid = make_experiment("waiting")
    store = locate(autosubmit_home)
    write(store.experiment_folder(expid), files)
    record = next(record for record in read_experiments(store) if record.expid == expid)
    added = installation.read_parameters(read_rc(autosubmit_home))
    found = read_configuration(store.experiment_folder(expid), added, record.description).values
    wanted = resolved(autosubmit, autosubmit_home, expid) | {"AS_ENV_CURRENT_USER": None}
    assert json.loads(json.dumps(found)) == wanted
