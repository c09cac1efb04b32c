"""Which Autosubmit the commands of an experiment are of."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers


class ProgramBody(serializers.Serializer[Any]):
    """The program that is to be."""

    program = serializers.CharField(
        allow_blank=True, max_length=50, help_text="One of `programs`; blank for the one of the version."
    )


@extend_schema_serializer(many=False)  # the answer is one object, also of `list`
class ProgramItem(serializers.Serializer[Any]):
    """The Autosubmit of an experiment, and those that its site has."""

    expid = serializers.CharField()
    site = serializers.CharField()
    chosen = serializers.CharField(help_text="What a manager has chosen; blank for the one of the version.")
    program = serializers.CharField(help_text="The name of the one that commands are of; blank for the usual one.")
    why = serializers.CharField(help_text="Why it is that one.")
    programs = serializers.DictField(
        child=serializers.CharField(), help_text="The versions of those that the site names, by their names."
    )
