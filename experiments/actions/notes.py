"""Notes, and what somebody has seen: who may write and remove them, and what the trail says of it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import override

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.sentences import say
from experiments.actions.refusals import Conflict, InvalidParameters, Refusal
from experiments.models import Experiment, Note
from experiments.models.note import Acknowledged, get_state
from experiments.permissions import REMOVE_NOTE, WRITE_NOTE

LONGEST_TEXT = 10_000
MOST_NOTES = 500
"""On one experiment, of those that hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NotePlan:
    """What somebody wants to write: on an experiment, or on one of its jobs; for good, or to a time.

    `acknowledges` is one of Acknowledged, or blank for a note that says nothing of the kind.
    """

    experiment: Experiment
    text: str
    job_name: str = ""
    is_pinned: bool = False
    acknowledges: str = ""
    ends_at: datetime | None = None


def write_note(plan: NotePlan, *, actor: User, origin: Origin) -> Note:
    """Write a note and return it; of two that acknowledge the same, the newer one holds.

    Raises Forbidden, Conflict where there is nothing to acknowledge or no room, or InvalidParameters; all recorded.
    """
    with _record_if_refused(plan.experiment, origin):
        policy.require_request(actor, WRITE_NOTE, site=plan.experiment.site, experiment=plan.experiment)
        _check(plan)
        state = _find_state(plan)
    with transaction.atomic():
        if plan.acknowledges:
            _remove_all(plan, actor.get_username())
        made = Note.objects.create(
            experiment=plan.experiment,
            job_name=plan.job_name,
            text=plan.text.strip(),
            is_pinned=plan.is_pinned,
            acknowledges=plan.acknowledges,
            state=state,
            author=actor,
            author_name=actor.get_username(),
            ends_at=plan.ends_at,
        )
        _record(made, "note.acknowledged" if plan.acknowledges else "note.written", origin, plan.text.strip())
    return made


def remove_note(note: Note, *, actor: User, origin: Origin) -> None:
    """Remove a note, as its author or a manager. Raises Forbidden, or Conflict when it is gone already; recorded."""
    with _record_if_refused(note.experiment, origin):
        kind = WRITE_NOTE if note.author_id == actor.pk else REMOVE_NOTE
        policy.require_request(actor, kind, site=note.experiment.site, experiment=note.experiment)
        with transaction.atomic():
            gone = {"removed_at": timezone.now(), "removed_by_name": actor.get_username()}
            if not Note.objects.filter(pk=note.pk, removed_at=None).update(**gone):
                raise Conflict(say("Somebody has removed this note already."))
            note.refresh_from_db(fields=["removed_at", "removed_by_name"])
            _record(note, "note.removed", origin, note.text)


def require_writing(experiment: Experiment, *, actor: User, origin: Origin) -> None:
    """Raise Forbidden, which is recorded, unless the actor may write notes on an experiment."""
    with _record_if_refused(experiment, origin):
        policy.require_request(actor, WRITE_NOTE, site=experiment.site, experiment=experiment)


def may_write(actor: policy.Actor, experiment: Experiment) -> bool:
    """Answer whether the actor may write notes on an experiment."""
    return policy.may_request(actor, WRITE_NOTE, site=experiment.site, experiment=experiment)


def may_remove(actor: policy.Actor, note: Note) -> bool:
    """Answer whether the actor may remove a note."""
    kind = WRITE_NOTE if note.author_id == actor.pk else REMOVE_NOTE
    experiment = note.experiment
    return policy.may_request(actor, kind, site=experiment.site, experiment=experiment)


def _check(plan: NotePlan) -> None:
    errors: dict[str, list[str]] = {}
    if not plan.text.strip():
        errors["text"] = [say("Write something.")]
    elif len(plan.text) > LONGEST_TEXT:
        errors["text"] = [say("At most {most} characters.", most=f"{LONGEST_TEXT:,}")]
    if plan.ends_at is not None and plan.ends_at <= timezone.now():
        errors["ends_at"] = [say("It must end in the future.")]
    if plan.acknowledges and plan.job_name:
        errors["acknowledges"] = [say("That is of the experiment as a whole, not of one job.")]
    if plan.job_name and not plan.experiment.jobs.filter(name=plan.job_name).exists():
        errors["job"] = [say("{experiment} has no job {job_name}.", experiment=plan.experiment, job_name=plan.job_name)]
    if errors:
        raise InvalidParameters(errors)


def _find_state(plan: NotePlan) -> str:
    if Note.objects.current().filter(experiment=plan.experiment).count() >= MOST_NOTES:
        raise Conflict(
            say(
                "There are {most} notes on {experiment}. Remove some first.",
                most=MOST_NOTES,
                experiment=plan.experiment,
            )
        )
    if not plan.acknowledges:
        return ""
    state = get_state(plan.experiment, plan.acknowledges)
    if not state:
        with override(None):
            what = say(str(Acknowledged(plan.acknowledges).label))
        raise Conflict(
            say(
                "There is nothing to acknowledge on {experiment}: “{what}” is over already.",
                experiment=plan.experiment,
                what=what,
            )
        )
    return state


def _remove_all(plan: NotePlan, name: str) -> None:
    """Remove what was acknowledged before, which the trail keeps: the new one stands in its place."""
    before = Note.objects.filter(experiment=plan.experiment, acknowledges=plan.acknowledges, removed_at=None)
    before.update(removed_at=timezone.now(), removed_by_name=name)


def _record(note: Note, event: str, origin: Origin, text: str) -> None:
    details = {
        "note": note.pk,
        "job": note.job_name,
        "acknowledges": note.acknowledges,
        "pinned": note.is_pinned,
        "ends_at": note.ends_at.isoformat() if note.ends_at else None,
    }
    said = _describe(note.experiment, origin)
    said["details"], said["message"] = details, text
    trail.record(event, **said)


def _describe(experiment: Experiment, origin: Origin) -> trail.EntryValues:
    expid = experiment.expid
    return {"origin": origin, "subject": expid, "site": experiment.site.slug, "expid": expid}


def _record_if_refused(experiment: Experiment, origin: Origin) -> AbstractContextManager[None]:
    return trail.record_if_refused("note.refused", policy.Forbidden, Refusal, **_describe(experiment, origin))
