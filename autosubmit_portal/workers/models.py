"""The living workers: each `manage.py qcluster` keeps one row."""

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now

# A worker reports every BEAT_SECONDS. Three reports may be missed: its guard may wait for a busy database.
BEAT_SECONDS = 10.0
SILENCE = timedelta(seconds=35)


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Workers. Times are from the database, because the clocks of hosts may differ."""

    def alive(self) -> "WorkerQuerySet":
        """Return the workers that take tasks: they reported lately and are not being stopped."""
        return self.filter(seen_at__gt=Now() - SILENCE, is_stopping=False)


class Worker(models.Model):
    """The last report of a worker. A worker that ended normally has no row; a killed one stops reporting.

    `seal` is equal for all that can read each other's messages. `free_bytes` is the room for run directories on the
    worker's disk; null if unknown.
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
