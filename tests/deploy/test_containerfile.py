"""The definition of the images: what it promises, and what a checker of the field says. `make image-check` runs it."""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.support.containerfile import FILE, Instruction, Stage, read_stages

STAGES = read_stages()
SHIPPED = ["portal", "agent"]
SECRET = re.compile(r"(?i)secret|token|passw|key|credential|database_url|broker_url")
shipped = pytest.mark.parametrize("stage", [STAGES[name] for name in SHIPPED], ids=SHIPPED)


def test_the_checker_of_the_field_finds_nothing() -> None:
    program = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([program, "--no-color", FILE], capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


def test_the_checker_would_find_a_base_without_a_version(tmp_path: Path) -> None:
    bad = tmp_path / "Containerfile"
    bad.write_text(f"{FILE.read_text()}FROM debian:latest AS other\n")
    program = Path(sys.executable).parent / "hadolint"
    assert "DL3007" in subprocess.run([program, bad], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_stage_begins_with_a_release_of_one_day(stage: Stage) -> None:
    assert re.fullmatch(r"docker\.io/library/debian:bookworm-\d{8}-slim", stage.base)


@shipped
def test_the_account_is_a_number_that_is_not_root(stage: Stage) -> None:
    *_, last = stage.find("USER")
    assert re.fullmatch(r"(?!0)\d+:(?!0)\d+", last.text)
    assert stage.instructions.index(last) > max(map(stage.instructions.index, stage.find("RUN")))


@shipped
def test_programs_start_without_a_shell_below_an_init(stage: Stage) -> None:
    (entry,), (command,) = stage.find("ENTRYPOINT"), stage.find("CMD")
    assert entry.is_exec
    assert command.is_exec
    assert entry.words[:2] == ["/usr/bin/tini", "--"]


@shipped
def test_no_secret_stands_in_an_image(stage: Stage) -> None:
    names = [name for one in [*stage.find("ENV"), *stage.find("ARG")] for name in one.pairs]
    assert [name for name in names if SECRET.search(name)] == []


@shipped
def test_an_image_has_no_program_that_only_builds(stage: Stage) -> None:
    runs = " ".join(one.text for one in stage.find("RUN"))
    assert not re.search(r"\b(gcc|build-essential|make|curl|wget|sudo)\b", runs)


def test_the_portal_has_only_what_the_lock_names() -> None:
    installs = [one.text for one in STAGES["build"].find("RUN") if "pip install" in one.text]
    assert "--require-hashes -r requirements.txt" in installs[0]
    assert "--no-deps --no-index" in installs[1]


def _list_copied() -> list[str]:
    copies = [one for stage in STAGES.values() for one in stage.find("COPY")]
    return [word for one in copies if "--from" not in one.text for word in one.words[:-1]]


def test_what_is_copied_from_a_checkout_is_let_through_to_the_build() -> None:
    let = [line[1:] for line in FILE.with_name("Containerfile.dockerignore").read_text().splitlines() if line[0] == "!"]
    assert sorted(_list_copied()) == sorted(let)


def test_the_wheel_has_the_name_that_is_copied() -> None:
    made = f"dist/autosubmit_portal-{__import__('autosubmit_portal').__version__}-py3-none-any.whl"
    assert [name for name in _list_copied() if (settings.BASE_DIR / name).is_file() or fnmatch.fnmatch(made, name)] == (
        _list_copied()
    )


@shipped
def test_what_comes_from_another_stage_is_made_there(stage: Stage) -> None:
    made = " ".join(one.text for one in STAGES["build"].find("RUN"))
    for one in stage.find("COPY"):
        assert one.words[0] == "--from=build"
        assert one.words[1] in made


def test_the_agent_of_the_image_starts_the_autosubmit_that_is_tested() -> None:
    from autosubmit_portal.management.autosubmit_environment import AUTOSUBMIT_VERSION

    assert Instruction("ARG", f"AUTOSUBMIT=autosubmit=={AUTOSUBMIT_VERSION}") in STAGES["agent"].instructions
