"""The query parameters of each route: what they mean and what they may be."""

from collections.abc import Iterable
from typing import Any, ClassVar

from rest_framework import serializers

from autosubmit_portal.api.query.filters import experiments, jobs
from autosubmit_portal.api.query.selection import list_names
from autosubmit_portal.api.serializers.experiments import ExperimentDetail, ExperimentItem, RunItem
from autosubmit_portal.api.serializers.fields import (
    DryRunField,
    InstantField,
    NamesField,
    Query,
    RangesField,
    StartDatesField,
    WholeNumberField,
    make_choice,
    make_flag,
)
from autosubmit_portal.api.serializers.jobs import JobDetail, JobItem
from autosubmit_portal.audit.origin import Door
from autosubmit_portal.audit.periods import PERIODS
from experiments.actions.validation import Shape
from experiments.attention.rules import TITLES
from experiments.catalogue.kinds import CATALOGUE, LIVE_STATUSES, SET_STATUS_LIVE
from experiments.models import State
from jobs.autosubmit.logs.search import MAX_TEXT
from jobs.autosubmit.statuses import STATUSES

LAST_PAGE = 1_000_000
LARGEST_NUMBER = 2**31 - 1
LARGEST_SIZE = 2**53  # JSON's numbers are whole so far
WILDCARDS = "`*` stands for anything, a leading `!` negates; upper and lower case are alike."
NULLS = "What has no value comes last, in either direction."
CURSOR = "Where to go on; it stands in `next` and `previous`. It takes the place of the page."
FIELDS = "Only these fields of the answer."
SITE_HELP = "The site; needed only where several sites have the expid."


def make_text(help_text: str, **kwargs: Any) -> serializers.CharField:
    """Return an optional text."""
    return serializers.CharField(required=False, max_length=500, help_text=help_text, **kwargs)


def make_number(help_text: str, *, least: int = 0, most: int = LARGEST_NUMBER, **kwargs: Any) -> WholeNumberField:
    """Return an optional whole number."""
    return WholeNumberField(required=False, min_value=least, max_value=most, help_text=help_text, **kwargs)


def make_times(names: Iterable[str]) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """Return two optional times for each name, `<name>_after` and `<name>_before`."""
    told = {"after": "Not before this time", "before": "Before this time"}
    return {
        f"{name}_{side}": InstantField(
            required=False, help_text=f"{words} ({name}; ISO 8601; UTC unless it says otherwise)."
        )
        for name in names
        for side, words in told.items()
    }


def make_counts(names: Iterable[str]) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """Return two optional numbers of jobs for each name, `<name>_min` and `<name>_max`."""
    told = {"min": "At least", "max": "At most"}
    return {
        f"{name}_{side}": make_number(f"{words} so many {name} jobs.") for name in names for side, words in told.items()
    }


class SiteQuery(Query):
    """What every route of one experiment takes."""

    site = serializers.CharField(required=False, help_text=SITE_HELP)


