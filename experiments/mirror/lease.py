"""The lease of the mirror: one process at a time mirrors a site; another takes over when it dies or hangs.

The row of the site has the lease: its holder, a token that no other process has, and its end by the clock of the
database, which is the same for all hosts.
"""

import os
import secrets
import socket
import time
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from experiments.models import Site

LEASE_SECONDS = 15.0
"""How long a mirror that died keeps the others waiting."""

RENEW_SECONDS = 5.0


class LostLease(Exception):
    """Another process mirrors the site now: what this one has read must not be written."""


class Lease:
    """The claim of this process to mirror one site."""

    def __init__(self, site_id: int) -> None:
        self.site_id = site_id
        self.token = secrets.token_hex(16)
        self._renewed: float | None = None

    def take(self) -> bool:
        """Take the lease if it is free or has ended, or renew ours when it is time; return whether it is ours."""
        if self._is_sure():
            return True
        is_free = Q(mirror_token="") | Q(mirror_expires_at__lt=Now())
        return self._claim(Q(mirror_token=self.token) | is_free)

    def hold(self) -> None:
        """Renew the lease when it is time; raise LostLease if it is not ours any more. Mostly costs nothing."""
        if not self._is_sure() and not self._claim(Q(mirror_token=self.token)):
            raise LostLease

    def guard(self) -> None:
        """Raise LostLease unless the lease is ours; in a transaction, it ensures that only the holder writes."""
        if not Site.objects.filter(pk=self.site_id, mirror_token=self.token).exists():
            self._renewed = None
            raise LostLease

    def release(self) -> None:
        """Let go of the lease, if it is ours, so that another takes over at once."""
        self._renewed = None
        Site.objects.filter(pk=self.site_id, mirror_token=self.token).update(
            mirror_token="", mirror_holder="", mirror_expires_at=None
        )

    def _is_sure(self) -> bool:
        """Return whether it was renewed so recently that nobody can have taken it."""
        return self._renewed is not None and time.monotonic() - self._renewed < RENEW_SECONDS

    def _claim(self, condition: Q) -> bool:
        """Claim it with one conditional update: of several processes that try, one succeeds."""
        asked = time.monotonic()
        claimed = Site.objects.filter(condition, pk=self.site_id).update(
            mirror_token=self.token,
            mirror_holder=get_holder(),
            mirror_expires_at=Now() + timedelta(seconds=LEASE_SECONDS),
        )
        self._renewed = asked if claimed else None
        return bool(claimed)


def get_holder() -> str:
    """Return the name of this process for people: host and process number."""
    return f"{socket.gethostname()}:{os.getpid()}"
