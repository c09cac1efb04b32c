"""Lend one's rights to a colleague for a time, and take them back."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from autosubmit_portal.access.models import UNLIMITED, Delegation, Team, get_scope
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.grants import make_condition, read_limits
from autosubmit_portal.access.rights.teams import may_change_all
from autosubmit_portal.access.roles import MANAGE_TEAMS, Role
from autosubmit_portal.access.term import check_term
from autosubmit_portal.audit import trail, watch
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.sentences import say

LONGEST_DAYS = 90


class Unacceptable(Exception):
    """The delegation is not allowed; `errors` maps each field to its messages."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{field}: {' '.join(messages)}" for field, messages in errors.items()))
        self.errors = errors


class AlreadyOver(Exception):
    """The delegation is over and cannot be revoked any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DelegationRequest:
    """What somebody wants to lend: to whom, which role at most, on what, until when and why."""

    grantee: User | None
    role: Role
    team: Team | None = None
    experiment: Any = None
    starts_at: datetime | None = None
    ends_at: datetime
    reason: str


def delegate(wanted: DelegationRequest, *, grantor: User, origin: Origin) -> Delegation:
    """Lend the grantor's rights and return the delegation. Raises Forbidden or Unacceptable, both recorded.

    The grantor must have the role somewhere. That is enough here: each later decision asks what they have then.
    """
    require_lending(grantor, origin)
    starts_at, wrong_times = check_term(wanted.starts_at, wanted.ends_at)
    errors = _find_errors(wanted, grantor, wrong_times, starts_at)
    if errors or wanted.grantee is None:
        refusal = Unacceptable(errors)
        trail.record("delegation.refused", origin=origin, subject=f"user {grantor}", message=str(refusal))
        raise refusal
    with transaction.atomic():
        made = Delegation.objects.create(
            grantor=grantor,
            grantee=wanted.grantee,
            role=wanted.role,
            team=wanted.team,
            experiment=wanted.experiment,
            starts_at=starts_at,
            ends_at=wanted.ends_at,
            reason=wanted.reason.strip(),
        )
        _record(made, "delegation.made", origin)
    return made


def require_lending(actor: Any, origin: Origin) -> None:
    """Raise Forbidden, which is recorded, for a limited credential: it may neither lend nor take back."""
    subject = f"user {actor}"
    with trail.record_if_refused("delegation.refused", policy.Forbidden, origin=origin, subject=subject):
        _require_whole_credential(actor)


def revoke(delegation: Delegation, *, actor: User, origin: Origin) -> None:
    """End a delegation at once, as its grantor or a manager of all teams; raises Forbidden or AlreadyOver, recorded."""
    refusals, subject = (policy.Forbidden, AlreadyOver), f"delegation {delegation.pk}"
    with trail.record_if_refused("delegation.refused", *refusals, origin=origin, subject=subject):
        _require_whole_credential(actor)
        if not may_revoke(actor, delegation):
            reason = say(
                "{actor} may not revoke it: only {grantor} and managers of all teams may.",
                actor=actor,
                grantor=delegation.grantor,
            )
            raise policy.Forbidden(reason, f"access.{MANAGE_TEAMS}")
        with transaction.atomic():
            changes = {"revoked_at": timezone.now(), "revoked_by_name": origin.actor_name}
            if not Delegation.objects.current().filter(pk=delegation.pk).update(**changes):
                raise AlreadyOver(say("The delegation {pk} is over already.", pk=delegation.pk))
            delegation.refresh_from_db()
            _record(delegation, "delegation.revoked", origin)
            watch.announce()


def may_revoke(actor: Any, delegation: Delegation) -> bool:
    """Return whether the actor may revoke it, while it is not over."""
    is_whole = get_scope(actor) == UNLIMITED
    return is_whole and bool(actor.pk == delegation.grantor_id or may_change_all(actor))


def filter_delegations(actor: Any) -> QuerySet[Delegation]:
    """Return the delegations from and to the actor; all of them for managers of all teams.

    A limited credential shows only the actor's own; one limited to teams only those about these teams.
    """
    scope, rows = get_scope(actor), Delegation.objects.all()
    if scope == UNLIMITED and may_change_all(actor):
        return rows
    own = rows.filter(Q(grantor=actor.pk) | Q(grantee=actor.pk))
    if scope.teams is None:
        return own
    covered = make_condition(read_limits(actor).held, "experiment__")
    about = Q(team__in=scope.teams)
    return own.filter(about if covered is None else about | (covered & Q(experiment__isnull=False)))


def _find_errors(
    wanted: DelegationRequest, grantor: User, wrong_times: dict[str, str], starts_at: datetime
) -> dict[str, list[str]]:
    highest = policy.find_highest_role(grantor)
    if highest is None:  # and who has nothing learns nothing, such as the names of accounts
        return {"role": [say("You have no role anywhere that you could lend.")]}
    wrong = {
        "grantee": _explain_grantee(wanted.grantee, grantor),
        "role": "" if wanted.role <= highest else say("You do not have this role anywhere yourself."),
        "team": say("Name a team or an experiment, not both.") if wanted.team and wanted.experiment else "",
        "ends_at": _explain_length(wanted.ends_at - max(starts_at, timezone.now())),
        **wrong_times,
        "reason": "" if wanted.reason.strip() else say("Say why: the audit trail keeps it."),
    }
    return {field: [text] for field, text in wrong.items() if text}


def _require_whole_credential(actor: Any) -> None:
    if get_scope(actor) != UNLIMITED:
        reason = say("A limited credential can neither lend rights nor take them back: use one with all rights.")
        raise policy.Forbidden(reason, "")


def _explain_grantee(grantee: User | None, grantor: User) -> str:
    if grantee is None or not grantee.is_active:
        return say("There is no such account, or it is closed.")
    return say("Choose somebody else: you have these rights yourself.") if grantee == grantor else ""


def _explain_length(length: timedelta) -> str:
    is_too_long = length > timedelta(days=LONGEST_DAYS)
    return (
        say("At most {days} days. Lend again then, if that is still wanted.", days=LONGEST_DAYS) if is_too_long else ""
    )


def _record(delegation: Delegation, event: str, origin: Origin) -> None:
    experiment = delegation.experiment
    trail.record(
        event,
        origin=origin,
        subject=f"delegation {delegation}",
        site=experiment.site.slug if experiment else "",
        expid=experiment.expid if experiment else "",
        details={
            "delegation": delegation.pk,
            "grantor": str(delegation.grantor),
            "grantee": str(delegation.grantee),
            "role": Role(delegation.role).name.lower(),
            "team": str(delegation.team or ""),
            "starts_at": delegation.starts_at.isoformat(),
            "ends_at": delegation.ends_at.isoformat(),
        },
        message=delegation.reason,
    )
