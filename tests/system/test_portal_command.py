"""`manage.py portal`: starts web, worker and mirror, keeps them up, and stops them all."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from autosubmit_portal.management.demo import Autosubmit
from autosubmit_portal.management.processes import MANAGE, Child
from tests.support.services import (
    ForkedAutosubmit,
    Http,
    Portal,
    find_parent,
    free_port,
    prepare,
    processes_of,
    processes_with,
)
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.system


def portal_in(home: Path, static_files: Path) -> Portal:
    """Return a portal with its tables and static files, and no site: nothing here needs Autosubmit."""
    (home / "static").symlink_to(static_files)
    portal = Portal(home=home, autosubmit=Autosubmit(Path("/nowhere"), home / "autosubmit-home"))
    portal.make_tables()
    return portal


@contextmanager
def supervised(portal: Portal) -> Iterator[subprocess.Popen[bytes]]:
    """Start `manage.py portal`, wait until it says where it is, and stop it at the end of the block."""
    portal.port = free_port()
    with (portal.home / "portal.log").open("wb") as log:
        process = subprocess.Popen(
            [*MANAGE, "portal", f"--port={portal.port}"],
            env=portal.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(lambda: portal.url in portal.log("portal"))
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, static_files: Path) -> Portal:
    """A portal that each test starts and ends."""
    return portal_in(tmp_path_factory.mktemp("portal"), static_files)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, static_files: Path) -> Iterator[Portal]:
    """A portal that is up, for all tests that leave it so."""
    portal = portal_in(tmp_path_factory.mktemp("portal"), static_files)
    with supervised(portal) as process:
        portal.processes["portal"] = process
        yield portal


@pytest.fixture
def operated(autosubmit: Path, static_files: Path, tmp_path: Path) -> Iterator[Portal]:
    """A portal of an Autosubmit home, set up and not started."""
    (tmp_path / "static").symlink_to(static_files)
    portal = Portal(home=tmp_path, autosubmit=ForkedAutosubmit(autosubmit, tmp_path / "autosubmit-home"))
    prepare(portal.autosubmit)
    portal.set_up()
    yield portal
    portal.tear_down()


def _pids(portal: Portal, word: str) -> set[int]:
    return {pid for pid, command in processes_with("PORTAL_HOME", portal.home).items() if word in command}


def _find_main(pids: set[int]) -> int:
    """Return the one that has started the others. It need not have the least number: those begin anew some time."""
    (main,) = [pid for pid in pids if find_parent(pid) not in (0, *pids)]
    return main


def _find_group(pid: int) -> int | None:
    with suppress(ProcessLookupError):  # it may just have ended
        return os.getpgid(pid)
    return None


def _refusal(portal: Portal, *arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [*MANAGE, "portal", *arguments],
        env=portal.environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    return done.stderr


def test_it_starts_all_three_and_the_web_server_answers(up: Portal) -> None:
    assert Http(up.url).get("/login/", Accept="text/html").status == 200
    assert _pids(up, "gunicorn")
    assert _pids(up, "qcluster")
    assert _pids(up, "mirror")


def test_a_terminal_signal_reaches_only_the_supervisor(up: Portal) -> None:
    groups = {_find_group(pid) for word in ("gunicorn", "qcluster", "mirror") for pid in _pids(up, word)} - {None}
    assert os.getpgid(up.processes["portal"].pid) not in groups
    assert len(groups) == 3


def test_a_second_one_in_the_same_home_is_refused(up: Portal) -> None:
    said = f"runs already in {up.home} (process {up.processes['portal'].pid})"
    assert said in _refusal(up, f"--port={free_port()}")


def test_a_port_that_is_taken_is_refused(up: Portal, tmp_path: Path) -> None:
    (tmp_path / "static").symlink_to(up.home / "static")
    database = f"sqlite:///{up.home / 'portal.sqlite3'}"
    said = _refusal(up, f"--port={up.port}", PORTAL_HOME=str(tmp_path), PORTAL_DATABASE_URL=database)
    assert f"Cannot listen on port {up.port}" in said
    assert "--port (make up PORT=…)" in said


@pytest.mark.parametrize("word", ["gunicorn", "qcluster", "mirror"])
def test_it_starts_again_what_dies(up: Portal, word: str) -> None:
    before, told = wait_for(lambda: _pids(up, word)), up.log("portal").count("killed by SIGKILL")
    os.killpg(os.getpgid(_find_main(before)), signal.SIGKILL)
    wait_for(lambda: _pids(up, word) - before)
    assert up.log("portal").count("killed by SIGKILL") == told + 1


def test_a_worker_whose_main_process_is_killed_leaves_nothing_behind(up: Portal) -> None:
    before = wait_for(lambda: _pids(up, "qcluster"), is_enough=lambda pids: len(pids) > 4)
    os.kill(_find_main(before), signal.SIGKILL)
    wait_for(lambda: not before & set(processes_with("PORTAL_HOME", up.home)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_all_three_on_ctrl_c_and_when_asked_to(made: Portal, number: signal.Signals) -> None:
    with supervised(made) as portal:
        os.killpg(portal.pid, number)
        assert portal.wait(PATIENCE) == 0
    wait_for(lambda: processes_with("PORTAL_HOME", made.home) == {})
    assert "is killed" not in made.log("portal")


def test_all_three_end_when_it_is_killed(made: Portal) -> None:
    with supervised(made) as portal:
        wait_for(lambda: all(_pids(made, word) for word in ("gunicorn", "qcluster", "mirror")))
        portal.kill()
        wait_for(lambda: processes_with("PORTAL_HOME", made.home) == {})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_experiment_that_runs_goes_on_when_the_portal_ends(operated: Portal, number: signal.Signals) -> None:
    expid = operated.make_experiment("long")
    with supervised(operated) as portal:
        wait_for(lambda: operated.http.get(f"/v4/experiments/{expid}/jobs").body.get("jobs"))
        assert operated.http.post(f"/v4/experiments/{expid}?action=run").status == 202
        wait_for(lambda: _is_sleeping(operated))
        os.kill(portal.pid, number)
        portal.wait(PATIENCE)
    wait_for(lambda: processes_with("PORTAL_HOME", operated.home) == {})
    assert _is_sleeping(operated)


def _is_sleeping(portal: Portal) -> bool:
    commands = processes_of(portal.autosubmit.home).values()
    return all(any(part in command for command in commands) for part in ("autosubmit run", "sleep 600"))


def test_a_database_without_tables_is_refused(made: Portal, tmp_path: Path) -> None:
    assert "`manage.py up`" in _refusal(made, PORTAL_HOME=str(tmp_path))


def test_the_pause_before_another_start_grows_to_a_minute() -> None:
    child = Child("web", ["false"])
    pauses = []
    for _ in range(8):
        child.due = 0.0
        child.look()
        pauses.append(wait_for(child.look).rpartition(" in ")[2])
    assert pauses == ["1 s.", "2 s.", "4 s.", "8 s.", "16 s.", "32 s.", "60 s.", "60 s."]
