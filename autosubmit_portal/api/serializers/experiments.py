"""Experiments, their runs, and sites. The fields of Autosubmit API 4.2 come first, under its names; ours follow."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from autosubmit_portal.api.serializers.common import Listing, PageInfo
from autosubmit_portal.api.serializers.fields import CountField, InstantField, TextOrNullField, make_texts
from experiments.actions.call_empty import HostState
from experiments.attention.rules import TITLES
from experiments.forecast.forecast import Forecast
from experiments.models import Experiment, Host, Site
from experiments.models.site import RunAs, Unpushed

RUN_STATES = ("RUNNING", "NOT RUNNING")


class RunStateField(serializers.ChoiceField):
    """Whether an experiment runs, in the words of Autosubmit API."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=RUN_STATES, **kwargs)

    def to_representation(self, value: Any) -> str:
        """Write the word."""
        return "RUNNING" if value else "NOT RUNNING"


class AttentionItem(serializers.Serializer[Any]):
    """One thing that needs somebody."""

    rule = serializers.ChoiceField(choices=[*TITLES], help_text="The rule that has found it.")
    sentence = serializers.CharField(help_text="What is wrong, in a sentence.")
    evidence = serializers.CharField(help_text="What that was concluded from.")
    advice = serializers.CharField(help_text="What to do; blank where nobody can say.")
    remedy = TextOrNullField(help_text="The action that helps best; null where none does.")
    job = TextOrNullField(help_text="The job that it is about; null for none.")
    since = InstantField(help_text="Since when it is so.")


class AttentionField(serializers.ListField):
    """What needs somebody, as the mirror keeps it: in the shape of the answer."""

    child = AttentionItem()

    def to_representation(self, data: Any) -> list[Any]:
        """Write each, with null for what is blank."""
        return [one | {name: one[name] or None for name in ("remedy", "job")} for one in data]


class ForecastItem(serializers.Serializer[Forecast]):
    """When the run of an experiment is expected to end, and what that rests on."""

    ends_at = InstantField(
        allow_null=True,
        help_text="When the last of its jobs that can go on is expected to end; null without a forecast.",
    )
    earliest_at = InstantField(allow_null=True, help_text="Four in five ends lie between this …")
    latest_at = InstantField(allow_null=True, help_text="… and this.")
    why_not = TextOrNullField(help_text="Why there is no forecast; null if there is one.")
    condition = TextOrNullField(help_text="Which jobs cannot go on, and how many wait for them; null for none.")
    jobs_left = serializers.IntegerField(help_text="Number of jobs that are not done.")
    measured = serializers.IntegerField(help_text="Number of jobs whose times it was learned from.")
    recalled = make_texts(help_text="Sections with jobs left that were measured only before their jobs were reset.")
    unmeasured = make_texts(help_text="Sections with jobs left that were never measured: guessed by their wallclock.")
    path = serializers.DictField(
        child=serializers.IntegerField(), help_text="Number of jobs by section on the longest way to the end."
    )
    rate = serializers.FloatField(allow_null=True, help_text="Jobs done in an hour, in this run and its last day.")
    made_at = InstantField(
        source="told_at", allow_null=True, help_text="When the forecast was made; null without a forecast."
    )


