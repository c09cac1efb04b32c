"""Messages to workers wait in the database: django-q2's own broker, whose statistics feed the pulse of the workers.

django-q2 keeps the status of a cluster in the cache, where with the default cache no other process sees it.
"""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django_q.brokers import get_broker
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from autosubmit_portal.workers.heartbeat import Pulse

_pulse = Pulse()


class Felt:
    """Hands what a guard says of its cluster to the pulse; nobody asks a broker for it."""

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Take the signed status of the cluster of this process."""
        _pulse.feel(SignedPackage.loads(value))

    def get_stat(self, key: str) -> None:
        """Know nothing: the rows of Worker do."""

    def get_stats(self, pattern: str) -> list[str]:
        """Know nothing: the rows of Worker do."""
        return []


class DatabaseBroker(Felt, ORM):
    """Messages are rows, committed or rolled back with what they tell of; workers look for them."""

    def enqueue_all(self, packages: Sequence[str]) -> None:
        """Send many messages at once."""
        now = timezone.now()
        self.get_connection().bulk_create(OrmQ(key=self.list_key, payload=one, lock=now) for one in packages)


class Messages:
    """Messages to a queue that are sent at once: django-q2's `async_task` takes this for a broker."""

    def __init__(self, queue_name: str) -> None:
        self.list_key = queue_name
        self._packages: list[str] = []

    def enqueue(self, package: str) -> None:
        """Take a message."""
        self._packages.append(package)

    def send(self) -> None:
        """Send what was taken; raises whatever the broker does."""
        if self._packages:
            broker: Any = get_broker(self.list_key)
            broker.enqueue_all(self._packages)
