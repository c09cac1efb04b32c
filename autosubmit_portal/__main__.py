"""The command line: `autosubmit-portal` where the wheel is installed, `manage.py` in a checkout."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import execute_from_command_line

from autosubmit_portal import __version__

STOPPED_BY_CTRL_C = 130
# As a shell tells of a program that SIGPIPE ended.
LEFT_BY_READER = 141


def main() -> None:
    """Run one command of Django or of the portal; `help` lists them."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autosubmit_portal.settings")
    try:
        with _end_when_reader_leaves():
            _run(sys.argv)
    except KeyboardInterrupt:
        sys.exit(STOPPED_BY_CTRL_C)


def _run(arguments: list[str]) -> None:
    if arguments[1:] == ["--version"]:  # Django would tell its own
        print(__version__)
    else:
        execute_from_command_line(arguments)


@contextmanager
def _end_when_reader_leaves() -> Iterator[None]:
    """End without a traceback when nobody reads the output any more, as after `| head -1`."""
    try:
        try:
            yield
        finally:
            print(end="", flush=True)
    except BrokenPipeError:
        if not _has_reader_left():  # it was another connection
            raise
        # Python writes the rest of the output at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(LEFT_BY_READER)


def _has_reader_left() -> bool:
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return bool(output.poll(0))


if __name__ == "__main__":
    main()
