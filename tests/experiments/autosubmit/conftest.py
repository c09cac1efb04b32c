"""The real Autosubmit on the command line, and experiments of every kind that the tests of this folder share."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from experiments.autosubmit.environment import make_environment
from experiments.autosubmit.liveness import check_liveness, read_locks
from experiments.autosubmit.output import Outcome
from experiments.autosubmit.store import Store, locate
from tests.conftest import MakeExperiment
from tests.support.kinds import outcome_of
from tests.support.waiting import PATIENCE, wait_for

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"

Start = Callable[..., "subprocess.Popen[str]"]
Call = Callable[..., Outcome]


def shared_store(name: str) -> Store:
    """Return one of the stores that are kept beside the repository; skip the test where they are not."""
    root = SHARED / name
    if not root.exists():
        pytest.skip(f"the store {name} is not beside the repository")
    return Store(root, root / "autosubmit.db", root / "metadata" / "structures", root / "metadata" / "data")


@pytest.fixture(scope="session")
def store(autosubmit_home: Path) -> Store:
    """The store of the real Autosubmit."""
    return locate(autosubmit_home)


@pytest.fixture(scope="session")
def start(autosubmit: Path, autosubmit_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start one command as the portal does: in a session of its own, with its output in `log`."""

    def start_one(*arguments: str, log: Path) -> "subprocess.Popen[str]":
        with log.open("w") as output:
            return subprocess.Popen(
                [str(autosubmit), *arguments],
                env=make_environment(autosubmit, autosubmit_home, settings.CACHES_DIRECTORY),
                cwd=tmp_path_factory.mktemp("empty"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )

    return start_one


@pytest.fixture(scope="session")
def call(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """Run one command to its end and read its outcome."""

    def call_one(*arguments: str) -> Outcome:
        log = tmp_path_factory.mktemp("output") / "log"
        status = start(*arguments, log=log).wait(PATIENCE)
        return outcome_of(arguments[0], status, log.read_text())

    return call_one


@pytest.fixture(scope="session")
def small(make_experiment: MakeExperiment) -> str:
    """An experiment with a job list that was never run."""
    return make_experiment("small")


@pytest.fixture(scope="session")
def failing(make_experiment: MakeExperiment) -> str:
    """An experiment with a job that fails, not run yet."""
    return make_experiment("failing")


@pytest.fixture(scope="session")
def waiting(make_experiment: MakeExperiment) -> str:
    """An experiment without a job list."""
    return make_experiment("waiting")


@pytest.fixture(scope="session")
def long_experiment(make_experiment: MakeExperiment) -> str:
    """An experiment whose first job sleeps; it belongs to the fixtures that run it."""
    return make_experiment("long")


@pytest.fixture
def long_run(start: Start, store: Store, long_experiment: str, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A run that holds its lock and goes on until the test ends it."""
    run = start("run", long_experiment, log=tmp_path / "run.log")
    wait_for(lambda: check_liveness(store.lock_file(long_experiment), read_locks()).is_running)
    yield run
    run.kill()
    run.wait()
