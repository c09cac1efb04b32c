"""What people did: one line for each act, from the actions and from what else the trail tells, the newest first.

An action is one act, whatever entries it makes; they stand below it. What else the trail has is an act each: what was
done outside of the portal, refused, approved, or changed about people, sites and rights. Sign-ins are none.
Both tables are read from the newest row backwards, by an index for each condition, and merged by time.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Coalesce

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.models import ACTS, AuditEntry
from autosubmit_portal.audit.origin import Door
from autosubmit_portal.db.written import Written
from autosubmit_portal.distinct import list_distinct
from experiments.audit_visibility import filter_about, list_visible_acts, list_visible_entries
from experiments.catalogue.kinds import CATALOGUE, RUN_KINDS, STOP_KINDS
from experiments.models import Action, Experiment, State
from experiments.models.states import ACTIVE_STATES

MOST_SEARCHED = 50_000
"""So many of the newest rows of each table are searched for words in reasons and messages."""

MOST_WORDS = 8
OUTSIDE, OTHER, REFUSED = "outside", "other", "refused"

# Rows are numbered in nearly the order of their times: a transaction may be so much slower than another.
_DISORDER = timedelta(hours=1)
_BY_COMMANDS = {"door": Door.COMMAND_LINE, "actor_name": ""}
_MOST_COUNTED = 1000
_EXPID = re.compile(r"[a-z0-9]{4,}")
_POSITION = re.compile(r"(\d{1,18})-(\d{1,18})")

STATES_OF_OUTCOMES: Mapping[str, tuple[State, ...]] = {
    "succeeded": (State.SUCCEEDED,),
    "failed": (State.FAILED, State.LOST),
    "cancelled": (State.CANCELLED,),
    REFUSED: (),
    "active": ACTIVE_STATES,
}
"""By what can be asked for, the states of actions that are meant; what was refused is no action."""

# What the mirror calls what else would be an action of this kind.
_OUTSIDE_OF_KINDS: Mapping[str, str] = {
    **dict.fromkeys(RUN_KINDS, "experiment.run_started_outside"),
    **dict.fromkeys(STOP_KINDS, "experiment.run_ended_outside"),
    "generate": "experiment.job_list_changed_outside",
    "set_status": "experiment.jobs_changed_outside",
    "update_description": "experiment.description_changed_outside",
    "create": "experiment.created_outside",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a page of acts begins: behind this action and this entry; 0 for the newest of all."""

    action: int = 0
    entry: int = 0

    @classmethod
    def read(cls, text: str) -> "Position":
        """Return the position that was written as a text; that of the newest for what is none."""
        found = _POSITION.fullmatch(text)
        return cls(action=int(found[1]), entry=int(found[2])) if found else cls()

    def __str__(self) -> str:
        return f"{self.action}-{self.entry}"


NEWEST = Position()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which acts are asked for; blank and None for all.

    `kinds` are names of the catalogue, OUTSIDE, or OTHER. `outcome` is one of STATES_OF_OUTCOMES. `experiments` are
    those that acts are about; with `actor_id`, what this account did counts too, whatever it is about. `by_people`
    leaves out what commands on a host of the portal did, such as those that set it up.
    """

    person: str = ""
    expid: str = ""
    kinds: frozenset[str] = frozenset()
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None
    words: tuple[str, ...] = ()
    experiments: "QuerySet[Experiment] | None" = None
    actor_id: int | None = None
    by_people: bool = False


@dataclass(slots=True)
class Act:
    """One thing that somebody did: an action, or an entry of the trail about something else.

    `entries` are what the trail has of it, the oldest first, as far as the reader may see it.
    """

    at: datetime
    action: Action | None = None
    entry: AuditEntry | None = None
    entries: list[AuditEntry] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What names it on a page."""
        return f"action-{self.action.pk}" if self.action else f"entry-{self.entry.pk if self.entry else 0}"


@dataclass(frozen=True, slots=True)
class Acts:
    """A page of acts, and where the next begins; None if this is the last."""

    rows: list[Act]
    next: Position | None


def read_acts(actor: policy.Actor, choice: Choice, most: int, after: Position = NEWEST) -> Acts:
    """Return up to `most` acts behind a position that the actor may see, the newest first."""
    actions = [
        Act(row.requested_at, action=row) for row in _read(list_action_streams(actor, choice), most, after.action)
    ]
    entries = [Act(row.at, entry=row) for row in _read(list_entry_streams(actor, choice), most, after.entry)]
    merged = list(islice(merge(actions, entries, key=lambda act: act.at, reverse=True), most + 1))
    rows = merged[:most]
    return Acts(rows, _find_end(rows, after) if len(merged) > most else None)


