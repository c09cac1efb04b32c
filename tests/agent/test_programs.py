"""Several versions of Autosubmit at one site, by the names that its file gives them."""

import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent.examination import examine
from autosubmit_portal.agent.findings import Finding, Level
from autosubmit_portal.agent.protocol import Failure
from autosubmit_portal.agent.site_file import BadSiteFileError, read_site_file
from tests.agent.agents import RC, agent, write_site_file

MODULECMD = Path("/usr/bin/modulecmd")
MODULE = """#%Module
prepend-path PATH {folder}/bin
setenv AUTOSUBMIT_FROM "a module; touch {folder}/evaluated"
"""
needs_modules = pytest.mark.skipif(not MODULECMD.exists(), reason="Debian's package environment-modules is missing")


def install(folder: Path, version: str) -> Path:
    """Write a program that tells its version, or its first two words and where it comes from."""
    program = folder / "bin" / "autosubmit"
    program.parent.mkdir(parents=True)
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit\n'
        f'echo "{version} $1 $2 $VIRTUAL_ENV$CONDA_PREFIX$AUTOSUBMIT_FROM"\n'
    )
    program.chmod(0o755)
    return program


@pytest.fixture
def site(tmp_path: Path) -> dict[str, Any]:
    """A site with a program of each kind; the profile names the path of the usual one."""
    folders = {name: tmp_path / name for name in ("usual", "plain", "env", "conda", "mod")}
    programs = {name: install(folder, f"4.{number}") for number, (name, folder) in enumerate(folders.items())}
    modules = tmp_path / "modulefiles" / "autosubmit"
    modules.mkdir(parents=True)
    (modules / "4.4").write_text(MODULE.format(folder=folders["mod"]))
    return {
        "program": str(programs["usual"]),
        "kinds": {"run": ["run"]},
        "profiles": {"usual": {"PATH": f"{folders['usual']}/bin:/usr/bin:/bin"}},
        "modules": {"program": str(MODULECMD), "path": [str(modules.parent)]},
        "programs": {
            "plain": {"version": "4.1", "program": str(programs["plain"])},
            "env": {"version": "4.2", "virtualenv": str(folders["env"])},
            "conda": {"version": "4.3", "conda": str(folders["conda"])},
            "mod": {"version": "4.4", "modules": ["autosubmit/4.4"]},
        },
    }


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("", "4.0 run a000 "),
        ("plain", "4.1 run a000 "),
        ("env", "4.2 run a000 {}/env"),
        ("conda", "4.3 run a000 {}/conda"),
        pytest.param("mod", "4.4 run a000 a module; touch {}/mod/evaluated", marks=needs_modules),
    ],
)
def test_a_command_is_one_of_the_program_that_is_named(
    tmp_path: Path, site: dict[str, Any], name: str, printed: str
) -> None:
    with agent(tmp_path, **site) as channel:
        channel.start("run", "a000", program=name)
        look, output = channel.follow()
    assert (look["exit_status"], output.decode()) == (0, printed.format(tmp_path) + "\n")
    assert not (tmp_path / "mod" / "evaluated").exists()


def test_a_name_that_the_site_does_not_have_is_refused_with_those_that_it_has(
    tmp_path: Path, site: dict[str, Any]
) -> None:
    with agent(tmp_path, **site) as channel:
        refused = channel.start("run", "a000", program="/bin/sh")
    assert (refused["outcome"], refused["why"]) == (
        "refused",
        "The site has no program '/bin/sh'. There are: plain, env, conda, mod.",
    )


@needs_modules
def test_a_module_that_is_not_there_ends_the_command_before_it_begins(tmp_path: Path, site: dict[str, Any]) -> None:
    site["programs"]["mod"]["modules"] = ["autosubmit/9"]
    with agent(tmp_path, **site) as channel:
        channel.start("run", "a000", program="mod")
        look, output = channel.follow()
    assert look["exit_status"] == 127
    assert b"autosubmit/9" in output
    assert b"run a000" not in output


@needs_modules
def test_words_of_a_command_are_never_evaluated_by_the_shell_that_loads_modules(
    tmp_path: Path, site: dict[str, Any]
) -> None:
    with agent(tmp_path, **site) as channel:
        channel.start("run", f"$(touch {tmp_path}/pwned); --", program="mod")
        _, output = channel.follow()
    assert output.startswith(b"4.4 run $(touch ")
    assert not (tmp_path / "pwned").exists()


def test_the_portal_is_told_the_names_and_versions(tmp_path: Path, site: dict[str, Any]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".autosubmitrc").write_text(RC.format(home))
    sqlite3.connect(home / "autosubmit.db").close()
    with agent(tmp_path, **site, home=str(home)) as channel:
        answer = channel.ask("read", what="rules")
        refused = channel.ask("read", what="rules", programs={"x": "1"})
    assert answer["programs"] == {"plain": "4.1", "env": "4.2", "conda": "4.3", "mod": "4.4"}
    assert isinstance(refused, Failure)


def test_the_doctor_tries_each_program(tmp_path: Path, site: dict[str, Any]) -> None:
    site["programs"] |= {"wrong": {"version": "3.9", "program": site["program"]}}
    shutil.rmtree(tmp_path / "conda")
    if not MODULECMD.exists():
        del site["programs"]["mod"]
    found = [one for one in examine(write_site_file(tmp_path, **site)) if isinstance(one, Finding)]
    levels = {one.word.removeprefix("program "): one.level for one in found if one.word.startswith("program ")}
    fine = dict.fromkeys(site["programs"], Level.OK)
    assert levels == fine | {"conda": Level.FAIL, "wrong": Level.WARN}


@pytest.mark.parametrize(
    ("programs", "why"),
    [
        ({"x": {"version": "4"}}, "needs one of: program, virtualenv, conda, modules"),
        ({"x": {"version": "4", "program": "/a", "conda": "/b"}}, "needs one of"),
        ({"x": {"version": "4", "program": "a"}}, "must be an absolute path"),
        ({"x": {"program": "/a"}}, "“version” must be a text"),
        ({"x": {"version": "4", "modules": ["-f"]}}, "cannot be the name of a module"),
        ({"x": {"version": "4", "modules": ["a;b"]}}, "cannot be the name of a module"),
        ({"x": {"version": "4", "modules": []}}, "“modules” names none"),
        ({"x y": {"version": "4", "program": "/a"}}, "cannot be the name of a program"),
        ({"x": {"version": "4", "program": "/a", "colour": "red"}}, "'colour' is unknown"),
    ],
)
def test_a_file_that_names_programs_wrongly_is_refused(tmp_path: Path, programs: dict[str, Any], why: str) -> None:
    modules = {"program": "/usr/bin/modulecmd", "path": []}
    with pytest.raises(BadSiteFileError, match=why):
        read_site_file(write_site_file(tmp_path, programs=programs, modules=modules))


def test_modules_need_the_program_that_loads_them(tmp_path: Path) -> None:
    file = write_site_file(tmp_path, programs={"x": {"version": "4", "modules": ["a"]}})
    with pytest.raises(BadSiteFileError, match="must say how they are loaded"):
        read_site_file(file)


def test_each_program_has_warm_processes_of_its_own(tmp_path: Path, site: dict[str, Any]) -> None:
    site["programs"]["other"] = {"version": "4", "program": sys.executable}
    made = read_site_file(write_site_file(tmp_path, **site))
    names = ("", "plain", "other")
    programs = [program for program in map(made.find_program, names) if program]
    keys = {(one.make_argv(["x"])[0], frozenset(made.make_environment("usual", "", one).items())) for one in programs}
    assert len(keys) == len(names)
