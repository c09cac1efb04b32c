"""What several answers are made of."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from autosubmit_portal.api.serializers.fields import make_texts


class Problem(serializers.Serializer[Any]):
    """Problem details (RFC 9457)."""

    type = serializers.CharField(help_text="Identifies the kind of problem.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What is wrong and what to do.")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=make_texts(), required=False, help_text="Of a 400: what is wrong with each parameter."
    )
    permission = serializers.CharField(required=False, help_text="Of a 403: the permission that would do everywhere.")
    action_id = serializers.IntegerField(required=False, help_text="Of a 409: the action that is in the way.")
    action = serializers.CharField(required=False, help_text="Of a 409: the address of that action.")
    sites = make_texts(required=False, help_text="Of a 409: the sites that have this expid.")
    error = serializers.BooleanField(help_text="Always true; for clients of Autosubmit API.")
    error_message = serializers.CharField(help_text="The detail again; for clients of Autosubmit API.")


class PageInfo(serializers.Serializer[Any]):
    """Where a page is among all pages."""

    page = serializers.IntegerField(allow_null=True, help_text="null: a cursor led here.")
    page_size = serializers.IntegerField(allow_null=True, help_text="null: everything on one page.")
    total_pages = serializers.IntegerField()
    page_items = serializers.IntegerField()
    total_items = serializers.IntegerField()
    next = serializers.URLField(allow_null=True, help_text="The address of the page behind, by cursor.")
    previous = serializers.URLField(allow_null=True, help_text="The address of the page before, by cursor.")


@extend_schema_serializer(many=False)  # the answer is one object, also of `list`
class Listing(serializers.Serializer[Any]):
    """A page of a list that is read from its newest entry."""

    next = serializers.URLField(allow_null=True, help_text="The address of the page with older entries.")
    previous = serializers.URLField(allow_null=True, help_text="The address of the page with newer entries.")


@extend_schema_serializer(many=False)  # the answer is one object, also of `list`
class Index(serializers.Serializer[Any]):
    """Where to go."""

    experiments = serializers.URLField()
    actions = serializers.URLField()
    sites = serializers.URLField()
    freezes = serializers.URLField()
    delegations = serializers.URLField()
    audit = serializers.URLField()
    tokens = serializers.URLField()
    schema = serializers.URLField()
    docs = serializers.URLField()
    health = serializers.URLField()


class Health(serializers.Serializer[Any]):
    """One word for each part: `ok`, what is wrong, or `unknown`."""

    database = serializers.CharField(help_text="`ok` or `down`.")
    migrations = serializers.CharField(help_text="`ok`, or `behind` if the tables are not those of the code.")
    trail = serializers.CharField(help_text="`ok`, or `open` if the database lets entries be changed.")
    search = serializers.CharField(help_text="`ok`, or `slow` where it reads every row.")
    broker = serializers.CharField(help_text="`ok` or `down`: without it, actions wait.")
    workers = serializers.CharField(
        help_text="`ok`, `missing` if nobody serves the queue of a site, `foreign` if a worker cannot read our "
        "messages, `stray` if one serves a queue that no site uses."
    )
    queue = serializers.CharField(help_text="`ok`, `slow` or `stuck`: how long the oldest queued action waits.")
    mirror = serializers.CharField(help_text="`ok`, or `stale` if it has not looked at a site for too long.")
    sites = serializers.CharField(help_text="`ok`, `unhealthy`, or `none` if there is none yet.")
    program = serializers.CharField(help_text="`ok`, or `missing` if an Autosubmit is not on this host.")
    disk = serializers.CharField(help_text="`ok`, `low` or `full`: where the output of actions goes.")
    files = serializers.CharField(help_text="`ok`, or `open` if other accounts may read what is kept.")
