"""The heartbeat of a worker: its guard reports twice a second; a row is written every ten seconds."""

import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac
from django_q.conf import Conf

from autosubmit_portal.workers import shutdown_flag
from autosubmit_portal.workers.models import BEAT_SECONDS, Worker

# Rows of killed workers are deleted after this time.
FORGET_AFTER = timedelta(days=1)


class Heartbeat:
    """Decides which reports of a guard are written."""

    def __init__(self) -> None:
        self.is_stopping = False
        self.due = 0.0

    def take(self, stat: Any) -> None:
        """Take a `django_q.status.Stat` of the cluster whose guard runs in this process; write it when it is time.

        Errors of the database go to the caller, which logs them. The next try comes with the next beat.
        """
        if stat.status == Conf.STOPPED:
            Worker.objects.filter(pk=stat.cluster_id).delete()
            return
        is_stopping = stat.status == Conf.STOPPING
        if is_stopping:
            shutdown_flag.ask()
        if time.monotonic() < self.due and is_stopping == self.is_stopping:
            return
        self.due, self.is_stopping = time.monotonic() + BEAT_SECONDS, is_stopping
        close_old_connections()  # a server that was restarted meanwhile has forgotten ours
        _write(stat, is_stopping=is_stopping)


def make_seal() -> str:
    """Return a digest of the key and the broker: equal for processes that can read each other's messages."""
    return salted_hmac("autosubmit_portal.workers", get_broker_name(), algorithm="sha256").hexdigest()


def get_broker_name() -> str:
    """Return where messages wait: `database` or `redis`."""
    return "redis" if Conf.REDIS else "database"


def get_free_bytes(folder: Path) -> int | None:
    """Return the free bytes on the disk of `folder`, which need not exist yet; None if unknown."""
    existing = next((path for path in (folder, *folder.parents) if path.exists()), None)
    try:
        return shutil.disk_usage(existing).free if existing else None
    except OSError:
        return None


def _write(stat: Any, *, is_stopping: bool) -> None:
    values = {
        "processes": len(stat.workers),
        "is_stopping": is_stopping,
        "free_bytes": get_free_bytes(Path(settings.SPOOL_DIRECTORY)),
        "seen_at": Now(),
    }
    if Worker.objects.filter(pk=stat.cluster_id).update(**values):
        return
    Worker.objects.filter(seen_at__lt=Now() - FORGET_AFTER).delete()
    Worker.objects.create(
        cluster_id=stat.cluster_id,
        queue=Conf.CLUSTER_NAME,
        host=stat.host,
        pid=stat.pid,
        seal=make_seal(),
        started_at=Now(),
        **values,
    )
