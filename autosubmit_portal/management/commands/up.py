"""`manage.py up`: a portal from nothing, on one machine, until Ctrl-C; `make up` is this in a checkout."""

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from autosubmit_portal.management import autosubmit_environment
from autosubmit_portal.management.commands.bootstrap import require_store


class Command(BaseCommand):
    """Makes what is missing of Autosubmit, tables, static files, site and account, and runs the portal."""

    help = "Set up what is missing, then run the whole portal until Ctrl-C. Experiments that run go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what `bootstrap` and `portal` are given."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
        parser.add_argument("--store", type=Path, help="an Autosubmit home to serve instead of making a demo")
        parser.add_argument(
            "--autosubmit", type=Path, help="the autosubmit program (default: one is installed under PORTAL_HOME)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check what is needed before anything takes long; then make each part and run."""
        _require_git()
        if options["store"]:
            require_store(options["store"].expanduser().resolve())
        program = options["autosubmit"] or _install_autosubmit()
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        call_command("bootstrap", autosubmit=program, store=options["store"])
        call_command("portal", host=options["host"], port=options["port"])


def _require_git() -> None:
    if not shutil.which("git"):
        raise CommandError("git is missing, and Autosubmit needs it. Install it (Debian, Ubuntu: apt-get install git).")


def _install_autosubmit() -> Path:
    folder: Path = settings.PORTAL_HOME / "autosubmit-env"
    try:
        autosubmit_environment.install(folder, umask=settings.COMMANDS_UMASK)
    except autosubmit_environment.NotInstalled as error:
        raise CommandError(str(error)) from error
    return autosubmit_environment.get_program(folder)
