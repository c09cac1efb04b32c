"""The command lines: each starts by itself, and messages call it by the name that it has where the portal runs."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings


@pytest.mark.parametrize("tool", ["tests.tools.bench", "tests.tools.chaos", "tests.tools.trace"])
def test_tool_starts_without_django_being_set_up(tool: str) -> None:
    environ = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-m", tool, "--help"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def texts_in(source: str) -> Iterator[str]:
    """Give the texts of a program but its docstrings, which are for who reads it."""
    for node in ast.walk(ast.parse(source)):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Constant) and isinstance(child.value, str) and not isinstance(node, ast.Expr):
                yield child.value


def test_no_message_says_manage_py_which_an_installed_portal_has_not() -> None:
    base: Path = settings.BASE_DIR
    programs = [file for room in ("autosubmit_portal", "experiments", "jobs") for file in (base / room).rglob("*.py")]
    shown = [(file, text) for file in programs for text in texts_in(file.read_text())]
    shown += [(file, file.read_text()) for file in (base / "templates").rglob("*.html")]
    assert [(file, text) for file, text in shown if re.search(r"manage\.py \w", text)] == []
