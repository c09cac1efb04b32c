"""The buttons, the form page and the bulk entries of every action kind, all derived from the catalogue.

A page shows and asks; `experiments.actions` decides. GET never changes anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from autosubmit_portal.access import policy
from autosubmit_portal.admin.forms import ActionForm
from autosubmit_portal.audit.origin import origin_of
from experiments.actions.refusals import Conflict, InvalidParameters, Refusal
from experiments.actions.request import Request, obstacle, preview_action, request_action, would_lose
from experiments.catalogue import CATALOGUE, ActionKind, Target
from experiments.models import Action, Experiment, Site


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What an action is asked for: a site or an experiment, with the parameters that the page has decided already."""

    site: Site
    experiment: Experiment | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.experiment or self.site)


@dataclass(frozen=True, kw_only=True, slots=True)
class Button:
    """One kind that the user may request, and what is against it now."""

    kind: ActionKind
    address: str
    obstacle: Conflict | None = None

    @property
    def action_address(self) -> str:
        """The page of the action in the way, blank if none is."""
        return address_of_action(self.obstacle.action_id) if self.obstacle and self.obstacle.action_id else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What became of the request for one subject."""

    subject: Subject
    action: Action | None = None
    refusal: Exception | None = None


def kinds_for(user: AbstractBaseUser | AnonymousUser, targets: Iterable[Target]) -> list[ActionKind]:
    """Return the kinds with one of these targets that the user may request."""
    wanted = set(targets)
    return [kind for kind in CATALOGUE.values() if kind.target in wanted and policy.may_request(user, kind)]


def buttons(
    request: HttpRequest, subject: Subject, kinds: Iterable[ActionKind], route: str, pk: Any
) -> list[Button]:
    """Return a button per kind; `route` is the named address of the form page of the row `pk`."""
    return [
        Button(
            kind=kind,
            address=reverse(f"admin:{route}", args=[pk, kind.name]),
            obstacle=obstacle(asked(request, kind, subject, {})),
        )
        for kind in kinds
    ]


def asked(
    request: HttpRequest, kind: ActionKind, subject: Subject, parameters: Mapping[str, Any], reason: str = ""
) -> Request:
    """Return what the user of this HTTP request asks for."""
    return Request(
        actor=request.user,  # type: ignore[arg-type]  # pages are for people who signed in
        origin=origin_of(request),
        kind=kind,
        site=subject.site,
        experiment=subject.experiment,
        parameters={**parameters, **subject.fixed},
        reason=reason,
    )


def ask(
    request: HttpRequest, kind: ActionKind, subjects: Sequence[Subject], form: ActionForm
) -> list[Answer]:
    """Request the action for each subject; a refusal of one does not keep the others from being asked."""
    answers = []
    for subject in subjects:
        try:
            action = request_action(asked(request, kind, subject, form.parameters(), form.reason()))
            answers.append(Answer(subject=subject, action=action))
        except (policy.Forbidden, Refusal) as refusal:
            answers.append(Answer(subject=subject, refusal=refusal))
    return answers


def first_obstacle(request: HttpRequest, kind: ActionKind, subjects: Sequence[Subject]) -> Conflict | None:
    """Return what is against the action on the first subject that has something against it."""
    found = (obstacle(asked(request, kind, subject, {})) for subject in subjects)
    return next((conflict for conflict in found if conflict), None)


def preview(
    request: HttpRequest, kind: ActionKind, subjects: Sequence[Subject], form: ActionForm
) -> tuple[list[list[str]], Exception | None]:
    """Return the exact commands for what the form says now, and the first refusal; nothing is changed or recorded."""
    commands: list[list[str]] = []
    for subject in subjects:
        try:
            commands += preview_action(asked(request, kind, subject, form.parameters()))
        except (policy.Forbidden, Refusal) as refusal:
            return commands, refusal
    return commands, None


def losses(
    request: HttpRequest, kind: ActionKind, subjects: Sequence[Subject], form: ActionForm
) -> list[str]:
    """Return what the action would destroy of each subject; the form must be valid for them."""
    asks = (asked(request, kind, subject, form.parameters()) for subject in subjects)
    return [loss for loss in map(would_lose, asks) if loss]


def status_of(refusal: Exception) -> int:
    """Return the HTTP status that says why."""
    if isinstance(refusal, policy.Forbidden):
        return 403
    return 409 if isinstance(refusal, Conflict) else 400


def refusal_text(refusal: Exception) -> SafeString | str:
    """Say the refusal, with a link to the action that is in the way."""
    action_id = getattr(refusal, "action_id", None)
    if action_id is None:
        return str(refusal)
    return format_html(
        '{} <a href="{}">Show action {}</a>', str(refusal), address_of_action(action_id), action_id
    )


def tell(request: HttpRequest, kind: ActionKind, answers: Sequence[Answer]) -> None:
    """Leave one message per answer for the next page."""
    for answer in answers:
        if answer.action:
            link = address_of_action(answer.action.pk)
            text = format_html(
                '{} {}: requested as <a href="{}">action {}</a>.',
                kind.title,
                answer.subject,
                link,
                answer.action.pk,
            )
            messages.success(request, text)
        elif answer.refusal and not isinstance(answer.refusal, InvalidParameters):
            messages.error(request, refusal_text(answer.refusal))
        elif answer.refusal:
            messages.error(request, f"{answer.subject}: {answer.refusal}")


def address_of_action(action_id: int) -> str:
    """Return the page of an action."""
    return reverse("admin:experiments_action_change", args=[action_id])
