"""The form page of actions: GET shows the form and the exact command, POST asks for the action."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST

from autosubmit_portal.access.rights import policy
from autosubmit_portal.console.parts import actions
from autosubmit_portal.console.parts.actions import Answer, Button, Subject
from autosubmit_portal.console.parts.base import ConsoleAdmin, parse_number
from autosubmit_portal.console.parts.forms import (
    ActionForm,
    get_initial_values,
    make_form,
    read_linked_values,
    recognise_answers,
    restore_values,
)
from autosubmit_portal.console.parts.offers import offer
from autosubmit_portal.console.parts.presentation import translate
from experiments.actions.refusals import InvalidParameters
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target
from experiments.models import Action

# A change of ten thousand jobs is counted; so many of them are named.
MOST_CHANGES = 30
REQUIRED = "This field is required."


@dataclass(frozen=True, kw_only=True, slots=True)
class FormPage:
    """The page that asks for one kind on some subjects. `address` takes the POST, `back` is where one came from.

    `selection` and the `filters` of the list go along in hidden fields when the page was opened by a bulk entry.
    `alternative` is what can be asked for when this kind is not possible.
    """

    kind: ActionKind
    subjects: Sequence[Subject]
    address: str
    back: str
    frame: dict[str, Any]
    selection: str = ""
    filters: str = ""
    alternative: Button | None = None

    def make_bound_form(self, request: HttpRequest, *, is_filled: bool) -> ActionForm:
        """Return the form, with what was posted or with its initial values."""
        form_class = make_form(self.kind, fixed={name for subject in self.subjects for name in subject.fixed})
        if is_filled:
            return offer(form_class(request.POST), request.user, self.subjects[0].site)
        initial = get_initial_values(self.kind, self.subjects[0].experiment)
        if not self.selection:  # what the address of a list says are its filters
            initial |= self._find_earlier(request) | read_linked_values(self.kind, request.GET)
        initial = recognise_answers(self.kind, initial) | initial
        return offer(form_class(initial=initial), request.user, self.subjects[0].site)

    def show(self, request: HttpRequest, form: ActionForm, status: int = 200) -> TemplateResponse:
        """Answer the page with the form."""
        # A form of its own for the preview: the errors of the shown one take the fields that they are about with them.
        said = type(form)(data=form.data if form.is_bound else form.initial)
        context = {
            **self.frame,
            "title": self.title,
            "form": form,
            "verb": self.title,
            **self.preview_commands(request, said),
        }
        return TemplateResponse(request, "admin/portal/request.html", context, status=status)

    def preview_commands(self, request: HttpRequest, form: ActionForm) -> dict[str, Any]:
        """Return what the preview shows: for each subject the commands and their effect, or what is against it.

        What is still to be filled in is only named: nobody has sent the form yet.
        """
        forecasts = actions.forecast_each(request, self.kind, self.subjects, form)
        found: Mapping[str, Sequence[str]] = next((one.missing for one in forecasts if one.missing), {})
        missing = {
            form.fields[name].label if name in form.fields else name: [text for text in told if text != REQUIRED]
            for name, told in found.items()
        }
        return {"page": self, "forecasts": forecasts, "missing": missing, "most_changes": MOST_CHANGES}

    def preview(self, request: HttpRequest) -> TemplateResponse:
        """Answer the exact command for what was posted, as a fragment of the page."""
        context = self.preview_commands(request, self.make_bound_form(request, is_filled=True))
        return TemplateResponse(request, "admin/portal/command.html", context)

    def submit(self, request: HttpRequest) -> HttpResponse:
        """Ask for the action on each subject; show the form again when nothing was accepted."""
        form = self.make_bound_form(request, is_filled=True)
        answers = actions.request_actions(request, self.kind, self.subjects, form)
        accepted = [answer.action for answer in answers if answer.action]
        if accepted:
            actions.show_answers(request, self.kind, answers)
            alone = len(self.subjects) == 1
            return HttpResponseRedirect(actions.get_action_address(accepted[0].pk) if alone else self.back)
        return self._refuse(request, form, answers)

    def _refuse(self, request: HttpRequest, form: ActionForm, answers: Sequence[Answer]) -> HttpResponse:
        # What is wrong with the form is wrong for each subject; it is said once.
        refusals = {str(answer.refusal): answer.refusal for answer in answers if answer.refusal}
        for refusal in refusals.values():
            if isinstance(refusal, InvalidParameters):
                form.show_errors(refusal)
            else:
                messages.error(request, actions.explain_refusal(refusal))
        return self.show(request, form, status=actions.get_http_status(next(iter(refusals.values()))))

    @property
    def title(self) -> str:
        """What is asked for, and of what."""
        said = {Target.SITE: gettext("{action} at {names}"), Target.JOBS: gettext("{action} of {names}")}
        form = said.get(self.kind.target, "{action} {names}")
        return form.format(action=gettext(self.kind.title), names=self._join_names())

    def _join_names(self) -> str:
        names = sorted(str(subject) for subject in self.subjects)
        count = len(names)
        return (
            names[0] if count == 1 else ngettext("{count} experiment", "{count} experiments", count).format(count=count)
        )

    def _find_earlier(self, request: HttpRequest) -> dict[str, Any]:
        """Return the parameters of the action named by `?like=`, to ask for the same again."""
        number = parse_number(request.GET.get("like"))
        if number is None:
            return {}
        action = Action.objects.visible_to(request.user).filter(pk=number, kind=self.kind.name).first()
        return restore_values(self.kind, action.parameters) if action else {}


class RequestPages(ConsoleAdmin):
    """Gives an admin a form page for each kind with one of `request_targets`, about the row `object_id`."""

    request_targets: tuple[Target, ...] = ()

    def get_urls(self) -> list[URLPattern]:
        """Add the form page and its preview."""
        view = self.admin_site.admin_view
        return [
            path(f"{self.row_part}/request/<str:name>/", view(self.request_view), name=self.request_route),
            path(f"{self.row_part}/request/<str:name>/preview/", view(require_POST(self.preview_view))),
            *super().get_urls(),
        ]

    @property
    def request_route(self) -> str:
        """The name of the address of the form page."""
        return f"{self.opts.app_label}_{self.opts.model_name}_request"

    def get_subject(self, obj: Any) -> Subject:
        """Return what an action on the row is asked for."""
        raise NotImplementedError

    def request_view(self, request: HttpRequest, object_id: int | str, name: str) -> HttpResponse:
        """Show the form, or take it."""
        page = self.form_page(request, object_id, name)
        if request.method == "POST":
            return page.submit(request)
        decision = policy.decide(request.user, page.kind, **actions.get_policy_scope(page.subjects[0]))
        if not decision.allowed:
            raise PermissionDenied(translate(decision.reason))
        return page.show(request, page.make_bound_form(request, is_filled=False))

    def preview_view(self, request: HttpRequest, object_id: int | str, name: str) -> HttpResponse:
        """Answer the exact command for what the form says now."""
        return self.form_page(request, object_id, name).preview(request)

    def form_page(self, request: HttpRequest, object_id: int | str, name: str) -> FormPage:
        """Return the form page of the kind called `name` for a row that the user may see."""
        obj = self.get_visible_object(request, str(object_id))
        kind = CATALOGUE.get(name)
        if kind is None or kind.target not in self.request_targets:
            raise Http404(gettext("There is no action “{name}” here.").format(name=name))
        frame = {**self.admin_site.each_context(request), "opts": self.opts, "original": obj}
        subject = self.get_subject(obj)
        return FormPage(
            kind=kind,
            subjects=[subject],
            alternative=self._make_alternative(request, kind, subject, obj),
            address=reverse(f"admin:{self.request_route}", args=[self.get_key(obj), name]),
            back=self.get_address("change", self.get_key(obj)),
            frame=frame,
        )

    def _make_alternative(self, request: HttpRequest, kind: ActionKind, subject: Subject, obj: Any) -> Button | None:
        """Return the button of the kind that stands in for `kind`, or that it stands in for, if that is possible."""
        kinds = actions.filter_allowed(request.user, kind.counterparts, subject)
        made = actions.make_buttons(request, subject, kinds, self.request_route, self.get_key(obj))
        return next((button for button in made if not button.obstacle), None)
