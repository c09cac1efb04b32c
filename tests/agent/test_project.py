"""What is not pushed of a project: the real git, on repositories that mean harm."""

import os
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent.readers.memory import Memory
from autosubmit_portal.agent.readers.place import Means, Place
from autosubmit_portal.agent.readers.project import MOST_NAMED, read_project
from tests.support.job_lists import decode_here
from tests.support.small_stores import make_store

NOTHING: dict[str, list[str]] = {"changed": [], "commits": []}


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=ana", "-c", "user.email=ana@example.org", "-c", "init.defaultBranch=main")
    variables = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *who, *words], cwd=folder, env=variables, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "home").mkdir()
    store = make_store(tmp_path / "home", ["o001"])
    return Place(store, RawConfigParser(), "o001", Means(Memory(tmp_path / "memory"), decode_here))


@pytest.fixture
def project(tmp_path: Path, place: Place) -> Path:
    """The clone of an experiment, of which everything is pushed."""
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "--quiet")
    (origin / "main.sh").write_text("true\n")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "-m", "first")
    (place.store.experiment_folder("o001") / "proj").mkdir(parents=True)
    clone = place.store.experiment_folder("o001") / "proj" / "git_project"
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    return clone


def look(place: Place) -> Any:
    return read_project(place, {})[0]


@pytest.mark.usefixtures("project")
def test_nothing_is_told_of_what_is_pushed(place: Place) -> None:
    assert look(place) == NOTHING


def test_nothing_is_told_of_an_experiment_without_a_clone(place: Place) -> None:
    assert look(place) == NOTHING


def test_changed_and_new_files_are_told(place: Place, project: Path) -> None:
    (project / "main.sh").write_text("false\n")
    (project / "new file\n.sh").touch()
    assert look(place) == {"changed": ["main.sh", "new file\n.sh"], "commits": []}


def test_commits_that_are_not_pushed_are_told_until_they_are(place: Place, project: Path) -> None:
    (project / "main.sh").write_text("false\n")
    git(project, "commit", "--quiet", "-am", "second")
    assert look(place) == {"changed": [], "commits": git(project, "rev-parse", "--short", "HEAD").split()}
    git(project, "push", "--quiet", "origin", "HEAD:refs/heads/other")
    assert look(place) == NOTHING


def test_of_many_files_some_are_told(place: Place, project: Path) -> None:
    for number in range(500):
        (project / f"{number}.txt").touch()
    assert len(look(place)["changed"]) == MOST_NAMED + 1


def test_git_runs_nothing_that_a_repository_names(place: Place, project: Path, tmp_path: Path) -> None:
    """Each of these runs where git has its own way; the last assertion shows it of one."""
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n")
    evil.chmod(0o755)
    for name in (
        "core.fsmonitor",
        "filter.x.clean",
        "filter.x.process",
        "diff.external",
        "core.pager",
        "core.sshCommand",
    ):
        git(project, "config", name, str(evil))
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        (project / ".git" / "hooks" / hook).symlink_to(evil)
    (project / ".gitattributes").write_text("* filter=x\n")
    (project / "main.sh").write_text("false\n")
    assert sorted(look(place)["changed"]) == [".gitattributes", "main.sh"]
    assert not (tmp_path / "ran").exists()
    git(project, "status")
    assert (tmp_path / "ran").exists()


def test_a_project_is_left_as_it_is(place: Place, project: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in project.rglob("*")}
    look(place)
    assert {file: file.stat().st_mtime_ns for file in project.rglob("*")} == before


def _pipe(project: Path) -> None:
    (project / ".git/index").unlink()
    os.mkfifo(project / ".git/index")


def _break(project: Path) -> None:
    (project / ".git/index").write_bytes(b"DIRC" + bytes(100))


def _lead_out(project: Path) -> None:
    (project / ".git/HEAD").unlink()
    (project / ".git/HEAD").symlink_to("/etc/passwd")


def _lose_objects(project: Path) -> None:
    for file in (project / ".git/objects").rglob("*"):
        if file.is_file():
            file.unlink()


@pytest.mark.parametrize("harm", [_pipe, _break, _lead_out, _lose_objects])
def test_a_damaged_repository_is_told_as_what_cannot_be_read(place: Place, project: Path, harm: Any) -> None:
    harm(project)
    with pytest.raises(OSError, match=r"git cannot tell|Not a regular file|leads out"):
        look(place)


def test_a_clone_that_is_a_link_to_elsewhere_is_not_looked_at(place: Place, project: Path, tmp_path: Path) -> None:
    project.rename(tmp_path / "elsewhere")
    project.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/main.sh").write_text("false\n")
    assert look(place) == NOTHING
