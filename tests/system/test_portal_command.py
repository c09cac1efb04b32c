"""`manage.py portal`: starts web, worker and mirror, keeps them up, and stops them all."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autosubmit_portal.management.demo import Autosubmit
from autosubmit_portal.management.processes import MANAGE, Child
from tests.support.services import (
    ForkedAutosubmit,
    Http,
    Portal,
    free_port,
    prepare,
    processes_of,
    processes_with,
)
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.system
Supervise = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, static_files: Path) -> Portal:
    """A portal with its tables and static files, and no site: nothing here needs Autosubmit."""
    home = tmp_path_factory.mktemp("portal")
    (home / "static").symlink_to(static_files)
    portal = Portal(home=home, autosubmit=Autosubmit(Path("/nowhere"), home / "autosubmit-home"))
    portal.make_tables()
    return portal


@pytest.fixture
def supervise(made: Portal) -> Iterator[Supervise]:
    """Start `manage.py portal`, of `made` unless of another, and return it once it says where it is."""
    started = []

    def start(made: Portal = made) -> subprocess.Popen[bytes]:
        made.port = free_port()
        with (made.home / "portal.log").open("wb") as log:
            process = subprocess.Popen(
                [*MANAGE, "portal", f"--port={made.port}"],
                env=made.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        wait_for(lambda: made.url in made.log("portal"))
        return process

    yield start
    for process in started:
        process.terminate()
        process.wait(60)


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


def test_it_starts_all_three_and_the_web_server_answers(made: Portal, supervise: Supervise) -> None:
    supervise()
    assert Http(made.url).get("/login/", Accept="text/html").status == 200
    assert _pids(made, "gunicorn")
    assert _pids(made, "qcluster")
    assert _pids(made, "mirror")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_all_three_on_ctrl_c_and_when_asked_to(
    made: Portal, supervise: Supervise, number: signal.Signals
) -> None:
    portal = supervise()
    os.killpg(portal.pid, number)
    assert portal.wait(60) == 0
    assert processes_with("PORTAL_HOME", made.home) == {}
    assert "is killed" not in made.log("portal")


def test_a_terminal_signal_reaches_only_the_supervisor(made: Portal, supervise: Supervise) -> None:
    portal = supervise()
    groups = {os.getpgid(pid) for word in ("gunicorn", "qcluster", "mirror") for pid in _pids(made, word)}
    assert os.getpgid(portal.pid) not in groups
    assert len(groups) == 3


@pytest.mark.parametrize("word", ["gunicorn", "qcluster", "mirror"])
def test_it_starts_again_what_dies(made: Portal, supervise: Supervise, word: str) -> None:
    supervise()
    before = wait_for(lambda: _pids(made, word))
    os.killpg(os.getpgid(min(before)), signal.SIGKILL)
    wait_for(lambda: _pids(made, word) - before)
    assert "killed by SIGKILL" in made.log("portal")


def test_all_three_end_when_it_is_killed(made: Portal, supervise: Supervise) -> None:
    portal = supervise()
    wait_for(lambda: all(_pids(made, word) for word in ("gunicorn", "qcluster", "mirror")))
    portal.kill()
    wait_for(lambda: processes_with("PORTAL_HOME", made.home) == {})


def test_a_worker_whose_main_process_is_killed_leaves_nothing_behind(
    made: Portal, supervise: Supervise
) -> None:
    supervise()
    before = wait_for(lambda: _pids(made, "qcluster"), is_enough=lambda pids: len(pids) > 4)
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: not before & set(processes_with("PORTAL_HOME", made.home)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_experiment_that_runs_goes_on_when_the_portal_ends(
    operated: Portal, supervise: Supervise, number: signal.Signals
) -> None:
    expid = operated.make_experiment("long")
    portal = supervise(operated)
    wait_for(lambda: operated.http.get(f"/v4/experiments/{expid}/jobs").body.get("jobs"))
    assert operated.http.post(f"/v4/experiments/{expid}?action=run").status == 202
    wait_for(lambda: _is_sleeping(operated))
    os.kill(portal.pid, number)
    portal.wait(60)
    wait_for(lambda: processes_with("PORTAL_HOME", operated.home) == {})
    assert _is_sleeping(operated)


def _is_sleeping(portal: Portal) -> bool:
    commands = processes_of(portal.autosubmit.home).values()
    return all(any(part in command for command in commands) for part in ("autosubmit run", "sleep 600"))


def test_a_second_one_in_the_same_home_is_refused(made: Portal, supervise: Supervise) -> None:
    portal = supervise()
    assert f"runs already in {made.home} (process {portal.pid})" in _refusal(made, f"--port={free_port()}")


def test_a_port_that_is_taken_is_refused(made: Portal, supervise: Supervise, tmp_path: Path) -> None:
    supervise()
    (tmp_path / "static").symlink_to(made.home / "static")
    database = f"sqlite:///{made.home / 'portal.sqlite3'}"
    said = _refusal(made, f"--port={made.port}", PORTAL_HOME=str(tmp_path), PORTAL_DATABASE_URL=database)
    assert f"Cannot listen on port {made.port}" in said
    assert "--port (make up PORT=…)" in said


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