def list_live_rows(actor: policy.Actor, choice: Choice, most: int, after: Position = NEWEST) -> "list[QuerySet[Any]]":
    """Return the rows that such a page is made of."""
    actions = [_begin(rows, most, after.action).select_related(None) for rows in list_action_streams(actor, choice)]
    return [*actions, *(_begin(rows, most, after.entry).values("pk") for rows in list_entry_streams(actor, choice))]


def add_entries(actor: policy.Actor, acts: Sequence[Act]) -> None:
    """Put below each act what the trail has of it, as far as the actor may see it. At most two queries."""
    if not policy.may_view(actor, AuditEntry):
        return
    of_actions = {act.action.pk: act for act in acts if act.action}
    visible = list_visible_entries(actor)
    if of_actions:
        for entry in visible.filter(action_id__in=of_actions).defer("details").order_by("pk"):
            of_actions[entry.action_id or 0].entries.append(entry)
    others = {act.entry.pk: act for act in acts if act.entry}
    shown = (
        others if policy.may_view_all(actor, AuditEntry) else visible.filter(pk__in=others).values_list("pk", flat=True)
    )
    for pk in shown:
        others[pk].entries = [*filter(None, [others[pk].entry])]


def iterate_acts(actor: policy.Actor, choice: Choice, at_once: int) -> Iterator[Act]:
    """Yield all acts that are chosen, without ever holding more than `at_once` of them."""
    position: Position | None = NEWEST
    while position is not None:
        page = read_acts(actor, choice, at_once, position)
        yield from page.rows
        position = page.next


def list_action_streams(actor: policy.Actor, choice: Choice) -> "list[QuerySet[Any]]":
    """Return the actions that are chosen, in parts of which each has an index that gives its newest rows first."""
    if choice.outcome == REFUSED or (choice.kinds and not choice.kinds & CATALOGUE.keys()):
        return []
    rows: QuerySet[Any] = (
        Action.objects.visible_to(actor).defer_long_fields().select_related("site", "experiment__site")
    )
    rows = _filter_common(rows, choice, "requested_at", ("reason", "message"))
    parts = [rows]
    if choice.experiments is not None:
        mine = [rows.filter(actor=choice.actor_id)] if choice.actor_id else []
        parts = [rows.filter(experiment__in=choice.experiments.values("pk")), *mine]
    states = [{"state": state} for state in STATES_OF_OUTCOMES.get(choice.outcome, ())]
    kinds = [{"kind": kind} for kind in sorted(choice.kinds & CATALOGUE.keys())]
    return [part.filter(**state, **kind) for part in parts for state in states or [{}] for kind in kinds or [{}]]


def list_entry_streams(actor: policy.Actor, choice: Choice) -> "list[QuerySet[Any]]":
    """Return what else the trail has, in such parts: to whoever may not see the trail, what was done outside."""
    events = _choose_events(choice, sees_trail=policy.may_view(actor, AuditEntry))
    if events == []:
        return []
    rows: QuerySet[Any] = list_visible_acts(actor)
    if choice.by_people:
        rows = rows.exclude(**_BY_COMMANDS)
    rows = _filter_common(rows, choice, "at", ("message", "subject", "event"))
    parts = _list_parts_about(rows, choice)
    return [part.filter(Written(ACTS & Q(**mine, **event))) for part, mine in parts for event in events or [{}]]


def _list_parts_about(rows: "QuerySet[Any]", choice: Choice) -> "list[tuple[QuerySet[Any], dict[str, Any]]]":
    """Return the entries about the experiments that are chosen, and apart, for its index, what the account did."""
    if choice.experiments is None:
        return [(rows, {})]
    mine = [(rows, {"actor_id": choice.actor_id})] if choice.actor_id else []
    return [(filter_about(rows, choice.experiments), {}), *mine]


def count_by_commands(actor: policy.Actor, choice: Choice) -> int:
    """Count what commands on a host of the portal did, which `by_people` leaves out; at most 1,000."""
    if not policy.may_view(actor, AuditEntry):
        return 0
    rows: QuerySet[Any] = list_visible_entries(actor).filter(ACTS, **_BY_COMMANDS)
    rows = _filter_common(rows, choice, "at", ())
    if choice.experiments is not None:
        rows = filter_about(rows, choice.experiments)
    return rows.order_by("-pk")[:_MOST_COUNTED].count()


def understand(actor: policy.Actor, text: str, choice: Choice) -> Choice:
    """Return a choice that means also what is searched for: kinds, an outcome, an expid, a person, and other words."""
    found: dict[str, Any] = {name: getattr(choice, name) for name in Choice.__dataclass_fields__}
    for word in text.split()[:MOST_WORDS]:
        lower = word.lower()
        if kinds := _find_kinds(lower):
            found["kinds"] = (found["kinds"] & kinds) or kinds
        elif lower in STATES_OF_OUTCOMES:
            found["outcome"] = lower
        elif _EXPID.fullmatch(lower) and Experiment.objects.visible_to(actor).filter(expid=lower).exists():
            found["expid"] = lower
        elif _is_person(actor, word):
            found["person"] = word
        else:
            found["words"] = (*found["words"], word)
    return Choice(**found)


