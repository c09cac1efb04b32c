"""The buttons, the form page and the bulk entries of every action kind, all derived from the catalogue.

A page shows and asks; `experiments.actions` decides. GET never changes anything.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console.parts.forms import ActionForm
from autosubmit_portal.console.parts.presentation import in_zone, translate
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import read_facts
from experiments.actions.bulk import BulkRequest, request_each
from experiments.actions.checks import Facts, find_obstacle, find_obstacles
from experiments.actions.idempotency import IdempotencyKey
from experiments.actions.preview import Preview, preview_action, shorten
from experiments.actions.refusals import Conflict, InvalidParameters, KeyReused, Refusal
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target, leave_out_replaced
from experiments.models import Action, Experiment, Site, State


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What the request for one subject would do, or its refusal."""

    subject: Subject
    preview: Preview | None = None
    refusal: Exception | None = None

    @property
    def commands(self) -> Sequence[Sequence[str]]:
        """The exact commands, the long ones shortened; none after a refusal."""
        return shorten(self.preview.commands) if self.preview else ()

    @property
    def missing(self) -> Mapping[str, Sequence[str]]:
        """What is wrong with the form, by field."""
        return self.refusal.errors if isinstance(self.refusal, InvalidParameters) else {}

    @property
    def obstacle(self) -> SafeString | str:
        """What is in the way, blank if nothing is."""
        return "" if self.missing or self.refusal is None else explain_refusal(self.refusal)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What became of the request for one subject."""

    subject: Subject
    action: Action | None = None
    refusal: Exception | None = None


def list_allowed_kinds(
    user: AbstractBaseUser | AnonymousUser, targets: Iterable[Target], subject: Subject | None = None
) -> list[ActionKind]:
    """Return the kinds with one of these targets that the user may request of the subject; somewhere, if of None."""
    return filter_allowed(user, list_kinds(targets), subject)


def filter_allowed(
    user: AbstractBaseUser | AnonymousUser, kinds: Sequence[ActionKind], subject: Subject | None
) -> list[ActionKind]:
    """Return those of the kinds that the user may request of the subject; somewhere, if of None."""
    return [kind for kind, decision in decide_each(user, kinds, subject) if decision.allowed]


def decide_each(
    user: AbstractBaseUser | AnonymousUser, kinds: Sequence[ActionKind], subject: Subject | None
) -> list[tuple[ActionKind, policy.Decision]]:
    """Return each kind with whether the user may request it of the subject, and why."""
    decisions = policy.decide_each(user, kinds, **get_policy_scope(subject))
    return list(zip(kinds, decisions, strict=True))


def list_kinds(targets: Iterable[Target]) -> list[ActionKind]:
    """Return the kinds with one of these targets."""
    wanted = set(targets)
    return [kind for kind in CATALOGUE.values() if kind.target in wanted]


def get_policy_scope(subject: Subject | None) -> dict[str, Any]:
    """Return what the policy is asked about."""
    return {"site": subject.site, "experiment": subject.experiment} if subject else {}


def make_buttons(
    request: HttpRequest, subject: Subject, kinds: Iterable[ActionKind], route: str, key: Any
) -> list[Button]:
    """Return a button per kind; `route` is the named address of the form page of a row, and is made of its `key`.

    Of two kinds of which one stands in for the other there is one button: for the one that is possible now.
    """
    offered = list(kinds)
    if not offered:
        return []
    obstacles = find_obstacles(make_action_request(request, offered[0], subject), offered)
    possible = {name for name, obstacle in obstacles.items() if obstacle is None}
    return [
        Button(kind=kind, address=reverse(f"admin:{route}", args=[key, kind.name]), obstacle=obstacles[kind.name])
        for kind in leave_out_replaced(offered, possible)
    ]


def make_action_request(
    request: HttpRequest,
    kind: ActionKind,
    subject: Subject,
    form: ActionForm | None = None,
    key: IdempotencyKey | None = None,
) -> ActionRequest:
    """Return what the user of this HTTP request asks for, with what the form says."""
    return ActionRequest(
        actor=get_actor(request),
        origin=make_origin(request),
        kind=kind,
        site=subject.site,
        experiment=subject.experiment,
        parameters={**(form.read_parameters() if form else {}), **subject.fixed},
        reason=form.read_reason() if form else "",
        key=replace(key, item=f"{subject.site}/{subject}") if key else None,
    )


def request_actions(
    request: HttpRequest, kind: ActionKind, subjects: Sequence[Subject], form: ActionForm
) -> list[Answer]:
    """Request the action for each subject; a refusal of one does not keep the others from being asked."""
    try:
        key = make_key(kind, subjects, form)
        wanted = [make_action_request(request, kind, subject, form, key) for subject in subjects]
        told = BulkRequest(origin=make_origin(request), kind=kind, parameters=form.read_parameters())
    except InvalidParameters as refusal:  # the form itself is wrong
        return [Answer(subject=subject, refusal=refusal) for subject in subjects]
    answers = request_each(told, wanted)
    if not isinstance(answers[0], (Action, policy.Forbidden, Refusal)) and len(set(answers)) == 1:
        raise answers[0]  # nothing was made
    return [
        Answer(subject=subject, action=answer)
        if isinstance(answer, Action)
        else Answer(subject=subject, refusal=answer)
        for subject, answer in zip(subjects, answers, strict=True)
    ]


def make_key(kind: ActionKind, subjects: Sequence[Subject], form: ActionForm) -> IdempotencyKey | None:
    """Return what makes a form that is sent twice one request; None for a form without its hidden field."""
    if not form.read_key():
        return None
    about = [[subject.site.slug, str(subject), dict(subject.fixed)] for subject in subjects]
    return IdempotencyKey.make(form.read_key(), [kind.name, about, form.read_parameters(), form.read_reason()])


def forecast_each(
    request: HttpRequest, kind: ActionKind, subjects: Sequence[Subject], form: ActionForm
) -> list[Forecast]:
    """Return what the request for each subject would do that the form says now; nothing is changed or recorded."""
    plain = [make_action_request(request, kind, subject) for subject in subjects]
    return [
        _forecast(subject, one, partial(make_action_request, request, kind, subject, form), facts)
        for subject, one, facts in zip(subjects, plain, read_facts(plain), strict=True)
    ]


def _forecast(subject: Subject, plain: ActionRequest, read_form: Callable[[], ActionRequest], facts: Facts) -> Forecast:
    refusal: Exception | None = find_obstacle(plain, facts)
    if refusal:
        return Forecast(subject=subject, refusal=refusal)
    try:
        return Forecast(subject=subject, preview=preview_action(read_form(), facts))
    except (policy.Forbidden, Refusal) as refusal:
        return Forecast(subject=subject, refusal=refusal)


def get_http_status(refusal: Exception) -> int:
    """Return the HTTP status that says why."""
    codes = {policy.Forbidden: 403, Conflict: 409, KeyReused: 422}
    return codes.get(type(refusal), 400)


def explain_refusal(refusal: Exception) -> SafeString | str:
    """Say the refusal, with a link to the action that is in the way."""
    action_id = getattr(refusal, "action_id", None)
    said = in_zone(refusal)
    if action_id is None:
        return said
    shown = gettext("Show action {number}").format(number=action_id)
    return format_html('{} <a href="{}">{}</a>', said, get_action_address(action_id), shown)


def show_answers(request: HttpRequest, kind: ActionKind, answers: Sequence[Answer]) -> None:
    """Leave one message per answer for the next page."""
    for answer in answers:
        if answer.action:
            messages.success(request, _say_requested(kind, answer.subject, answer.action))
        elif answer.refusal and not isinstance(answer.refusal, InvalidParameters):
            messages.error(request, explain_refusal(answer.refusal))
        elif answer.refusal:
            messages.error(request, f"{answer.subject}: {translate(answer.refusal)}")


def _say_requested(kind: ActionKind, subject: Subject, action: Action) -> SafeString:
    address, title = get_action_address(action.pk), gettext(kind.title)
    if action.is_replay:
        said = gettext('{kind} {subject}: this form was sent before, and made <a href="{address}">action {number}</a>.')
    elif action.state == State.AWAITING_APPROVAL:
        said = gettext(
            '{kind} {subject}: requested as <a href="{address}">action {number}</a>, which waits for the approval of a '
            "second person."
        )
    else:
        said = gettext('{kind} {subject}: requested as <a href="{address}">action {number}</a>.')
    return format_html(said, kind=title, subject=subject, address=address, number=action.pk)


def get_action_address(action_id: int) -> str:
    """Return the page of an action."""
    return reverse("admin:experiments_action_change", args=[action_id])
