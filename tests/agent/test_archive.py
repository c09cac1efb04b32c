"""What reads stores, out of the one file of the agent: with any Python from 3.10 and nothing else."""

import subprocess
from pathlib import Path

import pytest

from autosubmit_portal.gateway.agent_archive import write_archive
from tests.agent.agents import find_pythons

on_every_python = pytest.mark.parametrize("python", find_pythons(), ids=lambda path: Path(path).name)

IMPORT_ALL = """
import importlib, pkgutil, sys
import experiments, jobs
for package in (experiments, jobs):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
        print(found.name)
assert not {"django", "psycopg"} & sys.modules.keys()
"""
READ = """
import pathlib
from experiments.autosubmit.configuration import read_configuration
print(read_configuration(pathlib.Path(sys.argv[2]), {}).values["MODEL"])
"""


def run_alone(python: str, archive: Path, code: str, *arguments: str) -> str:
    """Return what code prints that has the archive and the standard library, and no packages of the machine."""
    code = f"import sys; sys.path.insert(0, sys.argv[1])\n{code}"
    argv = [python, "-I", "-S", "-c", code, str(archive), *arguments]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout


@on_every_python
def test_every_module_that_reads_stores_is_imported_out_of_the_archive(tmp_path: Path, python: str) -> None:
    printed = run_alone(python, write_archive(tmp_path), IMPORT_ALL)
    assert {"experiments.autosubmit.store", "jobs.autosubmit.pickles.unpickler"} <= {*printed.split()}


@on_every_python
def test_a_configuration_is_read_by_the_yaml_of_the_archive(tmp_path: Path, python: str) -> None:
    (tmp_path / "a000/conf").mkdir(parents=True)
    (tmp_path / "a000/conf/model.yml").write_text("MODEL: {WALLCLOCK: 48:00, STEPS: !!int '0x10', ON: yes}")
    printed = run_alone(python, write_archive(tmp_path / "agents"), READ, str(tmp_path / "a000"))
    assert printed == "{'WALLCLOCK': '48:00', 'STEPS': 16, 'ON': 'yes'}\n"


@pytest.mark.parametrize(("package", "words"), [("yaml", "Permission is hereby granted"), ("websockets", "Redistrib")])
def test_the_licence_of_a_package_comes_with_it(tmp_path: Path, package: str, words: str) -> None:
    code = "import pkgutil; print(pkgutil.get_data(sys.argv[2], 'LICENSE').decode())"
    assert words in run_alone(find_pythons()[0], write_archive(tmp_path), code, package)
