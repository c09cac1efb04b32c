"""Logs of experiments and jobs."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from autosubmit_portal.api.serializers.common import PageInfo
from autosubmit_portal.api.serializers.fields import InstantField


class LogItem(serializers.Serializer[Any]):
    """A log in a list."""

    name = serializers.CharField(help_text="The name of the file.")
    kind = serializers.CharField(
        help_text="`out`, `err`, `script` or `other` of a job; of an experiment what wrote it, as `run` or `run_err`."
    )
    size = serializers.IntegerField(help_text="Bytes as it lies there, compressed or not.")
    modified = InstantField(help_text="When it was last written.")
    is_compressed = serializers.BooleanField(help_text="Whether it holds more than its size; it is read unpacked.")
    url = serializers.CharField(help_text="The address of its content.")


@extend_schema_serializer(many=False)  # the answer is one object, also of `list`
class LogList(serializers.Serializer[Any]):
    """Logs, the one written last first."""

    logs = LogItem(many=True)
    pagination = PageInfo()


class LogPart(serializers.Serializer[Any]):
    """A part of a log."""

    name = serializers.CharField()
    file = serializers.CharField(
        help_text="Tells this file from another one of its name. Give it back to be told when it was replaced."
    )
    offset = serializers.IntegerField(help_text="The first byte.")
    next_offset = serializers.IntegerField(help_text="Where to go on.")
    size = serializers.IntegerField(help_text="Bytes of the whole log now.")
    text = serializers.CharField()
    is_reset = serializers.BooleanField(
        help_text="Whether the log was replaced or cut: this is its beginning and follows nothing read before."
    )
    is_over = serializers.BooleanField(help_text="Whether this is the end and nothing more will be written.")


class LogMatch(serializers.Serializer[Any]):
    """Where a text was found."""

    line = serializers.IntegerField(help_text="The number of the line, from 1.")
    offset = serializers.IntegerField(help_text="The first byte of what was found.")
    length = serializers.IntegerField(help_text="Its bytes.")
    excerpt = serializers.CharField(help_text="The line, or of a long one at most 80 bytes before and 200 after it.")


class LogMatches(serializers.Serializer[Any]):
    """What a search found."""

    name = serializers.CharField()
    file = serializers.CharField(help_text="As in a part of the log.")
    size = serializers.IntegerField(help_text="Bytes of the whole log now.")
    matches = LogMatch(many=True)
    next_offset = serializers.IntegerField(help_text="The `offset` to go on with.")
    next_line = serializers.IntegerField(help_text="The `line` to go on with.")
    is_complete = serializers.BooleanField(help_text="Whether the search has come to the end of the log.")
