"""Real stores: one experiment that ran and failed here, and those of other versions beside the repository."""

from pathlib import Path

import pytest

from autosubmit_portal.management.demo import AutosubmitFailed
from tests.conftest import MakeExperiment
from tests.support.services import ForkedAutosubmit

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
OLD_STORES = ("real-store", "store-4.2")


def shared_files(pattern: str) -> list[Path]:
    """Return the files of all stores beside the repository; skip the test where there are none."""
    found = [path for name in OLD_STORES for path in sorted((SHARED / name).glob(pattern))]
    if not found:
        pytest.skip("the stores of other versions are not beside the repository")
    return found


@pytest.fixture(scope="session")
def root(autosubmit_home: Path) -> Path:
    """The folder of the experiments of the real Autosubmit."""
    return autosubmit_home / "autosubmit"


@pytest.fixture(scope="session")
def failed(make_experiment: MakeExperiment, autosubmit: Path, autosubmit_home: Path) -> str:
    """An experiment that ran: SETUP and SIDE ended well, BAD failed, AFTER waits for it."""
    expid = make_experiment("failing")
    with pytest.raises(AutosubmitFailed, match="exit 1"):
        ForkedAutosubmit(autosubmit, autosubmit_home).call("run", expid)
    return expid
