"""The list of actions and the page of one, with its live output."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console import stamps
from autosubmit_portal.console.pages.approval import MOST_WAITING, ApprovalPages, get_approval_context
from autosubmit_portal.console.pages.experiment import SHOWN_ROWS
from autosubmit_portal.console.parts import filters, output, presentation
from autosubmit_portal.console.parts.actions import Subject, forecast_each
from autosubmit_portal.console.parts.columns import make_column, make_field_column
from autosubmit_portal.console.parts.forms import make_form
from autosubmit_portal.console.parts.presentation import in_zone, link_to_experiment, show_excerpt, translate
from autosubmit_portal.console.parts.request_pages import MOST_CHANGES
from autosubmit_portal.console.site import console
from experiments import commands
from experiments.actions.call_lost import call_lost, may_call_lost
from experiments.actions.cancel import cancel_action
from experiments.audit_visibility import list_newest_entries, list_visible_entries
from experiments.catalogue.kinds import CATALOGUE, Target
from experiments.models import Action, State, annotate_active_action
from experiments.models.action import LONG_FIELDS
from jobs.autosubmit.secrets import mask_text

REQUEST_ROUTES = {Target.SITE: "admin:experiments_site_request"}
EXPERIMENT_ROUTE = "admin:experiments_experiment_request"
FORCE = "force"


def show_action_time(action: Action) -> SafeString | str:
    """Show how long an action ran; only a running one is still counting."""
    if action.ended_at is None and action.state != State.RUNNING:
        return presentation.NOTHING
    return presentation.lasting(action.started_at, action.ended_at)


@admin.register(Action, site=console)
class ActionAdmin(ApprovalPages):
    """Actions. One that waits, or whose command is no run, can be cancelled, and one that must be approved decided."""

    page_template = "admin/portal/action.html"
    live_seconds = 3
    list_display = ("what", "chip", "of_experiment", "by", "requested", "took", "result")
    long_fields = LONG_FIELDS
    csv_columns = {
        "id": "id",
        "site": "site__slug",
        "expid": "expid",
        "kind": "kind",
        "state": "state",
        "actor_name": "actor_name",
        "on_behalf_of": "on_behalf_of",
        "door": "door",
        "reason": "reason",
        "requested_at": "requested_at",
        "started_at": "started_at",
        "ended_at": "ended_at",
        "exit_status": "exit_status",
        "message": "message",
    }
    list_select_related = ("experiment", "site")
    list_filter = (
        "state",
        "kind",
        ("site", filters.SiteFilter),
        filters.DoorFilter,
        filters.ExperimentFilter,
        filters.ActorFilter,
        "requested_at",
    )
    search_fields = ("expid", "actor_name", "message", "reason")
    search_placeholder = gettext_lazy("expid, person, reason or message")
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Fetch the site and the experiment with the action."""
        return super().get_queryset(request).select_related("site", "experiment__site")

    def get_other_live_rows(self, request: HttpRequest) -> list[QuerySet[Any]]:
        """Return what waits for a decision: while something does there is a column for it."""
        waiting = Action.objects.visible_to(request.user).awaiting_approval()
        return [waiting.order_by("pk").values("pk")[:MOST_WAITING]]

    chip = make_field_column(gettext_lazy("State"), "state", presentation.state_chip)
    requested = make_field_column(gettext_lazy("Requested"), "requested_at", presentation.when)
    took = make_column(gettext_lazy("Took"), show_action_time)
    result = make_column(
        gettext_lazy("Result"),
        lambda action: show_excerpt(in_zone(mask_text(action.message)) or mask_text(action.reason)),
    )

    @admin.display(description=gettext_lazy("Action"), ordering="pk")
    def what(self, action: Action) -> SafeString:
        """Say what it does, with its number."""
        return format_html('{} <span class="quiet num">#{}</span>', presentation.verb(action), action.pk)

    @admin.display(description=gettext_lazy("Experiment"), ordering="expid")
    def of_experiment(self, action: Action) -> SafeString | str:
        """Link to the experiment."""
        if action.experiment is None:
            return action.expid or format_html('<span class="quiet">{}</span>', action.site)
        return link_to_experiment(action.experiment)

    @admin.display(description=gettext_lazy("By"), ordering="actor_name")
    def by(self, action: Action) -> SafeString:
        """Say who asked, and through which door."""
        who = action.actor_name
        if action.on_behalf_of:
            who = gettext("{actor} for {lender}").format(actor=who, lender=action.on_behalf_of)
        return format_html('{} <span class="quiet">{}</span>', who, gettext(action.door))

    def get_live_rows(self, request: HttpRequest, obj: Action) -> stamps.PartRows:
        """Return the rows that the page is made of; what is long does not change without the others."""
        entries = list_visible_entries(request.user).filter(action_id=obj.pk)
        return [
            Action.objects.defer_long_fields().filter(pk=obj.pk),
            *(stamps.list_rows_about(obj.experiment) if obj.experiment else ()),
            list_later(obj).values("pk")[:1],
            entries.order_by("-pk").values("pk")[:SHOWN_ROWS],
        ]

    def get_page_context(self, request: HttpRequest, obj: Action) -> dict[str, Any]:
        """Return everything about one action."""
        return {
            "title": f"{presentation.verb(obj)} {obj.expid or obj.site}",
            "action": obj,
            "may_call_lost": may_call_lost(obj, request.user),
            "took": show_action_time(obj),
            "steps": [self._describe_step(request, obj, number) for number in range(len(obj.command))],
            "may_cancel": may_cancel(request, obj),
            **get_approval_context(request, obj),
            "most_changes": MOST_CHANGES,
            "again": get_again_address(request, obj),
            "forced": get_forced_address(request, obj),
            "next": make_next_step(request, obj),
            "entries": list_newest_entries(
                request.user, lambda: list_visible_entries(request.user).filter(action_id=obj.pk), SHOWN_ROWS
            ),
        }

    def get_urls(self) -> list[URLPattern]:
        """Add cancelling and the output."""
        return [
            self.make_row_url("cancel", require_POST(self.cancel_view)),
            self.make_row_url("call-lost", require_POST(self.call_lost_view)),
            self.make_row_url("output", self.output_view, "<int:step>/"),
            *super().get_urls(),
        ]

    def cancel_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Cancel the action, or ask its worker to, and go back to its page."""

        def cancel(action: Action) -> str:
            cancel_action(action, actor=get_actor(request), origin=make_origin(request))
            if action.state == State.CANCELLED:
                return gettext("Action {number} was cancelled before it started.").format(number=action.pk)
            return gettext("Action {number} is being cancelled.").format(number=action.pk)

        return self.change_row(request, object_id, cancel)

    def call_lost_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Call the command lost for the reason that was given, and go back to the page."""
        reason = request.POST.get("reason", "")

        def decide(action: Action) -> str:
            call_lost(action, actor=get_actor(request), origin=make_origin(request), reason=reason)
            return gettext("Action {pk} was called lost.").format(pk=action.pk)

        return self.change_row(request, object_id, decide)

    def output_view(self, request: HttpRequest, object_id: int, step: int) -> HttpResponseBase:
        """Answer a piece of the output of one step, or all of it with `?download`."""
        action = self.get_visible_object(request, str(object_id))
        if step >= len(action.command):
            raise Http404(gettext("There is no such step."))
        read = commands.make_reader(action, step)
        try:
            if "download" in request.GET:
                read(0, 0)  # what cannot be read is told before the answer has begun
                return output.answer_download(output.read_pieces(read), f"action-{action.pk}-step-{step + 1}.log")
            stamps.begin_part(request, [Action.objects.defer_long_fields().filter(pk=action.pk)], lambda: read(0, 0)[1])
            action = self.get_visible_object(request, str(object_id))  # as it is after the stamp
            return output.answer_piece(request, read, is_over=is_output_over(action, step))
        except commands.Unseen as silence:
            return HttpResponse(translate(silence), status=503, content_type="text/plain; charset=utf-8")

    def _describe_step(self, request: HttpRequest, action: Action, number: int) -> dict[str, Any]:
        """Return the command of one step, where it is, and the newest piece of its output."""
        step: dict[str, Any] = {
            "number": number,
            "argv": action.command[number],
            "state": get_step_state(action, number),
        }
        step["is_open"] = number == action.step
        step["address"] = reverse("admin:experiments_action_output", args=[action.pk, number])
        # A live page keeps the output that it has; the script follows it.
        if step["state"] != State.QUEUED and not request.htmx:  # type: ignore[attr-defined]
            step |= _read_newest(action, number)
        return step


