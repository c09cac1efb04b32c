"""A cluster of django-q2 that can be stopped from its first moment on."""

from typing import Any

from django_q import cluster


class Cluster(cluster.Cluster):
    """Remembers a request to stop that comes while it starts.

    Django-q2 forgets a SIGTERM that comes before its guard process exists. If the signal comes while it checks whether
    the guard is ready, it holds a lock that the guard waits for, and waits for the guard: a deadlock like that of
    https://github.com/django-q2/django-q2/issues/346.
    """

    def __init__(self, *args: Any) -> None:
        self._has_started = self._is_asked_to_stop = False
        super().__init__(*args)

    def start(self) -> int:
        """Start all processes; stop them at once if that was requested meanwhile."""
        pid: int = super().start()
        self._has_started = True
        if self._is_asked_to_stop:
            self.stop()
        return pid

    def sig_handler(self, signum: int, frame: Any) -> None:
        """Stop, or note to stop after the start."""
        if self._has_started:
            self.stop()
        else:
            self._is_asked_to_stop = True


def install() -> None:
    """Make the command `qcluster` start this class."""
    vars(cluster).update(Cluster=Cluster)
