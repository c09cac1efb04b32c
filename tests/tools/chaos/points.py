"""Named points on the way of an action, at which a process of the portal can be made to stop; an app of its own.

The product has no hooks for tests: its functions are wrapped from outside when the app is loaded. A point is armed by
making the file `points/<name>`. The first process that comes by renames it to `points/<name>.<pid>` and stops itself
(SIGSTOP). Whoever armed it then kills the process there, or lets it go on much later.

With CHAOS_HASTE in the environment the supervisor's patience is shorter than the product's, for the short form.
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from pydoc import locate
from typing import Any

from django.apps import AppConfig
from django.conf import settings

# The point, the module or class and the function that it wraps, and whether it lies before or behind the call.
POINTS: tuple[tuple[str, str, str, str], ...] = (
    ("committed-not-sent", "experiments.actions.queue", "_send", "before"),
    ("claimed", "experiments.actions.execute", "claim", "behind"),
    ("step-recorded", "experiments.commands", "start", "before"),
    ("asked-to-start", "experiments.hosts", "act", "before"),
    ("launched", "experiments.commands", "start", "behind"),
    ("exit-status-seen", "experiments.actions.finish", "finish", "before"),
    ("in-finish", "experiments.actions.finish", "move", "before"),
    ("in-refresh", "experiments.mirror.sync", "_sync_runs", "before"),
    ("ended-not-told", "experiments.actions.finish", "move", "behind"),
    ("between-steps", "experiments.actions.start", "start_step", "before"),
)
# Between these, others wait for a lock of the database: a process may die there, but not sleep.
IN_TRANSACTION = ("in-refresh",)
SHORT = timedelta(seconds=5)


class PointsConfig(AppConfig):
    """Wraps the functions of POINTS."""

    name = "tests.tools.chaos.points"
    label = "chaos_points"
    path = str(settings.BASE_DIR / "tests" / "tools" / "chaos")

    def ready(self) -> None:
        # Each refusal that a client saw is looked for in the trail: none may be counted only.
        _found("autosubmit_portal.audit.tally").MOST_REFUSALS = sys.maxsize
        _folder().mkdir(parents=True, exist_ok=True)
        for name, place, function, side in POINTS:
            owner = _found(place)
            setattr(owner, function, _with_point(name, getattr(owner, function), is_before=side == "before"))
        if "CHAOS_HASTE" in os.environ:
            _hurry()


def _folder() -> Path:
    return settings.PORTAL_HOME / "points"


def _found(place: str) -> Any:
    return locate(place)


def _with_point(name: str, function: Callable[..., Any], *, is_before: bool) -> Callable[..., Any]:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if is_before and _is_meant(name, args):
            _stop_here(name)
        answer = function(*args, **kwargs)
        if not is_before and (answer or name == "launched"):  # a claim or a move that was somebody else's is none
            _stop_here(name)
        return answer

    return wrapper


def _is_meant(name: str, args: tuple[Any, ...]) -> bool:
    """Tell the second step of an action from its first, and the message of a request from one to look on."""
    if name == "between-steps":
        return bool(args[1] > 0)
    return name != "committed-not-sent" or args[0] == "execute"


def _stop_here(name: str) -> None:
    armed = _folder() / name
    try:
        os.rename(armed, armed.with_name(f"{name}.{os.getpid()}"))
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGSTOP)


def _hurry() -> None:
    from experiments.actions import follow, supervise

    follow.GRACE = SHORT
    supervise.RESEND_AFTER = SHORT
