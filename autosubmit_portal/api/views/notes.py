"""Routes of the notes on an experiment and on one of its jobs."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.action_requests import read_body, require_empty, validate_body
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_experiment, find_first, find_job
from autosubmit_portal.api.openapi.documentation import Body, answer, operation
from autosubmit_portal.api.openapi.examples import LATER
from autosubmit_portal.api.query.pagination import NEWEST_FIRST, answer_listing, read_page
from autosubmit_portal.api.query.queries import NotesQuery, SiteQuery
from autosubmit_portal.api.serializers.notes import ExperimentNoteBody, NoteBody, NoteItem, NoteList
from autosubmit_portal.audit.origin import get_actor, make_origin
from experiments.actions.notes import NotePlan, may_remove, may_write, remove_note, require_writing, write_note
from experiments.models import Experiment, Note
from jobs.models import Job

_WRITTEN = {"text": "Two members have wrong restart files, see ticket 4711.", "pinned": True}
_SEEN = {"text": "Seen, waiting for ticket 4711.", "acknowledges": "failure", "ends_at": LATER}


class NotePages(PortalViewSet):
    """Notes on one thing, which the address names."""

    tag = "Notes"
    lookup_url_kwarg = "note_id"
    lookup_value_converter = "int"
    body_class: type[NoteBody] = NoteBody

    def find_subject(self, request: Request, query: Any) -> tuple[Experiment, str]:
        """Return the experiment and the name of the job, blank for the experiment as a whole; or raise NotFound."""
        site = query.get("site")
        if "job" not in self.kwargs:
            return find_experiment(request, self.kwargs["expid"], site), ""
        experiment = find_experiment(request, self.kwargs["expid"], site, showing=Job)
        return experiment, find_job(experiment, self.kwargs["job"]).name

    def may_offer(self, name: str, kind: str) -> bool:
        """Answer whether the person may write here, or remove this note."""
        experiment, job = self.find_subject(self.request, self.request.query_params)
        if not self.detail:
            return may_write(self.request.user, experiment)
        note = find_note(experiment, job, self.kwargs["note_id"])
        return not note.is_over and may_remove(self.request.user, note)

    def list_notes(self, request: Request) -> Response:
        """Answer a page of notes."""
        query = NotesQuery.read(request)
        rows = filter_about(*self.find_subject(request, query))
        page = read_page(request, rows if query.get("all") else rows.current(), NEWEST_FIRST, query)
        return answer_listing(page, NoteItem(page.rows, many=True).data)

    def write(self, request: Request) -> Response:
        """Write a note and answer it."""
        experiment, job = self.find_subject(request, SiteQuery.read(request))
        actor, origin = get_actor(request), make_origin(request)
        require_writing(experiment, actor=actor, origin=origin)
        body = validate_body(self.body_class, read_body(request))
        plan = NotePlan(
            experiment=experiment,
            job_name=job,
            text=body["text"],
            is_pinned=body["pinned"],
            acknowledges=body.get("acknowledges", ""),
            ends_at=body.get("ends_at"),
        )
        made = write_note(plan, actor=actor, origin=origin)
        address = self.get_address(
            f"{self.basename}-detail", {**self.kwargs, "note_id": made.pk}, made.experiment.site.slug
        )
        return Response(NoteItem(made).data, status=201, headers={"Location": address})

    def show(self, request: Request, note_id: int) -> Response:
        """Answer one note."""
        return Response(NoteItem(find_note(*self.find_subject(request, SiteQuery.read(request)), note_id)).data)

    def remove(self, request: Request, note_id: int) -> Response:
        """Remove one note and answer it."""
        note = find_note(*self.find_subject(request, require_empty(request, SiteQuery)), note_id)
        remove_note(note, actor=get_actor(request), origin=make_origin(request))
        return Response(NoteItem(note).data)


class ExperimentNoteViewSet(NotePages):
    """Notes on an experiment, and what somebody has seen of it."""

    title = "Notes"
    body_class = ExperimentNoteBody

    @operation(
        "list_notes",
        "List the notes on an experiment",
        {200: answer(NoteList, "Notes, newest first.")},
        parameters=[NotesQuery],
    )
    def list(self, request: Request, expid: str) -> Response:
        """List the notes on the experiment and on its jobs that hold, newest first; `all=true` shows the others too."""
        return self.list_notes(request)

    @operation(
        "write_note",
        "Write a note on an experiment, or acknowledge",
        {201: answer(NoteItem, "The note.")},
        parameters=[SiteQuery],
        body=Body.make(ExperimentNoteBody, {"A note": _WRITTEN, "Seen": _SEEN}),
        errors=[409],
    )
    def create(self, request: Request, expid: str) -> Response:
        """Write a note, which everybody sees who sees the experiment; it is never changed.

        With `acknowledges` you say that you have seen what is wrong and take it: the console lists it as seen until
        `ends_at`, at latest until it changes. Needs the permission `experiments.write_note`.
        """
        return self.write(request)

    @operation("get_note", "Show a note", {200: answer(NoteItem, "The note.")}, parameters=[SiteQuery])
    def retrieve(self, request: Request, expid: str, note_id: int) -> Response:
        """Show a note on the experiment or on one of its jobs, also one that is over."""
        return self.show(request, note_id)

    @operation(
        "remove_note",
        "Remove a note",
        {200: answer(NoteItem, "The note, which is over.")},
        parameters=[SiteQuery],
        errors=[409],
    )
    def destroy(self, request: Request, expid: str, note_id: int) -> Response:
        """Remove a note: its author may, and whoever holds the permission `experiments.remove_note`.

        What was acknowledged needs somebody again. The audit trail keeps the text.
        """
        return self.remove(request, note_id)


class JobNoteViewSet(NotePages):
    """Notes on a job."""

    title = "Notes on the job"

    @operation(
        "list_job_notes",
        "List the notes on a job",
        {200: answer(NoteList, "Notes, newest first.")},
        parameters=[NotesQuery],
    )
    def list(self, request: Request, expid: str, job: str) -> Response:
        """List the notes on the job that hold, newest first; `all=true` shows the others too."""
        return self.list_notes(request)

    @operation(
        "write_job_note",
        "Write a note on a job",
        {201: answer(NoteItem, "The note.")},
        parameters=[SiteQuery],
        body=Body.make(NoteBody, {"A note": _WRITTEN}),
        errors=[409],
    )
    def create(self, request: Request, expid: str, job: str) -> Response:
        """Write a note on a job of the experiment. Needs the permission `experiments.write_note`."""
        return self.write(request)

    @operation("get_job_note", "Show a note on a job", {200: answer(NoteItem, "The note.")}, parameters=[SiteQuery])
    def retrieve(self, request: Request, expid: str, job: str, note_id: int) -> Response:
        """Show a note on the job, also one that is over."""
        return self.show(request, note_id)

    @operation(
        "remove_job_note",
        "Remove a note on a job",
        {200: answer(NoteItem, "The note, which is over.")},
        parameters=[SiteQuery],
        errors=[405, 409],  # what is no number is taken for a part of the name of a job
    )
    def destroy(self, request: Request, expid: str, job: str, note_id: int) -> Response:
        """Remove a note: its author may, and whoever holds the permission `experiments.remove_note`."""
        return self.remove(request, note_id)


def filter_about(experiment: Experiment, job: str) -> Any:
    """Return the notes on an experiment and its jobs, or on one job."""
    rows = Note.objects.filter(experiment=experiment).select_related("experiment__site")
    return rows.filter(job_name=job) if job else rows


def find_note(experiment: Experiment, job: str, note_id: int) -> Note:
    """Return a note on the experiment or the job; raise NotFound."""
    rows: QuerySet[Note] = filter_about(experiment, job).filter(pk=note_id)
    return find_first(rows, f"There is no note {note_id} on {job or experiment}.")
