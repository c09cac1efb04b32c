"""`.ci/packages`, which `make up` and `make test` call first, with a stand-in for apt-get and for sudo."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

# It makes the programs of what it is told to install, which are those of the same name.
APT_GET = """#!/bin/sh
[ "$2" = install ] || exit 0
shift 2
for name; do case $name in -*) ;; *) printf '#!/bin/sh\\n' > "$PROGRAMS/$name"; chmod +x "$PROGRAMS/$name" ;; esac; done
"""
SUDO = """#!/bin/sh
shift
exec "$@"
"""
SHELL = ("bash", "sh", "env", "grep", "mktemp", "cat", "rm", "chmod", "true")
Packages = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def programs() -> Iterator[Path]:
    """A folder of programs, which another account may change."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        for program in SHELL:
            (folder / program).symlink_to(f"{shutil.which(program)}")
        shutil.copy(settings.BASE_DIR / ".ci" / "packages", folder / "packages")
        yield folder


@pytest.fixture
def packages(programs: Path) -> Packages:
    """Run the script, never as root, on a machine that has nothing but a shell and the programs named."""

    def run(what: str, **scripts: str) -> subprocess.CompletedProcess[str]:
        for name, text in scripts.items():
            file = programs / name.replace("_", "-")
            file.write_text(text)
            file.chmod(0o755)
        return subprocess.run(
            ["bash", str(programs / "packages"), what],
            env={"PATH": str(programs), "PROGRAMS": str(programs), "PYTHON": "/opt/python"},
            user="nobody" if os.geteuid() == 0 else None,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_who_may_install_nothing_is_told_the_one_command(packages: Packages) -> None:
    done = packages("up", apt_get=APT_GET)
    assert done.returncode == 1
    commands = [line.strip() for line in done.stderr.splitlines() if line.startswith("    ")]
    assert len(commands) == 1
    assert commands[0].startswith("su -c 'apt-get -qq update && ")
    assert commands[0].endswith(" git make'")


def test_who_needs_no_password_gets_what_is_missing_once(packages: Packages) -> None:
    done = packages("up", apt_get=APT_GET, sudo=SUDO)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Installing git make …\n", "")
    done = packages("up")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_still_missing_after_the_installation_is_named(packages: Packages) -> None:
    done = packages("up", apt_get="#!/bin/sh\n", sudo=SUDO)
    assert done.returncode == 1
    assert "could not be installed: git make\n" in done.stderr


def test_a_machine_without_apt_get_is_told_what_is_missing(packages: Packages) -> None:
    done = packages("up")
    assert done.returncode == 1
    assert "git make. Install them, then run make up again." in done.stderr
