"""Configurations of experiments. The fields of Autosubmit API 4.2 come first, under its names; ours follow."""

from typing import Any

from rest_framework import serializers

from autosubmit_portal.api.serializers.fields import make_texts

PEER_HELP = (
    "Nested, with the keys of Autosubmit. `contains_nones` at its top: whether it is empty, or one of the keys beside "
    "it is null. Secrets are `********`."
)
MASKED_HELP = "Where secrets were, as JSON pointers (RFC 6901) into `config`."


class RunConfiguration(serializers.Serializer[Any]):
    """What a run was created with."""

    run_id = serializers.IntegerField()
    config = serializers.DictField(help_text=PEER_HELP)
    masked = make_texts(help_text=MASKED_HELP)


class FileSystemConfiguration(serializers.Serializer[Any]):
    """What the files say now."""

    config = serializers.DictField(help_text=PEER_HELP)
    masked = make_texts(help_text=MASKED_HELP)
    files = make_texts(help_text="The files that were read, by their path in the experiment.")
    left_out = make_texts(
        help_text="The files that the configuration names and that were not read, each with the reason. Autosubmit "
        "itself reads files outside of the experiment, too."
    )
