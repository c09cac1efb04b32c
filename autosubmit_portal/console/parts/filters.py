"""The filters of the lists. None of them asks a big table for its distinct values."""

from typing import Any

from django.contrib.admin import RelatedFieldListFilter, SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.events import filter_between, filter_like
from autosubmit_portal.audit.origin import Door
from autosubmit_portal.audit.periods import PERIODS, describe_period, get_bounds
from autosubmit_portal.console.parts.base import parse_number
from autosubmit_portal.console.text import Text
from autosubmit_portal.distinct import list_distinct
from experiments.attention.rules import TITLES
from experiments.models import Experiment, Site

# How the events of all requests that were refused end.
REFUSED = "refused"


class LinkedFilter(SimpleListFilter):
    """Rows with one value of the field that is called like the parameter; links on other pages choose it.

    With `is_number`, what is no number chooses nothing.
    """

    is_number = False

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The chosen value only."""
        return [(self.value(), self.value())] if self.value() else []  # type: ignore[list-item]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Apply the choice."""
        value = self.value()
        if not value:
            return queryset
        if self.is_number and parse_number(value) is None:
            return queryset.none()
        return queryset.filter(**{str(self.parameter_name): value})


class ConditionFilter(SimpleListFilter):
    """Rows that meet a condition, or that do not."""

    condition: Q
    labels: tuple[Text, Text] = (gettext_lazy("Yes"), gettext_lazy("No"))

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Yes and no."""
        return [("yes", str(self.labels[0])), ("no", str(self.labels[1]))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Apply the condition."""
        match self.value():
            case "yes":
                return queryset.filter(self.condition)
            case "no":
                return queryset.exclude(self.condition)
        return queryset


