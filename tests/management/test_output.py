"""Any command whose output somebody stops reading."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["help"], {}),
        (["help"], {"PYTHONUNBUFFERED": "1"}),
        (["--version"], {}),
        (["diffsettings"], {"PYTHONUNBUFFERED": "1"}),
    ],
    ids=["at its end", "while it writes", "the version", "a command of Django"],
)
def test_a_command_ends_without_a_traceback_when_its_reader_leaves(
    arguments: list[str], environment: dict[str, str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "autosubmit_portal", *arguments],
            env=os.environ | environment,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert (ended.stderr, ended.returncode) == ("", 141)


def test_a_connection_that_breaks_elsewhere_is_told() -> None:
    script = (
        "from autosubmit_portal import __main__ as program\n"
        "with program._end_when_reader_leaves():\n"
        "    raise BrokenPipeError('of Redis')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.stderr.splitlines()[-1], ended.returncode) == ("BrokenPipeError: of Redis", 1)
