"""Jobs. The fields of Autosubmit API 4.2 come first, under its names; ours follow."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from autosubmit_portal.api.serializers.common import PageInfo
from autosubmit_portal.api.serializers.fields import InstantField, TextOrNullField, make_texts


class JobItem(serializers.Serializer[Any]):
    """A job in a list. The last ones are there only if `fields` names them; in the view `quick`, name and status."""

    name = serializers.CharField()
    status = serializers.CharField(help_text="One of Autosubmit's names, in upper case.")
    priority = serializers.IntegerField(required=False)
    section = TextOrNullField(required=False)
    date = TextOrNullField(
        required=False,
        help_text="The start date that it belongs to, as YYYY-MM-DD, or YYYY-MM-DDThh:mm if it has an hour.",
    )
    member = TextOrNullField(required=False)
    chunk = serializers.IntegerField(required=False, allow_null=True)
    split = serializers.IntegerField(required=False, allow_null=True)
    splits = serializers.IntegerField(required=False, allow_null=True)
    out_path_local = serializers.CharField(
        required=False, help_text="The file name of its output, as Autosubmit recorded it."
    )
    err_path_local = serializers.CharField(required=False)
    out_path_remote = serializers.CharField(required=False)
    err_path_remote = serializers.CharField(required=False)
    platform = TextOrNullField(required=False)
    remote_id = serializers.IntegerField(required=False, allow_null=True)
    qos = TextOrNullField(required=False)
    processors = TextOrNullField(required=False)
    wallclock = TextOrNullField(required=False)
    planned = make_texts(
        required=False,
        help_text="Which of platform, processors, wallclock and qos are those of the configuration: of a job that "
        "was not sent yet. Filters and orders do not know them.",
    )
    submit = InstantField(required=False, allow_null=True)
    start = InstantField(required=False, allow_null=True)
    finish = InstantField(required=False, allow_null=True)
    fail_count = serializers.IntegerField(required=False)


@extend_schema_serializer(many=False)  # the answer is one object, also of `list`
class JobList(serializers.Serializer[Any]):
    """Jobs of an experiment, by name."""

    jobs = JobItem(many=True)
    pagination = PageInfo()
    stale_since = InstantField(
        required=False,
        help_text="Only while the job list cannot be read: since when. The `problem` of the experiment says why.",
    )


class JobDetail(serializers.Serializer[Any]):
    """A job; times are those of its newest attempt, and null for what its status says has not happened yet."""

    name = serializers.CharField()
    status = serializers.CharField(help_text="One of Autosubmit's names, in upper case.")
    section = TextOrNullField()
    date = TextOrNullField(
        help_text="The start date that it belongs to, as YYYYMMDD, with hour and minute if it has them."
    )
    member = TextOrNullField()
    chunk = serializers.IntegerField(allow_null=True)
    split = serializers.IntegerField(allow_null=True)
    splits = serializers.IntegerField(allow_null=True)
    out_path_local = TextOrNullField(help_text="The file with its output that is there, on the host of the site.")
    err_path_local = TextOrNullField(help_text="The same of its error output.")
    chunk_size = serializers.IntegerField(allow_null=True, help_text="Of the newest run.")
    chunk_unit = TextOrNullField(help_text="Of the newest run.")
    platform = TextOrNullField()
    remote_id = serializers.IntegerField(allow_null=True, help_text="Its number at the scheduler of the platform.")
    qos = TextOrNullField()
    workflow_commit = TextOrNullField()
    processors = serializers.IntegerField(allow_null=True)
    submit = InstantField(allow_null=True)
    start = InstantField(allow_null=True)
    finish = InstantField(allow_null=True)
    wallclock = TextOrNullField(help_text="The limit asked for, as hh:mm.")
    planned = make_texts(
        help_text="Which of platform, processors, wallclock and qos are those of the configuration: of a job that "
        "was not sent yet."
    )
    last_wrapper = TextOrNullField(help_text="The wrapper that it was last submitted in.")
    site = serializers.CharField()
    expid = serializers.CharField()
    priority = serializers.IntegerField()
    fail_count = serializers.IntegerField()


class Relative(serializers.Serializer[Any]):
    """A parent or a child."""

    job_name = serializers.CharField()
    status = serializers.CharField(required=False, help_text="With include_status=true.")


class Relatives(serializers.Serializer[Any]):
    """What parents and children have in common."""

    note = serializers.CharField(
        required=False, help_text="What is not known of the dependencies in this experiment, if anything."
    )


class Parents(Relatives):
    """The jobs that a job waits for; null where the store does not tell."""

    parents = Relative(many=True, allow_null=True)


class Children(Relatives):
    """The jobs that wait for a job; null where the store does not tell."""

    children = Relative(many=True, allow_null=True)


class FailureReason(serializers.Serializer[Any]):
    """What a log tells about why a job failed."""

    name = serializers.CharField(help_text="The name of the entry in the catalogue of reasons.")
    title = serializers.CharField(help_text="What it was, in few words.")
    meaning = serializers.CharField(help_text="What that means.")
    advice = serializers.CharField(help_text="What to do.")
    line = serializers.CharField(help_text="The line of the log that tells it, at most 300 characters.")
    log = serializers.CharField(help_text="The name of the log.")


class Failure(serializers.Serializer[Any]):
    """Why a job failed."""

    reasons = FailureReason(many=True)
    exit_code = serializers.IntegerField(
        allow_null=True,
        help_text="The exit code of its script where the end of its log tells it; Autosubmit keeps none.",
    )


class EtaItem(serializers.Serializer[Any]):
    """How long a section still takes; null where no chunk is complete yet that could be measured."""

    eta_seconds = serializers.FloatField(allow_null=True, help_text="Seconds left; 0 when all is done.")
    chunks_total = serializers.IntegerField()
    chunks_remaining = serializers.IntegerField()
    avg_runtime_per_chunk_seconds = serializers.FloatField(
        allow_null=True, help_text="The mean of the complete chunks."
    )


class WrapperItem(serializers.Serializer[Any]):
    """A wrapper: jobs that were sent to a platform as one."""

    wrapper_name = serializers.CharField()
    job_names = make_texts()


@extend_schema_serializer(many=False)  # the answer is one object, also of `list`
class WrapperList(serializers.Serializer[Any]):
    """The wrappers of an experiment, by name."""

    wrappers = WrapperItem(many=True)


class MetricRun(serializers.Serializer[Any]):
    """A run that has metrics."""

    run_id = serializers.IntegerField()


class MetricRunList(serializers.Serializer[Any]):
    """The runs that have metrics, newest first."""

    runs = MetricRun(many=True)


class MetricItem(serializers.Serializer[Any]):
    """A value that a job reported."""

    job_name = serializers.CharField()
    metric_name = serializers.CharField()
    metric_value = serializers.CharField(help_text="As text, whatever it means.")
    modified = serializers.CharField(help_text="When it was written down (ISO 8601).")


class MetricList(serializers.Serializer[Any]):
    """The metrics of a run."""

    run_id = serializers.IntegerField()
    metrics = MetricItem(many=True)
