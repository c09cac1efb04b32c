"""The notes that a page shows, and the form that writes one."""

from typing import Any

from django.http import HttpRequest

from autosubmit_portal.access.rights import policy
from experiments.actions.notes import may_write
from experiments.models import Experiment, Note
from experiments.models.note import Acknowledged, get_state
from experiments.permissions import REMOVE_NOTE

MOST = 50


def make_notes_context(request: HttpRequest, experiment: Experiment, job_name: str = "") -> dict[str, Any]:
    """Return what a page about an experiment, or about one of its jobs, shows of its notes."""
    rows = Note.objects.current().filter(experiment=experiment).order_by("-is_pinned", "-pk")
    found = (rows.filter(job_name=job_name) if job_name else rows)[: MOST + 1]
    return {
        "notes": [note for note in found[:MOST] if holds(note, experiment)],
        "notes_on": experiment,
        "notes_job": job_name,
        **find_rights(request.user, experiment),
    }


def find_rights(user: Any, experiment: Experiment) -> dict[str, bool]:
    """Return whether the user may write notes on an experiment, and remove those of others."""
    may_remove = policy.may_request(user, REMOVE_NOTE, site=experiment.site, experiment=experiment)
    return {"may_write_note": may_write(user, experiment), "may_remove_notes": may_remove}


def holds(note: Note, experiment: Experiment) -> bool:
    """Return whether what was acknowledged is still as it was; other notes hold anyway."""
    return not note.acknowledges or note.state == get_state(experiment, note.acknowledges)


def find_seen(experiments: list[Experiment]) -> dict[tuple[int, str], Note]:
    """Return by experiment and Acknowledged which note says that somebody has seen it, as it is now. One query."""
    known = {experiment.pk: experiment for experiment in experiments}
    rows = Note.objects.current().filter(experiment__in=known, acknowledges__in=Acknowledged.values).order_by("pk")
    return {(note.experiment_id, note.acknowledges): note for note in rows if holds(note, known[note.experiment_id])}
