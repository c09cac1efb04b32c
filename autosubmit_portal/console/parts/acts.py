"""What people did, in words: one line for each act, which opens to its entries of the trail."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.console.parts.presentation import format_duration
from experiments.activity import OUTSIDE, Act
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, Experiment, State
from jobs.autosubmit.secrets import mask_text

SOMEBODY = "somebody"

CHANGES = ("created", "changed", "deleted")
_IRREGULAR = {"set": "set", "reset": "reset", "stop": "stopped"}
OUTSIDE_WORDS = {
    "run_started": "started a run of",
    "jobs_changed": "set statuses of jobs of",
    "job_list_changed": "generated the job list of",
    "archived": "archived",
    "unarchived": "brought back",
    "folder_lost": "took away the folder of",
    "owner_changed": "gave away",
    "created": "created",
    "deleted": "deleted",
    "description_changed": "changed the description of",
}
ENDINGS = {"finished": "finished", "stopped": "was stopped", "killed": "was killed"}
DECISIONS = {"action.approved": "approved", "action.rejected": "rejected", "action.cancel_requested": "asked to cancel"}
OF_NOTES = {
    "note.written": "wrote a note on",
    "note.acknowledged": "has seen and taken",
    "note.removed": "removed a note on",
    "note.refused": "asked to write or remove a note on",
}
# What else is recorded is said by its participle, such as “revoked”, before what it was done to.
OF_EVENTS = {
    "action.refused": "asked for an action on",
    "api_token.limited": "limited to some teams:",
    "api_token.refused": "asked for an API token:",
    "api_token.revoke_refused": "asked to revoke the API token",
    "audit.sealed": "sealed the trail into",
    "delegation.made": "made the",
    "delegation.refused": "asked to lend rights of",
    "delegation.revoked": "revoked the",
    "experiment.program_chosen": "chose the program of",
    "experiment.program_refused": "asked to choose the program of",
    "freeze.made": "began the",
    "freeze.ended": "ended the",
    "freeze.refused": "asked to change the",
    "group.permissions_changed": "changed the permissions of",
    "user.permissions_changed": "changed the permissions of",
    "invitation.made": "made the",
    "invitation.withdrawn": "revoked the",
    "invitation.accepted": "accepted the",
    "host.call_empty_refused": "asked to call empty",
    "lockout.lifted": "lifted the lockout of",
    "second_factor.added": "added a second factor of",
    "second_factor.removed": "removed a second factor of",
    "second_factor.used": "used a second factor of",
    "team.experiment_added": "added an experiment to",
}
# The entries of these have the expid as what they are about; of others it is only where something belongs.
_ABOUT_EXPERIMENTS = ("action.", "experiment.", "note.")
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
    decided = gettext("Approved by {name}.").format(name=action.approved_by_name) if action.approved_by_name else ""
    cancelled = gettext("Cancelled by {name}.").format(name=action.cancelled_by) if action.cancelled_by else ""
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
        outcome=str(State(action.state).label).lower(),
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
        return gettext(say_tried(action.kind))
    is_done = action.state in (State.SUCCEEDED, State.RUNNING)
    return gettext(say_done(action.kind) if is_done else say_asked(action.kind))


# These make the English sentences, each of which is translated as a whole (`console/words.py`).


def say_tried(kind: str) -> str:
    """Say that a dry run was made."""
    return f"tried, without saving, to {_get_infinitive(kind)}"


def say_done(kind: str) -> str:
    """Say that something was done."""
    past = CATALOGUE[kind].past if kind in CATALOGUE else ""
    return past or f"{_put_into_past(_get_words(kind))}{_choose_preposition(kind)}"


def say_asked(kind: str) -> str:
    """Say that something was asked for, and not done."""
    return f"asked to {_get_infinitive(kind)}"


def say_decided(event: str, kind: str) -> str:
    """Say what somebody decided about what another has asked for."""
    return f"{DECISIONS[event]} “{_get_words(kind)}” of"


def say_recorded(event: str) -> str:
    """Say what was recorded, before what it is about."""
    if event in OF_EVENTS:
        return OF_EVENTS[event]
    thing, _, happened = event.partition(".")
    if happened.endswith("refused"):
        return f"was refused: {thing}".replace("_", " ")
    return happened.replace("_", " ")


def say_ended(ending: str) -> str:
    """Say how a run outside the portal has ended."""
    return f"had a run that {ENDINGS.get(ending, 'ended')}:"


def _get_words(kind: str) -> str:
    return CATALOGUE[kind].title.lower() if kind in CATALOGUE else kind.lower()


def _get_infinitive(kind: str) -> str:
    infinitive = CATALOGUE[kind].infinitive if kind in CATALOGUE else ""
    return infinitive or f"{_get_words(kind)}{_choose_preposition(kind)}"


def _choose_preposition(kind: str) -> str:
    return " of" if " " in _get_words(kind) else ""


def _put_into_past(words: str) -> str:
    first, _, rest = words.partition(" ")
    past = _IRREGULAR.get(first) or f"{first.removesuffix('e')}ed"
    return f"{past} {rest}".rstrip()


def _tell_entry(act: Act) -> Line:
    entry = act.entry or AuditEntry()
    happened = entry.event.partition(".")[2]
    is_outside = happened.endswith("_outside")
    details: Mapping[str, Any] = entry.details
    return Line(
        key=act.key,
        at=act.at,
        person=entry.actor_name or (_guess_person(happened, details) if is_outside else gettext(entry.door)),
        on_behalf_of=entry.on_behalf_of,
        words=_describe_entry(entry, happened),
        subject=entry.expid if entry.expid and entry.event.startswith(_ABOUT_EXPERIMENTS) else entry.subject,
        site=entry.site,
        address=_make_address(entry, is_outside=is_outside),
        outcome=_get_outcome(happened),
        look=_get_look(happened, details),
        message=mask_text(entry.message),
        entries=tuple(act.entries),
    )


def _make_address(entry: AuditEntry, *, is_outside: bool) -> str:
    """Return the page about an entry: for what was done outside, one that all see who see the experiment."""
    if is_outside:
        return f"{reverse('admin:activity')}?{urlencode({'expid': entry.expid, 'kind': OUTSIDE})}"
    return reverse("admin:audit_auditentry_change", args=[entry.pk])


def _guess_person(happened: str, details: Mapping[str, Any]) -> str:
    """Say who did something outside: whose process it was, or else whose experiment it is, which is no proof."""
    owner = str(details.get("owner", ""))
    if not owner:
        return gettext(SOMEBODY)
    return owner if happened.startswith("run_") else gettext("probably {owner}").format(owner=owner)


def _describe_entry(entry: AuditEntry, happened: str) -> str:
    if happened == "run_ended_outside":
        return gettext(say_ended(entry.details.get("ending", "")))
    if happened.endswith("_outside"):
        return gettext(OUTSIDE_WORDS.get(happened.removesuffix("_outside"), happened.replace("_", " ")))
    if entry.event in OF_NOTES:
        return gettext(OF_NOTES[entry.event])
    if entry.event in DECISIONS:
        return gettext(say_decided(entry.event, entry.kind))
    if entry.event == "action.refused" and entry.kind:
        return gettext(say_asked(entry.kind))
    return gettext(say_recorded(entry.event))


def _get_outcome(happened: str) -> str:
    if happened.endswith("_outside"):
        return gettext("outside the portal")
    return gettext("refused") if happened.endswith("refused") else ""


def _get_look(happened: str, details: Mapping[str, Any]) -> str:
    if happened.endswith("refused") or details.get("ending") == "killed":
        return "failed"
    return "cancelled"
