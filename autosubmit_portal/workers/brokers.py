"""Messages to workers wait in the database: django-q2's own broker. Its statistics become the heartbeat of workers.

django-q2 keeps the status of a cluster in the cache (`django_q.brokers.Broker.set_stat`); other processes cannot see it
in Django's default cache.
"""

from collections.abc import Sequence

from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from autosubmit_portal.workers.heartbeat import Heartbeat

_heartbeat = Heartbeat()


class HeartbeatStatistics:
    """Statistics of a broker: the status of a cluster goes to its heartbeat; nobody reads it from the broker."""

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Take the signed status of the cluster of this process."""
        _heartbeat.take(SignedPackage.loads(value))

    def get_stat(self, key: str) -> None:
        """Return nothing: see the rows of Worker."""

    def get_stats(self, pattern: str) -> list[str]:
        """Return nothing: see the rows of Worker."""
        return []


class DatabaseBroker(HeartbeatStatistics, ORM):
    """Messages are rows, committed or rolled back with the action that they are about."""

    def enqueue_all(self, packages: Sequence[str]) -> None:
        """Send many messages with one statement."""
        now = timezone.now()
        self.get_connection().bulk_create(OrmQ(key=self.list_key, payload=one, lock=now) for one in packages)