def _find_kinds(word: str) -> frozenset[str]:
    """Return the kinds that a word of a search may mean, by their names and titles."""
    if word in (OUTSIDE, OTHER):
        return frozenset((word,))
    named = (name for name, kind in CATALOGUE.items() if word == name or word in kind.title.lower().split())
    return frozenset(named)


def _is_person(actor: policy.Actor, name: str) -> bool:
    """Answer whether somebody of this name did something that the actor may see."""
    if Action.objects.visible_to(actor).filter(actor_name=name).exists():
        return True
    return policy.may_view(actor, AuditEntry) and list_visible_entries(actor).filter(actor_name=name).exists()


def _choose_events(choice: Choice, *, sees_trail: bool) -> list[dict[str, str]] | None:
    """Return conditions by one of which an entry is chosen, as each event has an index; None if all are."""
    if sees_trail and not (choice.kinds or choice.outcome):
        return None
    events = [event for event in list_distinct(AuditEntry, "event") if _is_chosen(event, choice)]
    if not sees_trail:
        return [{"event": event} for event in events if _is_outside(event)]
    kinds = sorted(choice.kinds & CATALOGUE.keys())
    refusals = [{"event": "action.refused", "kind": kind} for kind in kinds if choice.outcome in ("", REFUSED)]
    return [*({"event": event} for event in events), *refusals]


def _is_chosen(event: str, choice: Choice) -> bool:
    if choice.outcome and not (choice.outcome == REFUSED and event.endswith(REFUSED)):
        return False
    is_outside = _is_outside(event)
    is_other = not is_outside and not event.startswith(("action.", "sign_in."))
    meant = {_OUTSIDE_OF_KINDS.get(kind) for kind in choice.kinds}
    is_meant = (OUTSIDE in choice.kinds and is_outside) or (OTHER in choice.kinds and is_other)
    return not choice.kinds or is_meant or event in meant


def _is_outside(event: str) -> bool:
    return event.startswith("experiment.") and event.endswith("_outside")


def _filter_common(rows: "QuerySet[Any]", choice: Choice, time: str, texts: Iterable[str]) -> "QuerySet[Any]":
    """Apply what both tables have columns for; `time` names that of the times, `texts` those that are searched."""
    equal = {"actor_name": choice.person, "expid": choice.expid}
    rows = rows.filter(**{name: value for name, value in equal.items() if value})
    if choice.since or choice.until:
        rows = _filter_period(rows, time, choice.since, choice.until)
    if choice.words:
        newest = rows.model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
        rows = rows.filter(pk__gt=newest - MOST_SEARCHED)
    for word in choice.words:
        anywhere = Q()
        for name in texts:
            anywhere |= Q((f"{name}__icontains", word))
        rows = rows.filter(anywhere)
    return rows


def _filter_period(rows: "QuerySet[Any]", time: str, since: datetime | None, until: datetime | None) -> "QuerySet[Any]":
    """Return the rows of a period: by the numbers about its ends, so that none is sorted, then by their times."""
    times = rows.model._default_manager
    if since:
        first = _find_number(times.filter(**{f"{time}__gte": since - _DISORDER}).order_by(time))
        rows = rows.none() if first is None else rows.filter(pk__gte=first)
    if until:
        last = _find_number(times.filter(**{f"{time}__lt": until + _DISORDER}).order_by(f"-{time}"))
        rows = rows.none() if last is None else rows.filter(pk__lte=last)
    rows = rows.alias(moment=Coalesce(time, time))  # an index on the times would have them sorted
    rows = rows.filter(moment__gte=since) if since else rows
    return rows.filter(moment__lt=until) if until else rows


def _find_number(rows: "QuerySet[Any]") -> int | None:
    number: int | None = rows.values_list("pk", flat=True).first()
    return number


def _read(streams: "Iterable[QuerySet[Any]]", most: int, before: int) -> list[Any]:
    """Return one row more than `most` of all streams together, the newest before a number."""
    found: dict[int, Model] = {}
    for rows in streams:
        found |= {row.pk: row for row in _begin(rows, most, before)}
    return [found[number] for number in sorted(found, reverse=True)[: most + 1]]


def _begin(rows: "QuerySet[Any]", most: int, before: int) -> "QuerySet[Any]":
    return (rows.filter(pk__lt=before) if before else rows).order_by("-pk")[: most + 1]


def _find_end(rows: Sequence[Act], after: Position) -> Position:
    actions = [act.action.pk for act in rows if act.action]
    entries = [act.entry.pk for act in rows if act.entry]
    return Position(action=min(actions, default=after.action), entry=min(entries, default=after.entry))