class ExperimentItem(serializers.Serializer[Experiment]):
    """An experiment in a list."""

    id = serializers.IntegerField(source="autosubmit_id", help_text="Its number in Autosubmit's database.")
    name = serializers.CharField(source="expid")
    user = TextOrNullField(source="recorded_owner", help_text="The owner that Autosubmit's database names.")
    description = serializers.CharField()
    hpc = TextOrNullField()
    version = TextOrNullField()
    created = InstantField(source="created_at", allow_null=True)
    modified = InstantField(source="changed_at", allow_null=True)
    status = RunStateField(source="is_running")
    completed = CountField("COMPLETED")
    total = serializers.IntegerField(source="total_jobs", help_text="Number of jobs.")
    submitted = CountField("SUBMITTED")
    queuing = CountField("QUEUING")
    running = CountField("RUNNING")
    failed = CountField("FAILED")
    suspended = CountField("SUSPENDED")
    site = serializers.CharField(source="site.slug")
    expid = serializers.CharField()
    owner = TextOrNullField(
        help_text="The account that the folder of the experiment belongs to, which is who counts; a number where the "
        "host has no name for it."
    )
    is_running = serializers.BooleanField()
    evidence = serializers.CharField(help_text="What shows that it runs, or that it does not.")
    run_host = TextOrNullField(
        source="run_host_name", help_text="The host of the site where its run lives, or lived last; null if not known."
    )
    status_counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="Number of jobs per status; zeros are left out."
    )
    problem = serializers.CharField(help_text="What the mirror could not read; blank if all is well.")
    problem_since = InstantField(
        allow_null=True, help_text="Since when it cannot: the jobs are those that were read before."
    )
    disagreement = serializers.CharField(
        help_text="Where Autosubmit's database, the process and the job list contradict each other, and what to do; "
        "blank if they agree."
    )
    disagrees_since = InstantField(allow_null=True, help_text="Since when they do.")
    attention = AttentionField(
        help_text="What needs somebody, the most urgent first: a run that is dead or stalled, a job beyond its "
        "wallclock; empty if all is well."
    )
    refreshed_at = InstantField(allow_null=True, help_text="When its files were last read.")
    changed_at = InstantField(allow_null=True, help_text="When its files last changed.")
    active_action = serializers.IntegerField(
        source="active_action_id", allow_null=True, help_text="The action that excludes others now."
    )


class ExperimentDetail(ExperimentItem):
    """An experiment."""

    autosubmit_version = TextOrNullField(source="version")
    model = TextOrNullField(help_text="The model, as the project names it.")
    branch = TextOrNullField(help_text="The branch of the project.")
    looked_at = InstantField(
        allow_null=True, help_text="When the mirror last looked whether its files have changed, or later."
    )
    owner_note = serializers.CharField(
        help_text="What to know of the owner: that the folder is not of the `user`, say; blank if all is well."
    )
    unwatched_note = serializers.CharField(
        help_text="Which jobs go on on their platform although no run watches them, as after a stop; blank for none."
    )
    are_edges_known = serializers.BooleanField(help_text="Whether the store tells which jobs wait for which.")
    edges_note = serializers.CharField(
        help_text="What is not known of the dependencies between its jobs; blank if all is well."
    )
    recorded_status = TextOrNullField(
        help_text="What Autosubmit's own status table says; most versions leave it at RUNNING for ever."
    )
    gone_at = InstantField(allow_null=True, help_text="When it was first missing from the store.")
    run_began_at = InstantField(
        allow_null=True, help_text="When the process of its latest run began, if that is known."
    )
    forecast = ForecastItem(
        source="current_forecast",
        help_text="When its run is expected to end. `eta` is the serial estimate of one section.",
    )
    alive_at = InstantField(allow_null=True, help_text="The last sign of life of its run; null while it does not run.")


@extend_schema_serializer(many=False)  # the answer is one object, also of `list`
class ExperimentList(serializers.Serializer[Any]):
    """A page of experiments."""

    experiments = ExperimentItem(many=True)
    pagination = PageInfo()


class RunItem(serializers.Serializer[Any]):
    """A run. Its counts are those that Autosubmit wrote last."""

    run_id = serializers.IntegerField()
    start = InstantField(source="started_at", allow_null=True)
    finish = InstantField(source="finished_at", allow_null=True)
    chunk_unit = TextOrNullField()
    chunk_size = serializers.IntegerField()
    completed = serializers.IntegerField()
    total = serializers.IntegerField()
    failed = serializers.IntegerField()
    queuing = serializers.IntegerField()
    running = serializers.IntegerField()
    submitted = serializers.IntegerField()
    suspended = serializers.IntegerField()
    run_host = TextOrNullField(
        help_text="The host of the site where the latest run lives or lived; null of others, and if not known."
    )
    began_at = InstantField(
        allow_null=True,
        help_text="When its process began, if that was seen; `start` is when its job list was generated.",
    )


@extend_schema_serializer(many=False)  # the answer is one object, also of `list`
class RunList(serializers.Serializer[Any]):
    """The runs of an experiment, oldest first."""

    runs = RunItem(many=True)


