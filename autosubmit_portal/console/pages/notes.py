"""Writing and removing notes in the console: forms of other pages come here, and their pages are shown again."""

from collections.abc import Callable

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from autosubmit_portal.audit.origin import get_actor, make_origin
from autosubmit_portal.console.parts.actions import explain_refusal
from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.parts.validity import InstantField
from experiments.actions.notes import LONGEST_TEXT, NotePlan, remove_note, write_note
from experiments.models import Experiment, Note
from experiments.models.note import Acknowledged
from jobs.autosubmit.job_record import LONGEST_NAME


class NoteForm(forms.Form):
    """What to write. The rules are those of `experiments.actions.notes`."""

    text = forms.CharField(max_length=LONGEST_TEXT, required=False)
    is_pinned = forms.BooleanField(required=False)
    ends_at = InstantField(required=False)
    job_name = forms.CharField(max_length=LONGEST_NAME, required=False)
    acknowledges = forms.ChoiceField(choices=[("", ""), *Acknowledged.choices], required=False)


class NotePages(ReadOnlyAdmin):
    """Gives the admin of experiments `notes/` and `notes/<note>/remove/`, which take what forms send."""

    def get_urls(self) -> list[URLPattern]:
        """Add both."""
        return [
            self.make_row_url("notes", require_POST(self.write_view)),
            path(
                f"{self.row_part}/notes/<int:note_id>/remove/",
                self.admin_site.admin_view(require_POST(self.remove_view)),
                name=self.get_route("notes_remove"),
            ),
            *super().get_urls(),
        ]

    def write_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Write a note, or acknowledge what is wrong, and go back."""

        def write(experiment: Experiment) -> str:
            plan = NotePlan(experiment=experiment, **form.cleaned_data)
            write_note(plan, actor=get_actor(request), origin=make_origin(request))
            return (
                gettext("You have taken it: {experiment}.").format(experiment=experiment)
                if plan.acknowledges
                else gettext("The note is written.")
            )

        form = NoteForm(request.POST)
        if form.is_valid():
            return self.change_note(request, object_id, write)
        messages.error(request, " ".join(str(text) for texts in form.errors.values() for text in texts))
        return go_back(request, self.get_visible_object(request, object_id))

    def remove_view(self, request: HttpRequest, object_id: str, note_id: int) -> HttpResponse:
        """Remove a note, and go back."""

        def remove(experiment: Experiment) -> str:
            rows = Note.objects.filter(pk=note_id, experiment=experiment).select_related("experiment__site")
            note = rows.first()
            if note is None:
                raise Http404(gettext("There is no such note."))
            remove_note(note, actor=get_actor(request), origin=make_origin(request))
            return (
                gettext("It needs somebody again: {experiment}.").format(experiment=experiment)
                if note.acknowledges
                else gettext("The note is removed.")
            )

        return self.change_note(request, object_id, remove)

    def change_note(
        self, request: HttpRequest, object_id: str, change: Callable[[Experiment], str]
    ) -> HttpResponseRedirect:
        """Do it, and go back to the page of the form, which tells the message or the refusal."""
        experiment: Experiment = self.get_visible_object(request, object_id)
        try:
            messages.success(request, change(experiment))
        except self.refusals as refusal:
            messages.error(request, explain_refusal(refusal))
        return go_back(request, experiment)


def go_back(request: HttpRequest, experiment: Experiment) -> HttpResponseRedirect:
    """Redirect to the page of the portal that the form names, by default that of the experiment."""
    back = request.POST.get("back", "")
    is_ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return HttpResponseRedirect(back if is_ours else reverse("admin:experiments_experiment_change", args=[experiment]))