def _read_newest(action: Action, number: int) -> dict[str, Any]:
    """Return the newest piece of the output of a step, or why it cannot be read."""
    try:
        read = commands.make_reader(action, number)
        return {"piece": output.read_tail(read, is_over=is_output_over(action, number))}
    except commands.Unseen as silence:
        return {"problem": translate(silence)}


def is_output_over(action: Action, step: int) -> bool:
    """Answer whether the command of a step prints no more."""
    return step < action.step or not action.is_active


def get_step_state(action: Action, number: int) -> str:
    """Return the state of one step: those before the present one succeeded; those after it wait, if it is approved."""
    if action.step_started_at is None or number > action.step:
        is_waiting = action.is_active and action.state != State.AWAITING_APPROVAL
        return State.QUEUED if is_waiting else "skipped"
    return State.SUCCEEDED if number < action.step else action.state


def may_cancel(request: HttpRequest, action: Action) -> bool:
    """Answer whether to offer cancelling; `cancel_action` decides. A run is not cancelled but stopped."""
    if action.kind not in CATALOGUE or not action.is_active or action.cancel_requested_at:
        return False
    is_possible = action.state != State.RUNNING or not action.current_command.is_long
    return is_possible and _may_request(request, action)


def _may_request(request: HttpRequest, action: Action) -> bool:
    kind, site = action.catalogue_kind, action.site
    experiment = None if kind.target is Target.SITE else action.experiment
    return policy.may_request(request.user, kind, site=site, experiment=experiment)


