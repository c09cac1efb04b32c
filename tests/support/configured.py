"""A store with one experiment that has nothing but its configuration, for tests that read it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

FILES = {
    "conf/minimal.yml": "DEFAULT:\n  EXPID: a000\n  HPCARCH: mn5\n  CUSTOM_CONFIG: '%PROJDIR%/as_conf'\n",
    "conf/expdef_a000.yml": "experiment:\n  MEMBERS: fc0\n  CHUNKSIZE: 4\nPROJECT:\n  PROJECT_TYPE: git\n"
    "  PROJECT_DESTINATION: model\nGIT:\n  PROJECT_ORIGIN: https://ana:hunter2@gitlab.example.org/model.git\n",
    "proj/model/as_conf/jobs.yml": "JOBS:\n  SIM:\n    FILE: sim.sh\n    DEPENDENCIES: ini sim-1\n"
    "    WALLCLOCK: 00:30:00\n    NAME: '%EXPERIMENT.MEMBERS%_sim'\n",
    "proj/model/as_conf/platforms.yml": "PLATFORMS:\n  MN5:\n    TYPE: slurm\n    SCRATCH_DIR: /gpfs\n"
    "    PROJECT: bsc32\n    USER: ana\n    API_TOKEN: hunter2\n",
}


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files by their path in the folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def make_store(home: Path, files: dict[str, str] = FILES, runs: dict[int, Any] | None = None) -> Path:
    """Make a store in `home` with the experiment a000, its files and its runs, and return its folder."""
    write(home / "a000", files)
    (home / "autosubmit.db").touch()
    paths = {"database": home, "local": home, "structures": home / "structures", "historicdb": home / "data"}
    sections = (f"[{section}]\npath = {path}\n" for section, path in paths.items())
    (home / ".autosubmitrc").write_text("".join(sections))
    (home / "data").mkdir()
    with closing(sqlite3.connect(home / "data" / "job_data_a000.db")) as history:
        history.execute("CREATE TABLE experiment_run (run_id INTEGER PRIMARY KEY, metadata TEXT)")
        history.execute("CREATE TABLE job_data (id INTEGER PRIMARY KEY, job_name TEXT)")
        for run_id, metadata in (runs or {}).items():
            text = metadata if isinstance(metadata, str) else json.dumps(metadata)
            history.execute("INSERT INTO experiment_run VALUES (?, ?)", (run_id, text))
        history.commit()
    return home / "a000"
