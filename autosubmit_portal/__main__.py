"""The command line: `autosubmit-portal` where the wheel is installed, `manage.py` in a checkout."""

import os
import sys

from django.core.management import execute_from_command_line

from autosubmit_portal import __version__

STOPPED_BY_CTRL_C = 130


def main() -> None:
    """Run one command of Django or of the portal; `help` lists them."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "autosubmit_portal.settings")
    if sys.argv[1:] == ["--version"]:  # Django would tell its own
        print(__version__)
        return
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(STOPPED_BY_CTRL_C)


if __name__ == "__main__":
    main()
