"""The tools that `make` starts: each starts by itself, without the settings that pytest has at hand."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("tool", ["tests.tools.bench", "tests.tools.chaos"])
def test_tool_starts_without_django_being_set_up(tool: str) -> None:
    environ = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-m", tool, "--help"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
