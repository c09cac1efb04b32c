"""Messages to workers wait in the database: django-q2's own broker, whose statistics feed the pulse of the workers.

django-q2 keeps the status of a cluster in the cache, where with the default cache no other process sees it.
"""

from django_q.brokers.orm import ORM
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