class AttentionFilter(SimpleListFilter):
    """Experiments that need somebody, or of which a rule says so."""

    title, parameter_name = gettext_lazy("needs you"), "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Yes, no, and the rules."""
        return [
            ("yes", gettext("Needs somebody")),
            ("no", gettext("Needs nobody")),
            *((rule, gettext(title)) for rule, title in TITLES.items()),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Apply the choice."""
        value = self.value()
        if value == "no":
            return queryset.filter(attention_rules="")
        found = queryset.exclude(attention_rules="") if value else queryset
        return found.filter(attention_rules__contains=f",{value},") if value in TITLES else found


class RunningFilter(ConditionFilter):
    """Experiments that run."""

    title, parameter_name = gettext_lazy("running"), "running"
    condition = Q(is_running=True)
    labels = (gettext_lazy("Running"), gettext_lazy("Not running"))


class FailedFilter(ConditionFilter):
    """Experiments with failed jobs."""

    title, parameter_name = gettext_lazy("failed jobs"), "failed"
    condition = Q(failed_jobs__gt=0)
    labels = (gettext_lazy("Has failed jobs"), gettext_lazy("Has none"))


class ProblemFilter(ConditionFilter):
    """Experiments whose files could not be read."""

    title, parameter_name = gettext_lazy("problem"), "problem"
    condition = ~Q(problem="")
    labels = (gettext_lazy("Has a problem"), gettext_lazy("Reads well"))


class DisagreementFilter(ConditionFilter):
    """Experiments of which the database, the process and the job list say different things."""

    title, parameter_name = gettext_lazy("evidence"), "disagrees"
    condition = ~Q(disagreement="")
    labels = (gettext_lazy("Contradicted"), gettext_lazy("Agrees"))


class GoneFilter(SimpleListFilter):
    """Experiments that are gone from the store; they are left out by default."""

    title, parameter_name = gettext_lazy("store"), "store"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What the store has, what it had, or both."""
        return [("gone", gettext("Gone")), ("all", gettext("All"))]

    def choices(self, changelist: Any) -> Any:
        """Say what the default is, which comes first."""
        default, *others = super().choices(changelist)
        return [{**default, "display": gettext("In the store")}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Apply the choice."""
        if self.value() == "all":
            return queryset
        return queryset.filter(gone_at__isnull=self.value() != "gone")


class SiteFilter(RelatedFieldListFilter):
    """Rows of one site; only sites that the user may see are offered."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        """The sites by name."""
        return list(Site.objects.visible_to(request.user).order_by("slug").values_list("pk", "slug"))


class ExperimentFilter(LinkedFilter):
    """Rows of one experiment: the one that a link names, or one of those that run."""

    title, parameter_name, is_number = gettext_lazy("experiment"), "experiment", True
    most_offered = 20

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Those that run, and the chosen one."""
        visible = Experiment.objects.visible_to(request.user)
        running = visible.filter(is_running=True).order_by("site_id", "expid")
        offered = dict(running.values_list("pk", "expid")[: self.most_offered])
        if chosen := parse_number(self.value()):
            offered |= dict(visible.filter(pk=chosen).values_list("pk", "expid"))
        return [(str(pk), expid) for pk, expid in offered.items()]


class ValueFilter(LinkedFilter):
    """Experiments by a value that occurs in those that the user may see."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The values; whose experiments are all to be seen, by leaps through their index."""
        name = str(self.parameter_name)
        if policy.may_view_all(request.user, Experiment):
            values = list_distinct(Experiment, name)
        else:
            rows = Experiment.objects.visible_to(request.user).order_by(name)
            values = list(rows.values_list(name, flat=True).distinct())
        return [(value, value) for value in values if value]


class OwnerFilter(ValueFilter):
    """Experiments of an owner."""

    title, parameter_name = gettext_lazy("owner"), "owner"


class HpcFilter(ValueFilter):
    """Experiments on a main platform."""

    title, parameter_name = "HPC", "hpc"


class ExpidFilter(LinkedFilter):
    """Rows about an expid."""

    title, parameter_name = "expid", "expid"


class ActorFilter(LinkedFilter):
    """What somebody did."""

    title, parameter_name = gettext_lazy("actor"), "actor_name"


class CredentialFilter(LinkedFilter):
    """What was done with a credential, such as an API token."""

    title, parameter_name = gettext_lazy("credential"), "credential"


class OnBehalfOfFilter(LinkedFilter):
    """What was done for somebody."""

    title, parameter_name = gettext_lazy("done for"), "on_behalf_of"


class PeriodFilter(SimpleListFilter):
    """Audit entries of a time in words."""

    title, parameter_name = gettext_lazy("when"), "period"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The times."""
        return [(name, gettext(describe_period(name))) for name in PERIODS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Apply the choice."""
        period = self.value() or ""
        return filter_between(queryset, *get_bounds(period)) if period in PERIODS else queryset


class ActionIdFilter(LinkedFilter):
    """What belongs to an action."""

    title, parameter_name, is_number = gettext_lazy("action"), "action_id", True


class DoorFilter(LinkedFilter):
    """Rows by how somebody came in: all ways, whether they occur or not."""

    title, parameter_name = gettext_lazy("door"), "door"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The ways."""
        return [(door.value, gettext(door.value).capitalize() if door is not Door.API else "API") for door in Door]


class EventFilter(SimpleListFilter):
    """Audit entries by what they are about."""

    title, parameter_name = gettext_lazy("event"), "event"
    starts = (
        (REFUSED, gettext_lazy("All refused requests")),
        ("action.", gettext_lazy("Actions")),
        ("action.requested", gettext_lazy("Actions requested")),
        ("action.refused", gettext_lazy("Actions refused")),
        ("action.failed", gettext_lazy("Actions failed")),
        ("action.approved", gettext_lazy("Actions approved")),
        ("action.rejected", gettext_lazy("Actions rejected")),
        ("experiment.", gettext_lazy("Outside of the portal")),
        ("sign_in.", gettext_lazy("Sign-ins")),
        ("sign_in.failed", gettext_lazy("Failed sign-ins")),
        ("user.", gettext_lazy("Accounts")),
        ("group.", gettext_lazy("Groups")),
        ("site.", gettext_lazy("Sites")),
        ("freeze.", gettext_lazy("Freezes")),
        ("delegation.", gettext_lazy("Delegations")),
        ("team.", gettext_lazy("Teams")),
        ("membership.", gettext_lazy("Members of teams")),
        ("invitation.", gettext_lazy("Invitations into teams")),
        ("coverage.", gettext_lazy("Coverage of teams")),
        ("site_role.", gettext_lazy("Roles at sites")),
        ("site_account.", gettext_lazy("Accounts at sites")),
        ("site_policy.", gettext_lazy("Policies of sites")),
        ("api_token.", gettext_lazy("API tokens")),
    )

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The kinds of events."""
        return [(start, str(title)) for start, title in self.starts]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Apply the choice."""
        if not self.value():
            return queryset
        pattern = f"*{REFUSED}" if self.value() == REFUSED else f"{self.value()}*"
        return filter_like(queryset, "event", pattern)
