"""The scripts of the pages, as they are, under the test runner of Node: each `*.test.js` here."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
DEBIAN_MODULES = "/usr/share/nodejs"


@pytest.mark.node
def test_the_scripts_of_the_pages_pass_their_own_tests() -> None:
    node = shutil.which("node")
    assert node, "No Node: install it (Debian: apt-get install nodejs node-jsdom)."
    modules = os.pathsep.join(filter(None, [os.environ.get("NODE_PATH"), DEBIAN_MODULES]))
    done = subprocess.run(
        [node, "--test", *map(str, sorted(FOLDER.glob("*.test.js")))],
        env=os.environ | {"NODE_PATH": modules},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
