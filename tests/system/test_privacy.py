"""What `make up` makes: no other account of the host reads any of it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from autosubmit_portal.management.demo import Autosubmit
from autosubmit_portal.management.processes import MANAGE
from tests.support.services import Http, Portal, kill_processes_of
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.system


@pytest.fixture
def made(autosubmit: Path, tmp_path: Path) -> Iterator[Portal]:
    """What `make up` makes in a home that an older portal left open, and the portal that it starts."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "portal.sqlite3").touch(mode=0o644)
    portal = Portal(home, Autosubmit(autosubmit, home / "autosubmit-home"))
    started = subprocess.Popen(
        [*MANAGE, "up", f"--autosubmit={autosubmit}", f"--port={portal.port}"],
        env=portal.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: token_of(portal))
    yield portal
    started.terminate()
    started.wait(PATIENCE)
    kill_processes_of(portal.autosubmit.home)


def token_of(portal: Portal) -> str:
    """Return the token of the first account; blank as long as there is none."""
    with suppress(FileNotFoundError):
        return (portal.home / "credentials").read_text().partition("token=")[2].strip()
    return ""


def answers(http: Http) -> bool:
    try:
        return http.get("/v4/experiments/a000").status == 200
    except OSError:
        return False


def read_modes(home: Path) -> dict[Path, int]:
    """Return the mode of a folder and of all that is in it, without what goes while one looks."""
    found = {home: home.stat().st_mode}
    for folder, folders, files in os.walk(home):
        for path in (Path(folder, name) for name in (*folders, *files)):
            with suppress(FileNotFoundError):
                found[path] = path.lstat().st_mode
    return found


def test_no_other_account_reads_a_file_and_commands_have_the_umask_of_the_account(made: Portal) -> None:
    http = Http(made.url, token_of(made))
    wait_for(lambda: answers(http))
    asked = http.patch("/v4/experiments/a000", {"description": "seen by the group"}).body
    ended = wait_for(lambda: http.get(asked["url"]).body, is_enough=lambda action: bool(action["ended_at"]))
    assert ended["state"] == "succeeded", ended
    store = made.autosubmit.home
    # What Autosubmit's commands make, and the program of the agent, below folders that are closed.
    theirs = (store, made.home / "caches", made.home / "agents")
    ours = {path: mode for path, mode in read_modes(made.home).items() if not any(map(path.is_relative_to, theirs))}
    assert len([path for path in ours if path.name in ("portal.sqlite3-wal", "portal.lock", "hosts.json")]) == 3
    sockets = [made.home / "gateway" / name for name in ("reading", "acting")]  # for a group, which is here our own
    open_ones = [str(path) for path, mode in ours.items() if mode & 0o077 and path not in sockets]
    assert open_ones == []
    assert (made.home / "gateway").stat().st_mode & 0o077 == 0
    assert (store / "autosubmit" / "a000" / "conf" / "expdef_a000.yml").stat().st_mode & 0o044 == 0o044