class HostItem(serializers.Serializer[Host]):
    """A host of a site."""

    name = serializers.CharField(help_text="Its name in the gateway's file of hosts.")
    node = TextOrNullField(help_text="What it calls itself; null until it was asked.")
    refused = make_texts(help_text="The commands of Autosubmit that `[hosts]` of the rc file does not let it run.")
    rules_asked_at = InstantField(allow_null=True, help_text="When it was last asked for them.")
    position = serializers.IntegerField(help_text="Its place in the order; the least number comes first.")
    called_empty_at = InstantField(
        allow_null=True, help_text="When a manager last said that nothing runs there; it holds until it is back."
    )
    called_empty_by = TextOrNullField(help_text="Who said so.")


class HostStateItem(serializers.Serializer[HostState]):
    """How a host is reached, and whether it is now."""

    channel = TextOrNullField(
        help_text="`local`, `sudo`, `ssh`, `command` or `websocket`; null where the gateway does not know it."
    )
    is_connected = serializers.BooleanField(allow_null=True, help_text="null: no gateway answers.")
    reason = serializers.CharField(help_text="Why it is not connected, or why nobody knows; blank if it is.")
    silent_since = InstantField(allow_null=True, help_text="Since when it is not connected, if that is known.")
    may_hide_run = serializers.BooleanField(
        help_text="Whether a run may live there unseen: until then others do not start one (see `call-empty`)."
    )


class HostDetail(HostItem, HostStateItem):
    """A host of a site, and how it stands."""


class SiteItem(serializers.Serializer[Site]):
    """A site and its health."""

    slug = serializers.CharField()
    name = serializers.CharField()
    is_default = serializers.BooleanField()
    is_healthy = serializers.SerializerMethodField()
    problem = serializers.CharField(help_text="What is broken and what to do; blank for a healthy site.")
    autosubmit_version = TextOrNullField()
    mirrored_at = InstantField(allow_null=True, help_text="When the mirror was last at work there.")
    swept_at = InstantField(
        allow_null=True,
        help_text="Since when the mirror has looked at every experiment at least once: nothing is older.",
    )
    mirrored_by = serializers.CharField(
        help_text="Host and process number of the mirror that is at work; others stand by. Blank if none is."
    )
    is_mirror_fresh = serializers.BooleanField(help_text="Whether that was recently enough.")
    most_commands = serializers.IntegerField(
        allow_null=True,
        help_text="How many commands run there at the same time; null: as many as its workers have processors.",
    )
    run_as = serializers.ChoiceField(
        choices=RunAs.values, help_text="Whose Unix account commands run as: `service`, or that of the `actor`."
    )
    approval_kinds = make_texts(help_text="The action kinds that a second person must approve.")
    unpushed = serializers.ChoiceField(
        choices=Unpushed.values,
        help_text="What becomes of a start of an operational experiment (`o…`) whose project is not pushed.",
    )
    enabled_kinds = make_texts(help_text="The action kinds that may be requested there.")
    hosts = HostItem(many=True, help_text="Commands go to the first of them that may run them and is connected.")

    def get_is_healthy(self, site: Site) -> bool:
        """Return whether nothing is known to be broken."""
        return not site.problem


class SiteDetail(SiteItem):
    """A site, with how its hosts stand."""

    hosts = HostDetail(many=True, help_text="Commands go to the first that may run them and is connected.")


class CallEmptyBody(serializers.Serializer[Any]):
    """How somebody knows that nothing runs at a host that is silent."""

    host = serializers.CharField(max_length=100, help_text="The name of the host.")
    # Not required here: `call_empty` says so, to whom it may, and records it like every other refusal.
    reason = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=2000,
        help_text="How you know that nothing runs there; kept in the trail. Required.",
    )


class PermissionItem(serializers.Serializer[Any]):
    """Whether an action may be requested, and why."""

    kind = serializers.CharField()
    title = serializers.CharField()
    allowed = serializers.BooleanField()
    via = serializers.CharField(help_text="The role or the permission that allows it; blank if none does.")
    reason = serializers.CharField(help_text="The decision in words: of a refusal, what is missing.")


@extend_schema_serializer(many=False)  # the answer is one object, also of `list`
class PermissionList(serializers.Serializer[Any]):
    """What may be requested of an experiment."""

    expid = serializers.CharField()
    site = serializers.CharField()
    permissions = PermissionItem(many=True)


class SiteList(Listing):
    """The sites."""

    results = SiteItem(many=True)
