"""The commands of a page of the documentation, executed as somebody would who follows it.

A block of them has its name after the word `sh`. What is not of this machine is replaced by programs of the same names:
`systemctl` does what the test says, `as-portal` changes no account, `bin/pip` installs nothing: the product is there.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from tests.support.postgres import binaries

_PROGRAMS = {
    "bin/autosubmit-portal": f'exec {sys.executable} -m autosubmit_portal "$@"',
    "bin/pip": 'echo "pip $*" >>commands',
    "as-portal": 'exec "$@"',
    "systemctl": 'echo "systemctl $*" >>commands',
}


def read_block(page: str, name: str) -> str:
    """Return the commands that have a name in a page."""
    text = (settings.BASE_DIR / "docs" / page).read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```sh {re.escape(name)}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return str(block)


def execute_block(page: str, name: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Execute the commands of a block in a folder and return what they print; CalledProcessError at the first error."""
    for program, text in _PROGRAMS.items():
        file = folder / program
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    path = f"{folder}:{binaries()}:{os.environ['PATH']}"
    variables = {**environment, "PATH": path, "PYTHONPATH": str(settings.BASE_DIR)}
    command = ["bash", "-euo", "pipefail", "-c", read_block(page, name)]
    return subprocess.run(command, cwd=folder, env=variables, check=True, stdout=subprocess.PIPE, text=True).stdout
