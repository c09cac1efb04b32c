"""What the bench reads of processes."""

import os
import sys

import pytest

from tests.tools.bench.memory import family, held, run_watched

ALLOCATE = "import time; held = bytearray(200_000_000); time.sleep(0.5)"


def test_a_process_holds_memory_itself() -> None:
    assert 10 < held(os.getpid())[0] <= held(os.getpid(), "VmHWM")[0] < 10_000
    assert family(os.getpid())[0] == os.getpid()


def test_the_most_that_a_command_held_is_seen_with_that_of_its_children() -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ALLOCATE!r}])"
    _, megabytes = run_watched([sys.executable, "-c", child], dict(os.environ))
    assert 200 < megabytes < 300


def test_a_command_that_fails_is_told_with_its_output() -> None:
    with pytest.raises(AssertionError, match="no such thing"):
        run_watched([sys.executable, "-c", "raise SystemExit('no such thing')"], dict(os.environ))