class SelectiveQuery(Query):
    """What every route takes whose answer can be cut down to some fields of a shape."""

    shape: ClassVar[Shape]

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the parameters, with the one that names the fields."""
        return super().get_fields() | {"fields": NamesField(FIELDS, list_names(self.shape))}


class ChangeQuery(SiteQuery):
    """What every route that requests an action takes."""

    dry_run = DryRunField("May also stand in the body.")


class ForeseenQuery(ChangeQuery):
    """What every route takes that requests an action which changes jobs."""

    all_changes = make_flag(
        default=False,
        help_text="With `dry_run=true`: answer all jobs that would change and that would follow, not the first 100 of "
        "each, and the whole commands, however long their lists of names are.",
    )


class BulkQuery(Query):
    """Acting on many experiments."""

    dry_run = make_flag(
        required=False, help_text="Answer the exact commands and change nothing. May also stand in the body."
    )


class CreateQuery(ChangeQuery):
    """Creating an experiment."""

    site = serializers.CharField(required=False, help_text="The site; by default the default site.")


class ActQuery(ForeseenQuery):
    """Acting on an experiment."""

    # Not a choice field: the catalogue's own check answers, and documentation.py describes it.
    action = serializers.CharField(default="", help_text="The action.")


class SetStatusQuery(ForeseenQuery):
    """Setting the status of jobs."""

    # Not a choice field: the kind validates it, so that a refusal is recorded like every other.
    status = serializers.CharField(required=False, help_text="The new status. May also stand in the body.")
    live = make_flag(
        default=False,
        help_text=f"Of a running experiment: {SET_STATUS_LIVE.help} The jobs must be named, and the status be one of "
        f"{', '.join(LIVE_STATUSES)}. {SET_STATUS_LIVE.warning} Needs `experiments.{SET_STATUS_LIVE.permission}`.",
    )


class ExperimentsQuery(SelectiveQuery):
    """The list of experiments. The names and defaults are those of Autosubmit API 4.2, but for only_active."""

    shape = ExperimentItem
    query = make_text("Part of the expid, the description or the owner.")
    only_active = make_flag(
        default=False, help_text="Only experiments that run. (Autosubmit API: true by default; its clients send it.)"
    )
    owner = make_text(f"The owner, by the folder or as recorded. {WILDCARDS}")
    exp_type = make_choice(
        ("test", "operational", "experiment"),
        required=False,
        help_text="By the first letter of the expid: t is a test, o is operational, any other an experiment.",
    )
    autosubmit_version = make_text(f"The version of Autosubmit. {WILDCARDS}")
    hpc = make_text(f"The main platform. {WILDCARDS}")
    run_host = make_text(f"The host where its run lives, or lived last. {WILDCARDS}")
    site = make_text("The site.")
    has_problem = make_flag(required=False, help_text="Whether the mirror could not read a file of the experiment.")
    disagrees = make_flag(
        required=False, help_text="Whether Autosubmit's database, the process and the job list contradict each other."
    )
    attention = make_choice(
        ("true", "false", *TITLES),
        required=False,
        help_text="Whether something needs somebody, or the rule that has found it.",
    )
    failed = make_flag(required=False, help_text="Whether the experiment has FAILED jobs.")
    gone = make_flag(default=False, help_text="Those that are gone from the store, instead of those that are in it.")
    expid = make_text(f"The expid. {WILDCARDS}")
    model = make_text(f"The model. {WILDCARDS}")
    branch = make_text(f"The branch. {WILDCARDS}")
    is_running = make_flag(required=False, help_text="Whether it runs.")
    total_min = make_number("At least so many jobs.")
    total_max = make_number("At most so many jobs.")
    order_by = make_choice(experiments.ORDERS, required=False, help_text=f"The order; by default expid. {NULLS}")
    order_desc = make_flag(default=False, help_text="In descending order.")
    cursor = make_text(CURSOR)
    page = make_number("The page, from 1; a cursor is cheaper far from it.", least=1, most=LAST_PAGE, default=1)
    page_size = make_number("Experiments on a page.", least=1, most=500, default=12)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the parameters, with those of times and counts."""
        return super().get_fields() | make_times(experiments.TIMES) | make_counts(experiments.COUNTED)


class ExperimentQuery(SelectiveQuery, SiteQuery):
    """One experiment."""

    shape = ExperimentDetail


class RunsQuery(SelectiveQuery, SiteQuery):
    """The runs of an experiment."""

    shape = RunItem


class JobQuery(SelectiveQuery, SiteQuery):
    """One job."""

    shape = JobDetail


class JobsQuery(SelectiveQuery, SiteQuery):
    """The list of jobs."""

    shape = JobItem
    view = make_choice(("base", "quick"), default="base", help_text="`quick` has only the name and status of each job.")
    job_name = make_text(f"Part of the name, or with wildcards the whole name. {WILDCARDS}")
    status = NamesField("The status.", sorted(STATUSES))
    section = NamesField("The section, exactly.")
    member = NamesField("The member, exactly.")
    date = StartDatesField("The start date, as YYYYMMDD or YYYY-MM-DD; a range is `20000101-20001201`.")
    chunk = RangesField("The chunk.")
    split = RangesField("The split.")
    platform = make_text(f"The platform. {WILDCARDS}")
    fail_count_min = make_number("Failed at least so many times.")
    fail_count_max = make_number("Failed at most so many times.")
    order_by = make_choice(list(jobs.ORDERS), default="name", help_text=f"The order. {NULLS}")
    order_desc = make_flag(default=False, help_text="In descending order.")
    cursor = make_text(f"{CURSOR} Needs page_size.")
    page = make_number("The page, from 1; without page_size there is only one.", least=1, most=LAST_PAGE, default=1)
    page_size = make_number("Jobs on a page; without it, all jobs.", least=1, most=1000)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the parameters, with those of times."""
        return super().get_fields() | make_times(jobs.TIMES)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a cursor without the size of a page."""
        if "cursor" in attrs and "page_size" not in attrs:
            raise serializers.ValidationError({"page_size": ["A cursor needs the size of its page."]})
        return attrs


class RelativesQuery(SiteQuery):
    """Parents and children of a job."""

    include_status = make_flag(default=False, help_text="With the status of each.")


