"""The query parameters of each route: what they mean and what they may be."""

from typing import Any

from rest_framework import serializers

from autosubmit_portal.api.fields import DryRunField, InstantField, Query, choice, flag
from autosubmit_portal.audit.origin import Door
from experiments.catalogue import CATALOGUE, LIVE_STATUSES, SET_STATUS_LIVE
from experiments.models import State
from jobs.autosubmit.job_list import STATUSES

LAST_PAGE = 1_000_000
LARGEST_NUMBER = 2**31 - 1
WILDCARDS = "`*` stands for anything, a leading `!` negates; upper and lower case are alike."
SITE_HELP = "The site; needed only where several sites have the expid."


def text(help_text: str, **kwargs: Any) -> serializers.CharField:
    """Return an optional text."""
    return serializers.CharField(required=False, max_length=500, help_text=help_text, **kwargs)


def number(
    help_text: str, *, least: int = 0, most: int = LARGEST_NUMBER, **kwargs: Any
) -> serializers.IntegerField:
    """Return an optional whole number."""
    return serializers.IntegerField(
        required=False, min_value=least, max_value=most, help_text=help_text, **kwargs
    )


class SiteQuery(Query):
    """What every route of one experiment takes."""

    site = serializers.CharField(required=False, help_text=SITE_HELP)


class ChangeQuery(SiteQuery):
    """What every route that requests an action takes."""

    dry_run = DryRunField("May also stand in the body.")


class BulkQuery(Query):
    """Acting on many experiments."""

    dry_run = flag(
        required=False, help_text="Answer the exact commands and change nothing. May also stand in the body."
    )


class CreateQuery(ChangeQuery):
    """Creating an experiment."""

    site = serializers.CharField(required=False, help_text="The site; by default the default site.")


class ActQuery(ChangeQuery):
    """Acting on an experiment."""

    # Not a choice field: the catalogue's own check answers, and documentation.py describes it.
    action = serializers.CharField(default="", help_text="The action.")


class SetStatusQuery(ChangeQuery):
    """Setting the status of jobs."""

    # Not a choice field: the kind validates it, so that a refusal is recorded like every other.
    status = serializers.CharField(required=False, help_text="The new status. May also stand in the body.")
    live = flag(
        default=False,
        help_text=f"Of a running experiment: {SET_STATUS_LIVE.help} The jobs must be named, and the status be one of "
        f"{', '.join(LIVE_STATUSES)}. {SET_STATUS_LIVE.warning} Needs `experiments.{SET_STATUS_LIVE.permission}`.",
    )


class ExperimentsQuery(Query):
    """The list of experiments. The names and defaults are those of Autosubmit API 4.2, but for only_active."""

    query = text("Part of the expid, the description or the owner.")
    only_active = flag(
        default=False,
        help_text="Only experiments that run. (Autosubmit API: true by default; its clients send it.)",
    )
    owner = text(f"The owner. {WILDCARDS}")
    exp_type = choice(
        ("test", "operational", "experiment"),
        required=False,
        help_text="By the first letter of the expid: t is a test, o is operational, any other an experiment.",
    )
    autosubmit_version = text(f"The version of Autosubmit. {WILDCARDS}")
    hpc = text(f"The main platform. {WILDCARDS}")
    site = text("The site.")
    has_problem = flag(
        required=False, help_text="Whether the mirror could not read a file of the experiment."
    )
    disagrees = flag(
        required=False,
        help_text="Whether Autosubmit's database, the process and the job list contradict each other.",
    )
    failed = flag(required=False, help_text="Whether the experiment has FAILED jobs.")
    gone = flag(
        default=False, help_text="Those that are gone from the store, instead of those that are in it."
    )
    order_by = choice(
        ("expid", "created", "description"), required=False, help_text="The order; by default expid."
    )
    order_desc = flag(default=False, help_text="In descending order.")
    page = number("The page, from 1.", least=1, most=LAST_PAGE, default=1)
    page_size = number("Experiments on a page.", least=1, most=500, default=12)


class JobsQuery(SiteQuery):
    """The list of jobs."""

    view = choice(
        ("base", "quick"), default="base", help_text="`quick` has only the name and status of each job."
    )
    job_name = text(f"Part of the name, or with wildcards the whole name. {WILDCARDS}")
    status = choice(sorted(STATUSES), required=False, help_text="The status.")
    section = text("The section, exactly.")
    member = text("The member, exactly.")
    chunk = number("The chunk.")
    page = number(
        "The page, from 1; without page_size there is only one.", least=1, most=LAST_PAGE, default=1
    )
    page_size = number("Jobs on a page; without it, all jobs.", least=1, most=1000)


class RelativesQuery(SiteQuery):
    """Parents and children of a job."""

    include_status = flag(default=False, help_text="With the status of each.")


class NewestFirstQuery(Query):
    """What every list that is read from its newest entry takes."""

    cursor = serializers.CharField(
        required=False, help_text="Where to go on; it stands in `next` and `previous`."
    )
    page_size = number("Entries on a page.", least=1, most=500, default=50)


class ActionsQuery(NewestFirstQuery):
    """The list of actions."""

    kind = choice(list(CATALOGUE), required=False, help_text="The kind.")
    state = choice(State.values, required=False, help_text="The state.")
    active = flag(required=False, help_text="Whether it has not ended.")
    expid = text("The expid, exactly.")
    site = text("The site.")
    actor = text("The name of who asked, exactly.")


class OutputQuery(Query):
    """A part of the output of an action."""

    step = number("The step, from 0; by default the one that runs or ran last.", most=1000)
    offset = serializers.IntegerField(
        default=0,
        min_value=-LARGEST_NUMBER,
        max_value=LARGEST_NUMBER,
        help_text="The first byte; a negative one counts from the end.",
    )
    limit = number("At most so many bytes; by default all as text, 65536 as JSON.", least=4, most=1_048_576)


class AuditQuery(NewestFirstQuery):
    """The audit trail."""

    actor = text("The name of who did it, exactly.")
    event = text(f"What happened, such as `action.requested` or `sign_in.*`. {WILDCARDS}")
    expid = text("The expid, exactly.")
    site = text("The site.")
    kind = text("The action kind.")
    door = choice([door.value for door in Door], required=False, help_text="The way it came in.")
    action = number("The number of the action.", most=2**63 - 1)
    since = InstantField(
        required=False, help_text="Not before this time (ISO 8601; UTC unless it says otherwise)."
    )
    until = InstantField(
        required=False, help_text="Before this time (ISO 8601; UTC unless it says otherwise)."
    )


class HealthQuery(Query):
    """How strict to be."""

    strict = flag(
        default=False, help_text="Answer 503 when any part fails, not only one that this server needs."
    )
