"""Notes on experiments and jobs."""

from typing import Any

from rest_framework import serializers

from autosubmit_portal.api.serializers.common import Listing
from autosubmit_portal.api.serializers.fields import InstantField
from experiments.actions.notes import LONGEST_TEXT
from experiments.models import Note
from experiments.models.note import Acknowledged

_ACKNOWLEDGES = (
    "`attention`: the author has seen what the rules say of the experiment; `failure`: that jobs have failed. It holds "
    "until that changes."
)


class NoteBody(serializers.Serializer[Any]):
    """What is to be written."""

    text = serializers.CharField(max_length=LONGEST_TEXT, help_text="Markdown; HTML in it is shown as text.")
    pinned = serializers.BooleanField(default=False, help_text="Whether it stands before the others.")
    ends_at = InstantField(required=False, allow_null=True, help_text="Until when it holds (ISO 8601).")


class ExperimentNoteBody(NoteBody):
    """What is to be written on an experiment."""

    acknowledges = serializers.ChoiceField(
        choices=Acknowledged.choices, required=False, allow_blank=True, help_text=_ACKNOWLEDGES
    )


class NoteItem(serializers.Serializer[Note]):
    """A note on an experiment or on one of its jobs."""

    id = serializers.IntegerField()
    expid = serializers.CharField(source="experiment.expid")
    site = serializers.CharField(source="experiment.site.slug")
    job = serializers.CharField(source="job_name", help_text="The job; blank for the experiment as a whole.")
    text = serializers.CharField(help_text="Markdown.")
    pinned = serializers.BooleanField(source="is_pinned")
    acknowledges = serializers.CharField(help_text=f"{_ACKNOWLEDGES} Blank for a note that says nothing of the kind.")
    author = serializers.CharField(source="author_name")
    made_at = InstantField()
    ends_at = InstantField(allow_null=True)
    removed_at = InstantField(allow_null=True)
    removed_by = serializers.CharField(source="removed_by_name", help_text="Blank if nobody has removed it.")
    is_over = serializers.BooleanField(help_text="Whether it was removed, or its time is up.")


class NoteList(Listing):
    """A page of notes, newest first."""

    results = NoteItem(many=True)
