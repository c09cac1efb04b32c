"""A cluster of django-q2 that can be stopped from its first moment on."""

from typing import Any

from django_q import cluster


class Cluster(cluster.Cluster):
    """Keeps in mind that it was asked to stop while it started.

    Django-q2 forgets a SIGTERM that comes before its guard is there, and waits for ever for a guard that waits for a
    lock that it holds itself if the signal comes while it looks whether the guard is ready.
    """

    def __init__(self, *args: Any) -> None:
        self._has_started = self._is_asked_to_stop = False
        super().__init__(*args)

    def start(self) -> int:
        """Start all processes, and stop them at once when somebody has asked for that meanwhile."""
        pid: int = super().start()
        self._has_started = True
        if self._is_asked_to_stop:
            self.stop()
        return pid

    def sig_handler(self, signum: int, frame: Any) -> None:
        """Stop, once it has started."""
        if self._has_started:
            self.stop()
        else:
            self._is_asked_to_stop = True


def install() -> None:
    """Have the command `qcluster` start these."""
    vars(cluster).update(Cluster=Cluster)
