"""What a second person sees and does: the buttons that approve and reject, on the page of an action and in the list."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console.parts.actions import get_action_address
from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from experiments.actions.approve import approve, may_approve, reject
from experiments.actions.preview import work_out_effect
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Action, State

# A page of the list has fewer.
MOST_WAITING = 500


class ApprovalPages(ReadOnlyAdmin):
    """Adds approving and rejecting to the page and the list of actions."""

    def get_urls(self) -> list[URLPattern]:
        """Add the two decisions."""
        return [
            self.make_row_url("approve", require_POST(self.approve_view)),
            self.make_row_url("reject", require_POST(self.reject_view)),
            *super().get_urls(),
        ]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Add the decision as a column while something waits for one."""
        columns = list(super().get_list_display(request))
        waiting = Action.objects.visible_to(request.user).awaiting_approval()
        experiments = list(waiting.values_list("experiment", flat=True)[:MOST_WAITING])
        if not experiments:
            return columns
        policy.look_ahead(request.user, filter(None, experiments))
        return [*columns, make_decision_column(request)]

    def approve_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Approve the action and go to its page."""

        def decide(action: Action) -> str:
            approve(action, actor=get_actor(request), origin=make_origin(request))
            return gettext("Action {pk} was approved.").format(pk=action.pk)

        return self.change_row(request, object_id, decide)

    def reject_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Reject the action for the reason that was given and go to its page."""
        reason = request.POST.get("reason", "")

        def decide(action: Action) -> str:
            reject(action, actor=get_actor(request), origin=make_origin(request), reason=reason)
            return gettext("Action {pk} was rejected.").format(pk=action.pk)

        return self.change_row(request, object_id, decide)


def make_decision_column(request: HttpRequest) -> Callable[[Action], SafeString | str]:
    """Return the column that lets the user of this request decide."""

    @admin.display(description=gettext("Approval"))
    def decision(action: Action) -> SafeString | str:
        if not may_decide(request, action):
            return ""
        return format_html(
            '<button type="submit" class="btn btn-small" formaction="{}">{}</button> <a href="{}">{}</a>',
            *(reverse("admin:experiments_action_approve", args=[action.pk]), gettext("Approve")),
            *(get_action_address(action.pk), gettext("Look…")),
        )

    return decision


def may_decide(request: HttpRequest, action: Action) -> bool:
    """Answer whether to offer the decision; `approve` and `reject` decide."""
    return action.kind in CATALOGUE and may_approve(action, get_actor(request))


def get_approval_context(request: HttpRequest, action: Action) -> dict[str, Any]:
    """Return what the page of an action that waits for approval shows besides: what it would change and destroy."""
    if action.state != State.AWAITING_APPROVAL:
        return {}
    may = may_decide(request, action)
    effect = work_out_effect(action.catalogue_kind, action.experiment, action.parameters)
    return {"may_approve": may, "loss": _describe_impact(action), "effect": effect}


def _describe_impact(action: Action) -> str:
    if action.experiment is None:
        return ""
    return action.catalogue_kind.would_lose(action.experiment, action.parameters)
