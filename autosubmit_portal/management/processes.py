"""The processes of a portal as children of one supervisor, each in a process group of its own.

A signal from the terminal reaches only the supervisor. Commands of actions have sessions of their own: nothing here
signals them, so runs go on when the portal ends. When the supervisor is killed, its children get SIGTERM.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

from django.conf import settings

from autosubmit_portal.workers.parent_death import signal_on_parent_death

LONGEST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 60.0  # whoever lived this long is not dying in a loop
# -P: nothing that lies in the folder where the portal is started is imported in place of ours.
PYTHON = [sys.executable, "-P"]
MANAGE = (
    [*PYTHON, "-m", "autosubmit_portal"]
    if settings.IS_INSTALLED
    else [sys.executable, str(settings.BASE_DIR / "manage.py")]
)


def make_commands(host: str, port: int) -> dict[str, list[str]]:
    """Return the command of each process of a portal, by name."""
    gunicorn = [
        "-m",
        "gunicorn",
        "--worker-class=autosubmit_portal.web.PortalWorker",
        f"--workers={settings.WEB_PROCESSES}",
        "--preload",  # loaded once: a process that replaces another serves at once
        "--graceful-timeout=5",
    ]
    quiet = ["--log-level=warning", "--no-control-socket"]
    address = [f"--bind={host}:{port}", "autosubmit_portal.wsgi"]
    gateway = {"gateway": [*MANAGE, "gateway"]} if settings.STARTS_GATEWAY else {}
    return gateway | {
        "web": [*PYTHON, *gunicorn, *quiet, *address],
        "worker": [*MANAGE, "qcluster"],
        "mirror": [*MANAGE, "mirror"],
    }


def make_environment() -> dict[str, str]:
    """Return the environment of the processes: this one's, for the default queue, with short logs by default.

    It names the umask of Autosubmit's commands, because the processes inherit the portal's own, and PORTAL_HOME as an
    absolute path, because they work in another folder. It names our gateway: a worker need not start it.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "Q_CLUSTER_NAME"}
    ours = {"PORTAL_LOG_LEVEL": "WARNING", "PORTAL_COMMANDS_UMASK": f"{settings.COMMANDS_UMASK:04o}"}
    places = {"PORTAL_HOME": str(settings.PORTAL_HOME), "PORTAL_GATEWAY": str(settings.GATEWAY_DIRECTORY)}
    return ours | inherited | places


@dataclass(slots=True)
class Child:
    """One process: started, watched and stopped. Times are of the monotonic clock."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    due: float = field(default=0.0)

    def start(self) -> None:
        """Start the process; it inherits nothing but the terminal for its output."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            cwd=settings.BASE_DIR,  # gunicorn imports from its working folder first
            env=make_environment(),
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=signal_on_parent_death(signal.SIGTERM),  # noqa: PLW1509 # the supervisor has no threads
        )

    def look(self) -> str:
        """Start the process when it is due, notice its death; return a message, mostly blank."""
        if self.process is None:
            if time.monotonic() >= self.due:
                self.start()
            return ""
        status = self.process.poll()
        if status is None:
            return ""
        pause = self._choose_pause()
        self.process, self.due = None, time.monotonic() + pause
        return f"{self.name} ended ({_describe_end(status)}); it is started again in {pause:.0f} s."

    def _choose_pause(self) -> float:
        is_steady = time.monotonic() - self.started > STEADY_SECONDS
        self.deaths = 1 if is_steady else self.deaths + 1
        return min(float(2 ** (self.deaths - 1)), LONGEST_PAUSE_SECONDS)

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process alone: a worker whose whole group gets it hangs."""
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def is_gone_by(self, deadline: float) -> bool:
        """Wait until the process has ended, at most until `deadline`; return whether it has."""
        if self.process is None:
            return True
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Kill the process and the rest of its group."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _describe_end(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
