"""A worker that is asked to stop while it starts, as a real process."""

import subprocess
import sys
from pathlib import Path

import pytest

from autosubmit_portal.management.demo import Autosubmit
from tests.support.services import Portal
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.system

# The signal comes when the guard of the cluster is made and not yet there.
ASKED_TOO_EARLY = """
import os, signal
from multiprocessing.context import ForkProcess
import django
from django.core.management import call_command

django.setup()
start = ForkProcess.start

def start_when_asked_to_stop(process):
    ForkProcess.start = start
    os.kill(os.getpid(), signal.SIGTERM)
    process.start()

ForkProcess.start = start_when_asked_to_stop
call_command("qcluster")
"""


def test_a_worker_that_is_asked_to_stop_while_it_starts_ends(tmp_path: Path) -> None:
    portal = Portal(home=tmp_path, autosubmit=Autosubmit(Path("/nowhere"), tmp_path / "autosubmit-home"))
    portal.make_tables()
    try:
        done = subprocess.run(
            [sys.executable, "-c", ASKED_TOO_EARLY], env=portal.environment, check=False, timeout=PATIENCE
        )
    finally:
        portal.tear_down()
    assert done.returncode == 0
