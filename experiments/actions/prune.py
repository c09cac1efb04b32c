"""Remove run directories of actions that ended long ago, or that take too much space. The rows stay."""

import logging
import shutil
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from experiments.models import ACTIVE_STATES, Action

logger = logging.getLogger(__name__)


def prune() -> int:
    """Remove what OUTPUT_DAYS and OUTPUT_GIGABYTES say, oldest first, and return how many directories went.

    Only directories of actions that have ended are touched: an action that runs needs its own to be found again.
    """
    folders = _find_ended_folders()
    oldest_kept = (timezone.now() - timedelta(days=settings.OUTPUT_DAYS)).timestamp()
    room = settings.OUTPUT_GIGABYTES * 1e9
    removed = 0
    for folder in sorted(folders, key=_get_change_time, reverse=True):  # the newest have the first claim on the room
        room -= _measure_size(folder)
        if room < 0 or _get_change_time(folder) < oldest_kept:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    if removed:
        logger.info("Removed the output of %s actions", removed)
    return removed


def _find_ended_folders() -> list[Path]:
    root = Path(settings.ACTIONS_DIRECTORY)
    folders = {folder.name: folder for folder in root.glob("[0-9]*") if folder.is_dir()}
    active = set(Action.objects.filter(state__in=ACTIVE_STATES).values_list("pk", flat=True))
    return [folder for name, folder in folders.items() if int(name) not in active]


def _get_change_time(folder: Path) -> float:
    return folder.stat().st_mtime


def _measure_size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
