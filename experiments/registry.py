"""From the list of experiments in a store to rows.

An experiment is identified by its site, Autosubmit's number and its time of creation. Its expid is only a name, which
Autosubmit gives to another experiment after a deletion. That one is another row; the old row is marked as gone, and
keeps its actions and teams.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import F
from django.utils import timezone

from autosubmit_portal.sentences import say
from experiments.autosubmit.store import ExperimentRecord
from experiments.models import Experiment, Site
from jobs.autosubmit.secrets import mask_text
from jobs.mirror import BATCH, fit_values

FIELDS = [name for name in ExperimentRecord.__dataclass_fields__ if name != "expid"]
# With more names than this, a query selects all rows of the site instead of naming them.
_MANY = 500
_LIFELESS = {"is_running": False, "evidence": say("it is gone from the store")}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Synced:
    """What differed in the list of experiments.

    Expids that are new or back, (expid, old, new) of changed descriptions, and expids that another experiment has now.
    """

    new: list[str] = field(default_factory=list)
    described: list[tuple[str, str, str]] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


def sync_experiments(site: Site, records: Iterable[ExperimentRecord]) -> Synced:
    """Create new experiments and update those that differ from their records, with one query for each.

    An experiment that comes back, for example from a backup, gets its old row. Call it in a transaction.
    """
    wanted = {record.expid: record for record in records}
    named, synced, new = _read_rows(site, wanted), Synced(), []
    for expid, record in wanted.items():
        row = next((row for row in named[expid] if _is_row_of(row, record)), None)
        values = _make_values(record, row)
        if row is None or row["gone_at"] is not None:
            synced.new.append(expid)
            values |= _take_over(synced, expid, [other for other in named[expid] if other is not row])
        elif (before := mask_text(row["description"])) != values["description"]:
            synced.described.append((expid, before, values["description"]))
        if row is None:
            new.append(Experiment(site=site, expid=expid, **values))
        elif any(row.get(name) != value for name, value in values.items()):
            Experiment.objects.filter(pk=row["pk"]).update(**values)
    Experiment.objects.bulk_create(new, ignore_conflicts=True, batch_size=BATCH)
    return synced


def mark_gone(site: Site, expid: str) -> bool:
    """Mark an experiment as gone from the store; return whether it was there. Nothing is deleted."""
    present = Experiment.objects.filter(site=site, expid=expid, gone_at=None)
    return present.update(gone_at=timezone.now(), **_LIFELESS) > 0


def mark_all_gone_but(site: Site, expids: set[str]) -> list[str]:
    """Mark the experiments that are not among `expids` as gone from the store and return them; nothing is deleted."""
    present = Experiment.objects.filter(site=site, gone_at=None).values_list("expid", "pk")
    gone = {expid: pk for expid, pk in present if expid not in expids}
    for start in range(0, len(gone), BATCH):
        pks = [*gone.values()][start : start + BATCH]
        Experiment.objects.filter(pk__in=pks).update(gone_at=timezone.now(), **_LIFELESS)
    return [*gone]


def read_numbers(site: Site, expids: Collection[str]) -> dict[str, int]:
    """Return Autosubmit's numbers of present experiments of a site: they decide between doubled rows."""
    rows = Experiment.objects.filter(site=site, gone_at=None, expid__in=expids)
    return dict(rows.values_list("expid", "autosubmit_id"))


def choose_record(records: Sequence[ExperimentRecord], known: Mapping[str, int]) -> ExperimentRecord | None:
    """Return which of several experiments of one name counts: the one whose number is `known`, or else the newest."""
    numbered = (record for record in records if record.autosubmit_id == known.get(record.expid))
    return next(numbered, records[-1] if records else None)


def is_among(records: Sequence[ExperimentRecord], experiment: Experiment) -> bool:
    """Return whether what a store has under an expid is this experiment, and not another one with its name."""
    record = choose_record(records, {experiment.expid: experiment.autosubmit_id})
    return record is not None and is_same(experiment.autosubmit_id, experiment.created_at, record)


def is_same(number: int, created_at: datetime | None, record: ExperimentRecord) -> bool:
    """Return whether a record is of the experiment with this number and time of creation.

    Unknown values, a number of zero or no time, are no difference. The number alone is not enough: SQLite may give
    that of a deleted row again.
    """
    is_numbered_alike = number in (0, record.autosubmit_id)
    return is_numbered_alike and (None in (created_at, record.created_at) or created_at == record.created_at)


def _read_rows(site: Site, expids: Mapping[str, Any]) -> defaultdict[str, list[Row]]:
    """Return the rows of each expid: the present one first, then those that are gone, the latest first."""
    rows = Experiment.objects.filter(site=site).order_by(F("gone_at").desc(nulls_first=True))
    if len(expids) <= _MANY:
        rows = rows.filter(expid__in=expids)
    named: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows.values("pk", "expid", "gone_at", *FIELDS).iterator():
        named[row["expid"]].append(row)
    return named


def _is_row_of(row: Row, record: ExperimentRecord) -> bool:
    return is_same(row["autosubmit_id"], row["created_at"], record)


def _make_values(record: ExperimentRecord, row: Row | None) -> dict[str, Any]:
    """Return the values of a row for a record; a known time of creation is kept.

    Secrets are masked: the git address in `model`, and texts that people typed, may contain a password.
    """
    told = {name: getattr(record, name) for name in FIELDS}
    shown = {name: mask_text(value) if isinstance(value, str) else value for name, value in told.items()}
    values = fit_values(Experiment, shown | {"gone_at": None})
    if row and values["created_at"] is None:
        values["created_at"] = row["created_at"]
    return values


def _take_over(synced: Synced, expid: str, others: list[Row]) -> dict[str, Any]:
    """Mark other experiments with the expid as gone; return since when it is the new one's, if there were others."""
    now = timezone.now()
    for other in others:
        if other["gone_at"] is None:
            Experiment.objects.filter(pk=other["pk"]).update(gone_at=now, **_LIFELESS)
            synced.replaced.append(expid)
    return {"expid_since": now} if others else {}
