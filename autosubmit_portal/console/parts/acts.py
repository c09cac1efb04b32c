"""What people did, in words: one line for each act, which opens to its entries of the trail."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.console.parts.presentation import format_duration, kind_title
from experiments.activity import Act
from experiments.catalogue.kinds import CATALOGUE, Target
from experiments.models import Action, Experiment, State
from jobs.autosubmit.secrets import mask_text

SOMEBODY = "somebody"

_IRREGULAR = {"set": "set", "stop": "stopped"}
_OUTSIDE_WORDS = {
    "run_started": "started a run of",
    "jobs_changed": "set statuses of jobs of",
    "job_list_changed": "generated the job list of",
    "archived": "archived",
    "unarchived": "brought back",
    "folder_lost": "took away the folder of",
    "owner_changed": "gave away",
    "created": "created",
    "deleted": "deleted",
    "description_changed": "described anew",
}
_ENDINGS = {"finished": "finished", "stopped": "was stopped", "killed": "was killed"}
_DECISIONS = {
    "action.approved": "approved of",
    "action.rejected": "rejected",
    "action.cancel_requested": "asked to cancel",
}
_OF_NOTES = {
    "note.written": "wrote a note on",
    "note.acknowledged": "has seen and taken",
    "note.removed": "removed a note on",
    "note.refused": "asked to write or remove a note on",
}
_LOOKS = {State.SUCCEEDED: "succeeded", State.FAILED: "failed", State.LOST: "failed", State.CANCELLED: "cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One act in words. `look` is the end of a CSS class of states; `address` is the page about it."""

    key: str
    at: datetime
    person: str
    on_behalf_of: str
    words: str
    subject: str
    site: str
    address: str
    outcome: str
    look: str
    experiment: Experiment | None = None
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    entries: tuple[AuditEntry, ...] = ()

    @property
    def is_action(self) -> bool:
        """Whether it is an action of the portal."""
        return self.key.startswith("action-")

    @property
    def seconds(self) -> int | None:
        """How long it took; None while it goes on, and for what takes no time."""
        if self.started_at is None or self.ended_at is None:
            return None
        return int((self.ended_at - self.started_at).total_seconds())

    @property
    def took(self) -> str:
        """The same for people; blank if there is nothing to say."""
        return "" if self.seconds is None else format_duration(self.seconds)


def tell(acts: Iterable[Act]) -> list[Line]:
    """Return the lines of acts."""
    return [_tell_action(act.action, act) if act.action else _tell_entry(act) for act in acts]


def _tell_action(action: Action, act: Act) -> Line:
    decided = f"Approved by {action.approved_by_name}." if action.approved_by_name else ""
    cancelled = f"Cancelled by {action.cancelled_by}." if action.cancelled_by else ""
    said = "" if action.state == State.SUCCEEDED else action.message
    return Line(
        key=act.key,
        at=act.at,
        person=action.actor_name,
        on_behalf_of=action.on_behalf_of,
        words=describe_action(action),
        subject=action.expid,
        site=str(action.site),
        address=reverse("admin:experiments_action_change", args=[action.pk]),
        outcome=State(action.state).label.lower(),
        look=_LOOKS.get(State(action.state), action.state),
        experiment=action.experiment,
        reason=mask_text(action.reason),
        message=mask_text(" ".join(filter(None, (decided, cancelled, said)))),
        started_at=action.started_at,
        ended_at=action.ended_at,
        entries=tuple(act.entries),
    )


def describe_action(action: Action) -> str:
    """Say what somebody did by an action, before the name of the experiment; or asked for, if it was not done."""
    if action.is_dry_run:
        return f"tried without saving: {kind_title(action.kind).lower()} of"
    words, is_new = kind_title(action.kind).lower(), _makes_something(action.kind)
    of = " of" if " " in words and not is_new else ""
    is_done = action.state in (State.SUCCEEDED, State.RUNNING)
    return f"{_put_into_past(words)}{of}" if is_done else f"asked to {words}{of}"


def _makes_something(kind: str) -> bool:
    return kind in CATALOGUE and CATALOGUE[kind].target is Target.SITE


def _put_into_past(words: str) -> str:
    first, _, rest = words.partition(" ")
    past = _IRREGULAR.get(first) or f"{first.removesuffix('e')}ed"
    return f"{past} {rest}".rstrip()


def _tell_entry(act: Act) -> Line:
    entry = act.entry or AuditEntry()
    thing, _, happened = entry.event.partition(".")
    is_outside = happened.endswith("_outside")
    details: Mapping[str, Any] = entry.details
    owner = str(details.get("owner", "")) if is_outside and happened.startswith("run_") else ""
    return Line(
        key=act.key,
        at=act.at,
        person=entry.actor_name or owner or (SOMEBODY if is_outside else entry.door),
        on_behalf_of=entry.on_behalf_of,
        words=_describe_entry(entry, thing, happened),
        subject=entry.expid or entry.subject,
        site=entry.site,
        address=reverse("admin:audit_auditentry_change", args=[entry.pk]),
        outcome=_get_outcome(happened),
        look=_get_look(happened, details),
        message=mask_text(entry.message),
        entries=tuple(act.entries),
    )


def _describe_entry(entry: AuditEntry, thing: str, happened: str) -> str:
    if happened == "run_ended_outside":
        return f"had a run that {_ENDINGS.get(entry.details.get('ending', ''), 'ended')}:"
    if happened.endswith("_outside"):
        return _OUTSIDE_WORDS.get(happened.removesuffix("_outside"), happened.replace("_", " "))
    asked = kind_title(entry.kind).lower()
    if entry.event in _OF_NOTES:
        return _OF_NOTES[entry.event]
    if entry.event in _DECISIONS:
        return f"{_DECISIONS[entry.event]} “{asked}” of"
    if entry.event == "action.refused" and entry.kind:
        return f"asked to {asked}{' of' if ' ' in asked else ''}"
    return f"{thing} {happened}:".replace("_", " ")


def _get_outcome(happened: str) -> str:
    if happened.endswith("_outside"):
        return "outside the portal"
    return "refused" if happened.endswith("refused") else ""


def _get_look(happened: str, details: Mapping[str, Any]) -> str:
    if happened.endswith("refused") or details.get("ending") == "killed":
        return "failed"
    return "cancelled"
