"""Which workers live: one row for each `manage.py qcluster`, kept by itself."""

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now

# A worker says every BEAT_SECONDS that it lives. Three beats may be missed: its guard may wait for a busy database.
BEAT_SECONDS = 10.0
SILENCE = timedelta(seconds=35)


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Workers. Times are those of the database, so that the clocks of hosts may differ."""

    def alive(self) -> "WorkerQuerySet":
        """Those that take tasks: heard of lately, and not being stopped."""
        return self.filter(seen_at__gt=Now() - SILENCE, is_stopping=False)


class Worker(models.Model):
    """A worker as it last told of itself. One that ended in peace has no row; one that was killed falls silent.

    `seal` is the same for all who can read each other's messages. `free_bytes` is the room on the disk that holds
    the run directories, as the worker sees it; null when it cannot tell.
    """

    cluster_id = models.UUIDField(primary_key=True)
    queue = models.CharField(max_length=100)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    processes = models.PositiveSmallIntegerField(help_text="How many tasks it works on at once.")
    seal = models.CharField(max_length=64)
    is_stopping = models.BooleanField(default=False)
    free_bytes = models.BigIntegerField(null=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    objects = WorkerQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.queue} on {self.host}"
