"""`manage.py bootstrap`: what a new portal needs besides its tables; a repeat changes nothing."""

import os
import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from autosubmit_portal.access import api_tokens
from autosubmit_portal.audit.origin import get_current_origin
from autosubmit_portal.management.autosubmit_environment import get_program
from autosubmit_portal.management.demo import Autosubmit, AutosubmitFailed, make_demo
from experiments.autosubmit.store import BrokenStore, locate, read_experiments
from experiments.models import Site


class Command(BaseCommand):
    """Sets up the local site with its Autosubmit home, two demo experiments, and the first account."""

    help = "Set up a site, demo experiments and the first account where there are none yet."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --autosubmit and --store."""
        parser.add_argument(
            "--autosubmit",
            type=Path,
            default=get_program(settings.PORTAL_HOME / "autosubmit-env"),
            help="the autosubmit program (default: the one under PORTAL_HOME)",
        )
        parser.add_argument(
            "--store",
            type=Path,
            help="an existing Autosubmit home (it holds .autosubmitrc) to serve instead of making a demo",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do each part that is missing."""
        self.is_changed = False
        store: Path | None = options["store"]
        home = store.expanduser().resolve() if store else settings.PORTAL_HOME / "autosubmit-home"
        autosubmit = Autosubmit(program=_require_program(options["autosubmit"]), home=home)
        if store:
            require_store(home)
            self._require_only_store(home)
            self._make_site(autosubmit)
        elif _is_ours(home):
            self._make_home(autosubmit)
            self._make_site(autosubmit)
            self._make_experiments(autosubmit)
        self._make_account()
        if not self.is_changed:
            self.stdout.write("Everything is set up already; nothing was changed.")

    def _report(self, text: str) -> None:
        self.is_changed = True
        self.stdout.write(text)
        self.stdout.flush()

    def _require_only_store(self, home: Path) -> None:
        other = Site.objects.get_default()
        if other and not Site.objects.filter(home=str(home)).exists():
            raise CommandError(
                f"This portal serves {other.home} already. Give {home} a portal of its own "
                "(PORTAL_HOME=…, or make up HOME_DIR=…), or add it as a site in the console."
            )

    def _make_home(self, autosubmit: Autosubmit) -> None:
        try:
            if autosubmit.prepare():
                self._report(f"Autosubmit is configured in {autosubmit.home}.")
        except AutosubmitFailed as error:
            raise CommandError(f"Autosubmit could not be configured: {error}") from error

    def _make_site(self, autosubmit: Autosubmit) -> None:
        if Site.objects.exists():
            return
        Site.objects.create(
            slug="local", name="Local", autosubmit=str(autosubmit.program), home=str(autosubmit.home), is_default=True
        )
        self._report(f"The site “local” serves {autosubmit.home}.")

    def _make_experiments(self, autosubmit: Autosubmit) -> None:
        try:
            if read_experiments(locate(autosubmit.home)):
                return
            self.stdout.write("Making two small experiments and running one of them; this takes half a minute …")
            self.stdout.flush()
            self._report(f"The experiments {' and '.join(make_demo(autosubmit))} are there.")
        except (AutosubmitFailed, BrokenStore) as error:
            raise CommandError(f"The demo experiments could not be made: {error}") from error

    def _make_account(self) -> None:
        if User.objects.filter(is_superuser=True).exists():
            return
        file: Path = settings.PORTAL_HOME / "credentials"
        password = secrets.token_urlsafe(12)
        with transaction.atomic():
            user = User.objects.create_superuser("admin", password=password)
            wanted = api_tokens.TokenRequest(name="bootstrap", days=settings.TOKEN_DAYS)
            _, token = api_tokens.make_token(user, wanted, origin=get_current_origin())
            _write_private(file, f"username=admin\npassword={password}\ntoken={token}\n")
        self._report(f"The account “admin” has the password {password}; it and an API token are in {file}.")


def require_store(home: Path) -> None:
    """Raise CommandError for a folder that is no Autosubmit home."""
    try:
        locate(home)
    except BrokenStore as error:
        raise CommandError(
            f"The store {home} cannot be served: {error} Give the folder that was HOME when `autosubmit configure` "
            "was run, or leave the store out to get a demo."
        ) from error


def _require_program(path: Path) -> Path:
    """Return the program as an absolute path that still goes through its environment's folder."""
    program = Path(os.path.abspath(path.expanduser()))
    if os.access(program, os.X_OK) and program.is_file():
        return program
    raise CommandError(
        f"There is no Autosubmit program {program}. Name one (--autosubmit), or leave it to "
        f"`{settings.COMMAND_LINE} up`, which installs it."
    )


def _is_ours(home: Path) -> bool:
    """Return whether the demo belongs here: not to a portal that serves other stores."""
    return not Site.objects.exists() or Site.objects.filter(home=str(home)).exists()


def _write_private(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)
