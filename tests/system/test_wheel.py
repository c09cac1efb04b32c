"""The wheel, as an institution installs it: whole, in an environment of its own, and started from any folder."""

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from autosubmit_portal import __version__
from tests.conftest import REPOSITORY, sign_in
from tests.support.services import Credentials, free_port
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.system
NAME = f"autosubmit_portal-{__version__}"
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")
OURS = ("PORTAL_", "DJANGO_", "PYTHON", "XDG_", "AUTOSUBMIT")


def run(*command: object, cwd: Path = REPOSITORY) -> str:
    return subprocess.run([*map(str, command)], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


def files_in(wheel: Path) -> set[str]:
    """Return what the wheel installs, without what every wheel has."""
    with zipfile.ZipFile(wheel) as opened:
        return {name for name in opened.namelist() if not name.startswith(f"{NAME}.dist-info/")}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel and of the source distribution, made of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return dist / f"{NAME}-py3-none-any.whl"


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel and the versions that are tested."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, *PIP, "install", "--no-compile", "--require-hashes", "-r", REPOSITORY / "requirements.txt")
    run(python, *PIP, "install", "--no-deps", "--no-index", wheel)
    return python


@dataclass(frozen=True, slots=True)
class Started:
    """An installed portal that was started in a folder of somebody's."""

    process: subprocess.Popen[bytes]
    port: int
    home: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def credentials(self) -> Credentials:
        lines = (self.home / "credentials").read_text().splitlines()
        return Credentials(**dict(line.split("=", 1) for line in lines))


@pytest.fixture
def started(python: Path, autosubmit: Path, autosubmit_home: Path, tmp_path: Path) -> Iterator[Started]:
    """A portal that knows nothing but its environment; the folder has files with the names of our packages."""
    (tmp_path / "jobs.py").write_text("raise ImportError('not ours')")
    (tmp_path / "experiments.py").write_text("raise ImportError('not ours')")
    port, log = free_port(), tmp_path / "log"
    environment = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
    up = [str(python.parent / "autosubmit-portal"), "up", f"--port={port}"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*up, f"--autosubmit={autosubmit}", f"--store={autosubmit_home}"],
            cwd=tmp_path,
            env=environment | {"HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    yield Started(process, port, tmp_path / ".local/share/autosubmit-portal", log)
    process.terminate()
    process.wait(PATIENCE)


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    tracked = run("git", "ls-files", "autosubmit_portal", "experiments", "jobs", "templates").splitlines()
    inside = {f"autosubmit_portal/{name}" if name.startswith("templates/") else name for name in tracked}
    assert files_in(wheel) == inside


def test_the_source_distribution_makes_the_same_wheel(dist: Path, wheel: Path, tmp_path: Path) -> None:
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path)
    run(sys.executable, *PIP, *build, dist / f"{NAME}.tar.gz")
    assert files_in(tmp_path / wheel.name) == files_in(wheel)


def test_the_wheel_asks_for_the_versions_that_are_tested(python: Path) -> None:
    assert run(python, *PIP, "check").strip() in ("", "No broken requirements found.")
    assert run(python.parent / "autosubmit-portal", "--version").strip() == __version__


def test_an_installed_portal_is_set_up_from_any_folder_and_stops_on_ctrl_c(
    started: Started, open_page: Callable[..., Page]
) -> None:
    wait_for(lambda: started.url in started.log.read_text() or started.process.poll() is not None)
    page = open_page(started.url)
    sign_in(page, started.credentials)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    sheet = page.locator("link[rel=stylesheet][href*='portal/portal.']").get_attribute("href")
    assert page.request.get(f"{sheet}").ok
    os.killpg(started.process.pid, signal.SIGINT)
    assert started.process.wait(PATIENCE) == 0
    assert "Stopped." in started.log.read_text()
