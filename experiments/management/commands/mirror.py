"""`manage.py mirror`: keeps the mirror of each site fresh."""

import logging
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, close_old_connections, connections

from experiments.actions.queue import ring
from experiments.actions.supervise import schedule_supervision
from experiments.models import Site
from experiments.site_mirror import SiteMirror

logger = logging.getLogger(__name__)
AFTER_TROUBLE_SECONDS = 5.0


class Command(BaseCommand):
    """Looks at the store of each site every `refresh_seconds`; with --once makes a single pass and ends."""

    help = "Keep the mirror of the Autosubmit stores fresh."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --once and --site."""
        parser.add_argument("--once", action="store_true", help="make a single pass and end")
        parser.add_argument("--site", help="slug of the only site to mirror (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Mirror until SIGTERM or SIGINT."""
        self.mirrors: dict[int, SiteMirror] = {}
        self.supervised: set[str] = set()
        stop = threading.Event()
        self.is_patient = not options["once"]
        if options["once"]:
            self._pass(options["site"])
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            stop.wait(self._careful_pass(options["site"]))

    def _careful_pass(self, slug: str | None) -> float:
        """Make a pass and return how long to wait; a database that is away comes back."""
        try:
            close_old_connections()
            return self._pass(slug)
        except Error:
            logger.exception("The database cannot be used")
            connections.close_all()
            return AFTER_TROUBLE_SECONDS

    def _pass(self, slug: str | None) -> float:
        sites = Site.objects.filter(slug=slug) if slug else Site.objects.all()
        waits = [self._look(site) for site in sites]
        if slug and not waits:
            raise CommandError(f"There is no site “{slug}”.")
        return min(waits, default=AFTER_TROUBLE_SECONDS)

    def _look(self, site: Site) -> float:
        if site.pk not in self.mirrors:
            self.mirrors[site.pk] = SiteMirror(site.pk, is_patient=self.is_patient)
        if site.queue not in self.supervised:  # a site may change its queue meanwhile
            schedule_supervision(site)
            self.supervised.add(site.queue)
        if self.mirrors[site.pk].look():
            ring(site)  # a run that ended: its action ends now and not within the minute
        return float(site.refresh_seconds)