class EtaQuery(SiteQuery):
    """The time that a section has left."""

    section = make_text("The section, exactly; its jobs must have chunks.", default="SIM")


class NewestFirstQuery(Query):
    """What every list that is read from its newest entry takes."""

    cursor = serializers.CharField(required=False, help_text="Where to go on; it stands in `next` and `previous`.")
    page_size = make_number("Entries on a page.", least=1, most=500, default=50)


class ActionsQuery(NewestFirstQuery):
    """The list of actions."""

    kind = make_choice(list(CATALOGUE), required=False, help_text="The kind.")
    state = make_choice(State.values, required=False, help_text="The state.")
    active = make_flag(required=False, help_text="Whether it has not ended.")
    expid = make_text("The expid, exactly.")
    site = make_text("The site.")
    actor = make_text("The name of who asked, exactly.")
    approver = make_text("The name of who approved it, exactly.")


class DelegationsQuery(NewestFirstQuery):
    """The list of delegations."""

    active = make_flag(required=False, help_text="`true`: only those that hold now.")
    grantor = make_text("The name of who has lent it, exactly.")
    grantee = make_text("The name of who may act with it, exactly.")


class FreezesQuery(NewestFirstQuery):
    """The list of freezes."""

    active = make_flag(required=False, help_text="`true`: only those that hold now.")
    site = make_text("The site.")


class NotesQuery(NewestFirstQuery, SiteQuery):
    """The notes on an experiment or a job."""

    all = make_flag(required=False, help_text="`true`: also those that were removed, or whose time is up.")


class OutputQuery(Query):
    """A part of the output of an action."""

    step = make_number("The step, from 0; by default the one that runs or ran last.", most=1000)
    offset = WholeNumberField(
        default=0,
        min_value=-LARGEST_NUMBER,
        max_value=LARGEST_NUMBER,
        help_text="The first byte; a negative one counts from the end.",
    )
    limit = make_number("At most so many bytes; by default all as text, 65536 as JSON.", least=4, most=1_048_576)


class LogsQuery(SiteQuery):
    """The list of logs."""

    page = make_number("The page, from 1.", least=1, most=LAST_PAGE, default=1)
    page_size = make_number("Logs on a page.", least=1, most=500, default=50)


class LogQuery(SiteQuery):
    """Reading a log, or searching in it."""

    offset = WholeNumberField(
        required=False,
        min_value=-LARGEST_SIZE,
        max_value=LARGEST_SIZE,
        help_text="The first byte; a negative one counts from the end. By default 0.",
    )
    limit = make_number("At most so many bytes; by default all as text, 65536 as JSON.", least=4, most=1_048_576)
    file = make_text("Of JSON: the `file` of an earlier answer, to be told when another file has taken its place.")
    download = make_flag(default=False, help_text="Of the text: as a file to be saved.")
    search = serializers.CharField(
        required=False,
        max_length=MAX_TEXT,
        trim_whitespace=False,
        help_text="A text to look for, as it is: it is no pattern.",
    )
    ignore_case = make_flag(default=False, help_text="Of a search: A to Z is a to z; other letters are as they are.")
    line = make_number(
        "Of a search: the number of the line that `offset` is in.", least=1, most=LARGEST_SIZE, default=1
    )
    most_matches = make_number("Of a search: stop after so many.", least=1, most=1000, default=100)


class AuditQuery(NewestFirstQuery):
    """The audit trail."""

    actor = make_text("The name of who did it, exactly.")
    on_behalf_of = make_text("The name of whom it was done for, exactly.")
    credential = make_text(f"What the actor came in with, such as `API token ab12cd34*` or `session`. {WILDCARDS}")
    event = make_text(f"What happened, such as `action.requested`, `sign_in.*` or `*refused`. {WILDCARDS}")
    expid = make_text("The expid, exactly.")
    site = make_text("The site.")
    kind = make_text("The action kind.")
    door = make_choice([door.value for door in Door], required=False, help_text="The way it came in.")
    action = make_number("The number of the action.", most=2**63 - 1)
    after = make_number("Only entries with a higher number.", most=2**63 - 1)
    period = make_choice(
        list(PERIODS),
        required=False,
        help_text="A time in words; last_night is from 18:00 to 08:00 in the time zone of the portal.",
    )
    since = InstantField(required=False, help_text="Not before this time (ISO 8601; UTC unless it says otherwise).")
    until = InstantField(required=False, help_text="Before this time (ISO 8601; UTC unless it says otherwise).")


class HealthQuery(Query):
    """How strict to be."""

    strict = make_flag(default=False, help_text="Answer 503 when any part fails, not only one that this server needs.")
