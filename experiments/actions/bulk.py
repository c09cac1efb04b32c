"""A request for many experiments: an action for each, and what is refused as one entry of the trail for each site."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import Error

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.sentences import add, say
from experiments.actions.action_request import ActionRequest, record_early_refusal, record_refusal
from experiments.actions.batches import Answer, request_actions
from experiments.catalogue.kinds import ActionKind
from experiments.models import Action
from jobs.autosubmit.secrets import mask_value

MOST_LISTED = 50
"""How many refused experiments an entry names, with the reason."""
MOST_TOLD = 3
"""How many of them its message names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfoundTarget:
    """An experiment that somebody named, of which no request could be made, and why. `site` may be blank."""

    expid: str
    site: str
    refusal: Exception


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkRequest:
    """What somebody asks for, of many experiments. `parameters` are those for all."""

    origin: Origin
    kind: ActionKind
    parameters: Mapping[str, Any]


def request_each(asked: BulkRequest, wanted: Sequence[ActionRequest | UnfoundTarget]) -> list[Answer]:
    """Make an action of each request, and record what is refused; return for each its action, or why there is none."""
    answers = iter(request_actions([one for one in wanted if isinstance(one, ActionRequest)]))
    told = [one.refusal if isinstance(one, UnfoundTarget) else next(answers) for one in wanted]
    refused = [(one, why) for one, why in zip(wanted, told, strict=True) if isinstance(why, Exception)]
    try:
        record_refusals(asked, [(one, why) for one, why in refused if not isinstance(why, Error)])
    except Error as error:  # nothing is refused without its entry; what was made is told
        return [answer if isinstance(answer, Action) else error for answer in told]
    return told


def record_refusals(asked: BulkRequest, refused: Sequence[tuple[ActionRequest | UnfoundTarget, Exception]]) -> None:
    """Record that something was refused for some experiments: an entry for each site; one of them as if asked alone."""
    if len(refused) == 1:
        _record_one(asked, *refused[0])
        return
    sites = list(dict.fromkeys(one.site.slug for one, _ in refused if isinstance(one, ActionRequest))) or [""]
    for site in sites:
        of_site = [(one, why) for one, why in refused if _get_site(one, sites[0]) == site]
        if of_site:
            _record_some(asked, site, [(one.expid, str(why)) for one, why in of_site])


def _get_site(one: ActionRequest | UnfoundTarget, unfound: str) -> str:
    """Return the site whose entry tells of a refusal; what was not found is told with the first one."""
    return one.site.slug if isinstance(one, ActionRequest) else unfound


def _record_one(asked: BulkRequest, one: ActionRequest | UnfoundTarget, why: Exception) -> None:
    if isinstance(one, ActionRequest):
        record_refusal(one, why)
    else:
        about = {"kind": asked.kind.name, "site": one.site, "expid": one.expid}
        record_early_refusal(asked.origin, why, subject=one.expid, **about)


def _record_some(asked: BulkRequest, site: str, refused: Sequence[tuple[str, str]]) -> None:
    listed = [{"expid": expid, "reason": reason} for expid, reason in refused[:MOST_LISTED]]
    details = {"parameters": dict(asked.parameters), "refused": listed, "more": len(refused) - len(listed)}
    told = " ".join(f"{expid}: {reason}" for expid, reason in refused[:MOST_TOLD])
    more = say("And {count} more.", count=f"{len(refused) - MOST_TOLD:,}") if len(refused) > MOST_TOLD else ""
    trail.record(
        "action.refused",
        origin=asked.origin,
        subject=say("{count} experiments", count=f"{len(refused):,}"),
        site=site,
        kind=asked.kind.name,
        details=mask_value(details)[0],
        message=add(told, more),
    )
