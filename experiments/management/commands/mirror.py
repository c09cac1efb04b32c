"""`manage.py mirror`: keeps the mirror of each site fresh."""

import logging
import signal
import threading
import time
from argparse import ArgumentParser
from math import inf
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, close_old_connections, connections

from experiments import hosts
from experiments.actions.queue import ring
from experiments.actions.supervise import schedule_supervision
from experiments.mirror.site_mirror import SiteMirror
from experiments.mirror.standing import Standing, read_standings
from experiments.models import Site

logger = logging.getLogger(__name__)
AFTER_TROUBLE_SECONDS = 5.0
WHILE_WAITING_SECONDS = 0.5
# The rest between two passes, as a share of the pause, however long they take.
LEAST_REST = 0.5
# How soon a change of a site, of its hosts or of what is done to experiments is seen.
STANDING_SECONDS = 1.0


class Command(BaseCommand):
    """Looks at the store of each site every `refresh_seconds`, unless another process does; --once makes one pass."""

    requires_system_checks = ("portal",)
    help = "Keep the mirror of the Autosubmit stores fresh."

    def __init__(self, *args: Any, **options: Any) -> None:
        """Prepare to mirror sites that are not known yet."""
        super().__init__(*args, **options)
        self.is_patient = True
        self.mirrors: dict[int, SiteMirror] = {}
        self.supervised: set[str] = set()
        self.standings: list[Standing] = []
        self.read_at = -inf

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --once and --site."""
        parser.add_argument(
            "--once", action="store_true", help="make a single pass and end; fails if another process mirrors"
        )
        parser.add_argument("--site", help="slug of the only site to mirror (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Mirror until SIGTERM or SIGINT."""
        stop = threading.Event()
        self.is_patient = not options["once"]
        try:
            if options["once"]:
                self._look_once(options["site"])
                return
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            while not stop.is_set():
                stop.wait(self._pass_carefully(options["site"]))
        finally:
            self._release()

    def _look_once(self, slug: str | None) -> None:
        """Make a single pass; complain of sites that another process mirrors."""
        for standing in self._read_standings(slug):
            hosts.await_hosts(standing.hosts)  # they may only just be coming; the pass says why they do not
            self._await_lease(standing.site)
            self._look(standing)

    def _await_lease(self, site: Site) -> None:
        """Wait for the lease of a mirror that may be dead; one that renews it lives, and does the work itself."""
        lease, seen = self._get_mirror(site).lease, site.mirror_expires_at
        while not lease.take():
            site.refresh_from_db()
            if site.mirrored_by and seen and site.mirror_expires_at and site.mirror_expires_at > seen:
                raise CommandError(
                    f"Site {site} is mirrored by {site.mirror_holder} already, so nothing was done. "
                    "Stop that mirror first if you want to look yourself."
                )
            seen = seen or site.mirror_expires_at
            time.sleep(WHILE_WAITING_SECONDS)

    def _release(self) -> None:
        """Let others mirror at once. Where the database is away the leases end by themselves."""
        try:
            for mirror in self.mirrors.values():
                mirror.lease.release()
        except Error:
            logger.exception("The leases could not be given back")

    def _pass_carefully(self, slug: str | None) -> float:
        """Make a pass and return how long to wait; a database that is away comes back."""
        try:
            close_old_connections()
            return self._make_pass(slug)
        except Error:
            logger.exception("The database cannot be used")
            connections.close_all()
            return AFTER_TROUBLE_SECONDS

    def _make_pass(self, slug: str | None) -> float:
        if time.monotonic() - self.read_at > STANDING_SECONDS:
            self.standings, self.read_at = self._read_standings(slug), time.monotonic()
        return min(map(self._look, self.standings), default=AFTER_TROUBLE_SECONDS)

    def _read_standings(self, slug: str | None) -> list[Standing]:
        standings = read_standings(slug=slug) if slug else read_standings()
        if slug and not standings:
            raise CommandError(f"There is no site “{slug}”.")
        return standings

    def _get_mirror(self, site: Site) -> SiteMirror:
        if site.pk not in self.mirrors:
            self.mirrors[site.pk] = SiteMirror(site.pk, is_patient=self.is_patient)
        return self.mirrors[site.pk]

    def _look(self, standing: Standing) -> float:
        """Make a pass over a site and return how long to wait for the next: a long one is followed by a long rest.

        While something waits to be written there is none.
        """
        began, site = time.monotonic(), standing.site
        if site.queue not in self.supervised:  # a site may change its queue meanwhile
            schedule_supervision(site)
            self.supervised.add(site.queue)
        mirror = self._get_mirror(site)
        if mirror.away_since:
            hosts.keep_gateway()
        silence = mirror.silence
        if mirror.look(standing) or mirror.silence != silence:
            # A run has ended, or its host is gone or back: its action tells so now and not within the minute.
            ring(site)
        if mirror.is_behind:
            return 0.0
        took, pause = time.monotonic() - began, mirror.get_pause(site)
        return max(pause - took, pause * LEAST_REST)