def list_later(action: Action) -> "QuerySet[Action]":
    """Return what was asked for on the experiment after the action."""
    return Action.objects.filter(experiment=action.experiment, pk__gt=action.pk).order_by("pk")


def make_next_step(request: HttpRequest, action: Action) -> dict[str, Any] | None:
    """Return what usually follows a succeeded action, as it would be done now; None where nothing does.

    It is offered until something else was asked for, to those who may request it. Its form has no fields filled in.
    """
    kind = CATALOGUE.get(action.catalogue_kind.next_step) if action.kind in CATALOGUE else None
    experiment = action.experiment
    if kind is None or experiment is None or action.state != State.SUCCEEDED or list_later(action).exists():
        return None
    subject = Subject(site=action.site, experiment=annotate_active_action().get(pk=experiment.pk))
    if action.is_dry_run or not policy.may_request(request.user, kind, site=action.site, experiment=experiment):
        return None
    form = make_form(kind)(data={})
    return {
        "kind": kind,
        "address": reverse(EXPERIMENT_ROUTE, args=[experiment, kind.name]),
        "key": form.new_key(),
        "forecasts": forecast_each(request, kind, [subject], form),
    }


def get_again_address(request: HttpRequest, action: Action) -> str:
    """Return where to ask for the same again; blank while it is active, for a dry run, or when the user may not."""
    kind = CATALOGUE.get(action.kind)
    if kind is None or action.is_active or action.is_dry_run or not _may_request(request, action):
        return ""
    route = REQUEST_ROUTES.get(kind.target, EXPERIMENT_ROUTE)
    row = action.site_id if kind.target is Target.SITE else action.experiment
    return f"{reverse(route, args=[row, kind.name])}?like={action.pk}" if row else ""


def get_forced_address(request: HttpRequest, action: Action) -> str:
    """Return where to ask for the same with force, for what failed without it and knows force."""
    again = get_again_address(request, action)
    is_hopeful = action.state == State.FAILED and not action.parameters.get(FORCE)
    knows_force = again and FORCE in {option.name for option in action.catalogue_kind.options}
    return f"{again}&{FORCE}=on" if is_hopeful and knows_force else ""
