"""Store the output of actions that have ended, and remove what is old or takes too much room. The rows stay."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from experiments.actions.finish import keep_outputs
from experiments.models import ACTIVE_STATES, Action, Step

logger = logging.getLogger(__name__)

# What hosts keep still is stored in parts: after years without agents there may be much.
_MOST_KEPT_AT_ONCE = 200


def keep_ended(queue_name: str) -> None:
    """Store what hosts still keep of ended actions: they were away, or the worker that ended the action was killed."""
    for action in _find_ended(queue_name):
        keep_outputs(action)


def prune() -> int:
    """Remove what OUTPUT_DAYS and OUTPUT_GIGABYTES say, oldest first; return how many outputs were removed."""
    removed = [*{*_find_too_old(), *_find_too_much()}]
    for start in range(0, len(removed), 500):
        Step.objects.filter(pk__in=removed[start : start + 500]).update(output=b"", output_bytes=0)
    if removed:
        logger.info("Removed the output of %s commands", len(removed))
    return len(removed)


def _find_ended(queue_name: str) -> list[Action]:
    kept = Step.objects.filter(is_forgotten=False, action__site__queue=queue_name)
    kept = kept.exclude(action__state__in=ACTIVE_STATES)
    actions = Action.objects.filter(pk__in=kept.order_by().values("action")).defer_long_fields()
    return list(actions.order_by("-pk")[:_MOST_KEPT_AT_ONCE])


def _find_too_old() -> list[int]:
    oldest = timezone.now() - timedelta(days=settings.OUTPUT_DAYS)
    return list(_find_stored().filter(action__ended_at__lt=oldest).values_list("pk", flat=True))


def _find_too_much() -> list[int]:
    """Return the outputs for which there is no room: the newest have the first claim on it."""
    room, found = settings.OUTPUT_GIGABYTES * 1e9, []
    rows = _find_stored().order_by(F("action__ended_at").desc(nulls_first=True), "-pk")
    for number, size in rows.values_list("pk", "output_bytes").iterator():
        room -= size
        if room < 0:
            found.append(number)
    return found


def _find_stored() -> QuerySet[Step]:
    return Step.objects.filter(output_bytes__gt=0).exclude(action__state__in=ACTIVE_STATES)
