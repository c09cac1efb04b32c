"""Record in the audit trail what was changed outside of the portal: one entry for each change, with numbers.

Changes by an action of the portal or by the run of the experiment do not count, nor does the first mirroring.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.sentences import marked, say
from experiments.autosubmit.forms import ExperimentReading, RunState
from experiments.catalogue.facts import join_names
from experiments.catalogue.kinds import RUN_KINDS
from experiments.models import Action, Experiment, Site, State
from jobs.mirror import Difference

# Clocks of hosts differ a little, and a command logs a little before and after it saves.
SLACK = timedelta(seconds=2)
# How long after its end an action may still be what has changed an experiment as a whole.
AFTERMATH = timedelta(seconds=60)
NAMED = 10
# Autosubmit lets hardly anybody else change an experiment: the owner is told with what changed it.
_OWNERS = ("expid", "owner", "recorded_owner")


@dataclass(frozen=True, slots=True)
class Before:
    """The mirrored state of an experiment before it was read again; `refreshed_at` is None if there was none."""

    is_running: bool
    is_absent: bool
    refreshed_at: datetime | None


def is_run_of_ours(experiment: Experiment) -> bool:
    """Return whether an action of the portal is running the experiment now."""
    return experiment.actions.filter(state=State.RUNNING, kind__in=RUN_KINDS, is_dry_run=False).exists()


def record_run_start(experiment: Experiment, alive: RunState) -> None:
    """Record a run that somebody started: of which account, where, and with which command, as far as it is seen."""
    command = f": {alive.command}" if alive.command else ""
    details = _describe_owner(alive.owner) | ({"command": alive.command} if alive.command else {})
    _record(experiment.site, experiment.expid, "run_started", f"{alive.evidence}{command}", details)


def record_run_end(experiment: Experiment, evidence: str, owner: str, ending: str) -> None:
    """Record the end of such a run; `ending` is how it ended, blank if nothing tells."""
    details = _describe_owner(owner) | ({"ending": ending} if ending else {})
    _record(experiment.site, experiment.expid, "run_ended", evidence, details)


def _describe_owner(owner: str) -> dict[str, str]:
    return {"owner": owner} if owner else {}


def record_job_changes(
    experiment: Experiment, reading: ExperimentReading, before: Before, difference: Difference
) -> None:
    """Record changed statuses or jobs, if neither an action of the portal nor a run made the change."""
    if before.refreshed_at is None or not difference or before.is_running or reading.alive.is_running:
        return
    changed_at, commands = reading.changed_at or before.refreshed_at, reading.commands
    if "run" in commands or _is_ours(experiment, changed_at):
        return
    is_new_list = bool(difference.added or difference.removed or "create" in commands)
    details = {
        "added": len(difference.added),
        "removed": len(difference.removed),
        "changes": [[*statuses, len(names)] for statuses, names in difference.moved.items()],
        "jobs": difference.names[:NAMED],
        "commands": commands,
    }
    details |= _describe_owner(experiment.owner)
    event = "job_list_changed" if is_new_list else "jobs_changed"
    _record(experiment.site, experiment.expid, event, _describe(difference, commands), details)


def record_folder_change(experiment: Experiment, before: Before, absence: str) -> None:
    """Record that the folder of an experiment went, or with a blank `absence` that it came back."""
    if before.refreshed_at is None or before.is_absent == bool(absence):
        return
    if not _is_busy(experiment.site, experiment.expid):
        event = "archived" if "archived" in absence else "folder_lost" if absence else "unarchived"
        _record(experiment.site, experiment.expid, event, absence, _describe_owner(experiment.owner))


def record_owner_change(experiment: Experiment, before: str, after: str) -> None:
    """Record that the folder of an experiment belongs to another account; rights of owners have gone with it."""
    details = {"changes": {"owner": [before, after]}}
    _record(experiment.site, experiment.expid, "owner_changed", _describe_owners(before, after), details)


def _describe_owners(before: str, after: str) -> str:
    if before and after:
        return f"{before} → {after}"
    return say("{before} → nobody known", before=before) if before else say("nobody known → {after}", after=after)


def record_created(site: Site, expids: Iterable[str]) -> None:
    """Record experiments that somebody created, or brought back."""
    if _is_busy(site, ""):  # ours have no expid before they are finished
        return
    _record_each(site, expids, "created", Experiment.objects.filter(gone_at=None))


def record_deleted(site: Site, expids: Iterable[str]) -> None:
    """Record experiments that somebody deleted."""
    _record_each(site, expids, "deleted", Experiment.objects.exclude(gone_at=None))


def _record_each(site: Site, expids: Iterable[str], what: str, rows: QuerySet[Experiment]) -> None:
    """Record the same of several experiments, with the owner that the newest of these rows has."""
    told = [expid for expid in expids if not _is_busy(site, expid)]
    found = rows.filter(site=site, expid__in=told).order_by("gone_at") if told else rows.none()
    owners = {expid: owner or recorded for expid, owner, recorded in found.values_list(*_OWNERS)}
    for expid in told:
        _record(site, expid, what, details=_describe_owner(owners.get(expid, "")))


def record_descriptions(site: Site, changes: Iterable[tuple[str, str, str]]) -> None:
    """Record descriptions that somebody changed: expid, old and new text."""
    for expid, old, new in changes:
        if not _is_busy(site, expid, aftermath=timedelta()):
            _record(site, expid, "description_changed", details={"changes": {"description": [old, new]}})


def _is_ours(experiment: Experiment, changed_at: datetime) -> bool:
    """Return whether an action of the portal was at work when the job list changed."""
    actions = Action.objects.filter(experiment=experiment, is_dry_run=False, started_at__lte=changed_at + SLACK)
    return actions.filter(Q(ended_at=None) | Q(ended_at__gte=changed_at - SLACK)).exists()


def _is_busy(site: Site, expid: str, aftermath: timedelta = AFTERMATH) -> bool:
    """Return whether an action of the portal is at work on an experiment, or was recently."""
    actions = Action.objects.filter(site=site, expid=expid, is_dry_run=False, started_at__isnull=False)
    return actions.filter(Q(ended_at=None) | Q(ended_at__gte=timezone.now() - aftermath)).exists()


def _describe(difference: Difference, commands: list[str]) -> str:
    changes, names = ", ".join(_list_changes(difference)), join_names(difference.names, NAMED)
    if not commands:
        return say("Jobs changed: {changes} ({names}).", changes=changes, names=names)
    form = marked("Jobs changed: {changes} ({names}). Commands at work: {commands}.")
    return say(form, changes=changes, names=names, commands=", ".join(commands))


def _list_changes(difference: Difference) -> Iterator[str]:
    for (old, new), names in difference.moved.items():
        yield say("{count} from {old} to {new}", count=f"{len(names):,}", old=old, new=new)
    if difference.added:
        yield say("{count} added", count=f"{len(difference.added):,}")
    if difference.removed:
        yield say("{count} removed", count=f"{len(difference.removed):,}")


def _record(site: Site, expid: str, what: str, message: str = "", details: dict[str, Any] | None = None) -> None:
    trail.record(
        f"experiment.{what}_outside",
        origin=Origin(door=Door.MIRROR),
        subject=expid,
        site=site.slug,
        expid=expid,
        details=details or {},
        message=message,
    )
