"""Messages to workers wait in Redis. In a module of its own, because the client takes long to import."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import redis
from django.conf import settings
from django_q.brokers.redis_broker import Redis  # type: ignore[attr-defined] # it has the name from elsewhere, too
from redis.backoff import NoBackoff
from redis.retry import Retry

from autosubmit_portal.workers.brokers import HeartbeatStatistics

# The client of `django_q.brokers.redis_broker.Redis.get_connection` has no time limits: a request must not hang because
# Redis does. A worker waits one second for a message (`Redis.dequeue`): that is no failure.
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0


class RedisBroker(HeartbeatStatistics, Redis):
    """Messages are in Redis: workers wait for them instead of polling."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        """Return the client of this process."""
        return _connect(settings.Q_CLUSTER["redis"])

    def enqueue_all(self: Any, packages: Sequence[str]) -> None:
        """Send many messages with one command."""
        self.connection.rpush(self.list_key, *packages)


@cache
def _connect(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1),  # a connection that Redis closed while it was idle
    )
