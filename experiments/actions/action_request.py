"""What somebody asks for, and the entry of the trail when it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin
from autosubmit_portal.sentences import say
from experiments.actions.idempotency import IdempotencyKey
from experiments.actions.refusals import InvalidParameters
from experiments.catalogue.kinds import CATALOGUE, ActionKind
from experiments.models import Experiment, Site
from jobs.autosubmit.secrets import mask_value


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionRequest:
    """What somebody asks for. `experiment` is None for kinds whose target is the site.

    A request with a `key` may be repeated: it makes one action, however often it is asked. `made` is the number of the
    action that it has made, when it is checked again: an action is not in its own way. `lender` is whose right it is,
    once that is decided.
    """

    actor: User
    origin: Origin
    kind: ActionKind
    site: Site
    experiment: Experiment | None = None
    parameters: Mapping[str, Any]
    reason: str = ""
    key: IdempotencyKey | None = None
    made: int | None = None
    lender: User | None = None

    @property
    def expid(self) -> str:
        """The expid, blank for a site."""
        return self.experiment.expid if self.experiment else ""


def find_dry_run(kind: ActionKind) -> ActionKind:
    """Return the kind as Autosubmit's own dry run; raise InvalidParameters for a kind that has none."""
    if not kind.has_dry_run:
        having = ", ".join(other.name for other in CATALOGUE.values() if other.has_dry_run)
        text = say(
            "Autosubmit has no dry run of “{title}”; it has one of: {having}. “true” tells the commands.",
            title=kind.title,
            having=having,
        )
        raise InvalidParameters({"dry_run": [text]})
    return kind.as_dry_run


def record_refusal(request: ActionRequest, refusal: Exception) -> None:
    """Record that a request was refused, and why."""
    details, _ = mask_value({"parameters": dict(request.parameters)})
    trail.record(
        "action.refused",
        origin=request.origin,
        subject=request.expid or request.site.slug,
        site=request.site.slug,
        expid=request.expid,
        kind=request.kind.name,
        details=details | ({"is_dry_run": True} if request.kind.is_dry_run else {}),
        message=str(refusal),
    )


def record_early_refusal(
    origin: Origin, refusal: Exception, *, subject: str, kind: str = "", site: str = "", expid: str = ""
) -> None:
    """Record that a request was refused before it was clear which experiment it is about; the rest is what it said."""
    message = str(refusal)
    trail.record("action.refused", origin=origin, subject=subject, kind=kind, site=site, expid=expid, message=message)
