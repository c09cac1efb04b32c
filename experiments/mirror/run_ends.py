"""When the latest run of an experiment ended: as it was seen, or else as its jobs tell.

Autosubmit writes an end only for a run that succeeds, and each generation of the job list writes it anew.
"""

from datetime import datetime

from django.db.models import Max
from django.utils import timezone

from experiments.mirror.sightings import UNSEEN
from experiments.models import Experiment, Run
from jobs.models import Job


def settle_end(experiment: Experiment, *, was_running: bool, is_running: bool) -> None:
    """Write when the latest run ended, by whether it was running before a look and is now; None while it goes on.

    Call it before the row of the experiment is written, which says whether anybody was looking.
    """
    run = Run.objects.filter(experiment=experiment).order_by("-run_id").first()
    if run is None:
        return
    if is_running:
        ended_at = None
    elif was_running and _was_watched(experiment):
        ended_at = timezone.now()
    else:
        ended_at = run.ended_at or _find_last_end(run)
    if ended_at != run.ended_at:
        Run.objects.filter(pk=run.pk).update(ended_at=ended_at)


def _was_watched(experiment: Experiment) -> bool:
    """Return whether the run was seen until a moment ago: else it may have ended long before this look."""
    known = Experiment.objects.select_related("site").get(pk=experiment.pk)
    return known.site.is_mirror_fresh and not known.evidence.startswith(UNSEEN)


def _find_last_end(run: Run) -> datetime | None:
    """Return when a job of the run ended last, or Autosubmit has written that the run did; None if neither is known."""
    if run.since is None:
        return None
    jobs = Job.objects.filter(experiment=run.experiment_id, finished_at__gte=run.since)
    ends = [jobs.aggregate(last=Max("finished_at"))["last"], run.finished_at]
    return max((end for end in ends if end is not None and end >= run.since), default=None)
