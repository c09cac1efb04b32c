"""Now: what needs you, what runs, how the last day went, and what people did lately."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy

from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.whose import make_own_condition, make_team_condition
from autosubmit_portal.access.visits import find_last_visit, note_visit
from autosubmit_portal.console import stamps
from autosubmit_portal.console.pages.health import list_failing, list_failures
from autosubmit_portal.console.parts import acts, needs
from autosubmit_portal.console.parts.day_strip import make_strip
from autosubmit_portal.console.parts.presentation import STATUSES
from autosubmit_portal.console.site import console
from experiments import activity
from experiments.catalogue.kinds import CATALOGUE, RUN_KINDS, Target
from experiments.models import Action, Experiment, Freeze, Note, Site, State
from experiments.models.action import ActionQuerySet

SHOWN_ROWS = 10
MOST_STAMPED = 50
# A worker takes a queued action within a second.
WAITING_LONG = timedelta(seconds=20)
RECENT = timedelta(days=1)
# Whose experiments are shown; the address keeps the choice.
WHOSE = {"all": gettext_lazy("All"), "teams": gettext_lazy("My teams"), "mine": gettext_lazy("Mine")}


def now_page(request: HttpRequest) -> HttpResponse:
    """Show the first page of the console."""
    stamps.begin_part(request, list_live_rows(request.user), make_clock_check(request.user))
    chosen = request.GET.get("whose", "")
    whose = chosen if chosen in WHOSE else "all"
    before = find_last_visit(request.user) if request.headers.get(stamps.HEADER) else note_visit(request.user)
    shown = get_now_context(request.user, whose, before or needs.get_start_of_news())
    title = f"({len(shown['needs'])}) {console.index_title}" if shown["needs"] else console.index_title
    return TemplateResponse(
        request, "admin/portal/now.html", {**console.each_context(request), **shown, "title": title}
    )


def choose_experiments(user: Any, whose: str) -> QuerySet[Any]:
    """Return the experiments that the user may see, or of these those of their teams, or their own.

    One's own are those of one's Unix account, and those that one has started.
    """
    visible = Experiment.objects.visible_to(user).filter(gone_at=None)
    if whose == "teams":
        return visible.filter(make_team_condition(user))
    if whose == "mine":
        started = Action.objects.filter(actor=user.pk, kind__in=RUN_KINDS, is_dry_run=False, experiment__isnull=False)
        return visible.filter(make_own_condition(user) | Q(pk__in=started.values("experiment")))
    return visible


def list_needs(user: Any, experiments: QuerySet[Any], shown: dict[str, Any], news_since: datetime) -> list[Any]:
    """Return what needs the user, what is urgent first."""
    mine = [action for action in shown["failed_actions"] if action.actor_id == user.pk]
    return [
        *needs.list_of_portal(shown["failures"]),
        *needs.list_of_sites(shown["sites"]),
        *needs.list_alarming(user, experiments),
        *needs.list_failed(user, experiments, news_since),
        *needs.list_approvals(user, shown["unapproved_actions"]),
        *needs.list_stuck(shown["waiting_actions"], needs.filter_unresolved(mine)),
        *needs.list_frozen(shown["freezes"]),
    ]


def get_now_context(user: Any, whose: str, news_since: datetime) -> dict[str, Any]:
    """Return everything that the page shows to `user`, to whom failures since then are news."""
    experiments = choose_experiments(user, whose)
    actions = Action.objects.visible_to(user).defer_long_fields().select_related("site", "experiment__site")
    if whose != "all":
        actions = actions.filter(experiment__in=experiments.values("pk"))
    shown = read_parts(user, experiments, actions)
    unseen, seen = needs.split_seen(list_needs(user, experiments, shown, news_since))
    return {
        **shown,
        "planned_freezes": [frozen for frozen in shown["freezes"] if not frozen.is_active],
        "acts": acts.tell(activity.read_acts(user, replace(choose_acts(user, whose), by_people=True), SHOWN_ROWS).rows),
        "needs": unseen,
        "seen": seen,
        "news_since": news_since,
        "whose": whose,
        "whose_choices": WHOSE.items(),
        "strip": make_strip(actions, experiments),
    }


def choose_acts(user: Any, whose: str) -> activity.Choice:
    """Return which acts belong to these experiments; one's own are of oneself, whatever they are about."""
    if whose == "all":
        return activity.Choice()
    return activity.Choice(experiments=choose_experiments(user, whose), actor_id=user.pk if whose == "mine" else None)


def read_parts(user: Any, experiments: QuerySet[Any], actions: ActionQuerySet) -> dict[str, Any]:
    """Return what the page shows beside what needs the user, much of which may need them too."""
    sites = list(Site.objects.visible_to(user).order_by("-is_default", "slug"))
    return {
        **count_totals(experiments),
        "running": list_running(experiments),
        "failed": list_newest(experiments.filter(failed_jobs__gt=0)),
        "sites": sites,
        "freezes": list(Freeze.objects.visible_to(user).current().select_related("site").order_by("starts_at")),
        "failures": list_failures(user),
        "unseen_sites": [site for site in sites if not (site.swept_at or site.problem)],
        "unapproved_actions": list(actions.awaiting_approval().order_by("pk")[: 2 * SHOWN_ROWS]),
        "decided_actions": list_decided(actions, user),
        "waiting_actions": list(filter_waiting(actions).order_by("pk")[:SHOWN_ROWS]),
        "failed_actions": list_failed(actions),
        "active_actions": actions.active().count(),
        "first_steps": get_first_steps(user),
    }


def list_live_rows(user: Any) -> stamps.PartRows:
    """Return the rows that the page shows.

    The sums over all experiments need none: an experiment that the mirror writes is among those that changed last.
    """
    experiments = Experiment.objects.visible_to(user).filter(gone_at=None)
    running, troubled = experiments.filter(is_running=True), experiments.exclude(attention_rules="", problem="")
    actions = Action.objects.visible_to(user).defer_long_fields()
    ended = actions.filter(state__in=(State.FAILED, State.LOST))
    taken = Note.objects.visible_to(user).filter(removed_at=None).exclude(acknowledges="")
    return [
        taken.order_by("-pk").values("pk")[:MOST_STAMPED],
        *(rows.order_by("pk")[:MOST_STAMPED] for rows in (running, troubled, actions.active())),
        *(stamps.RowCount(rows) for rows in (experiments, running, troubled, actions.active())),
        experiments.filter(changed_at__isnull=False).order_by("-changed_at")[:MOST_STAMPED],
        *(rows.order_by("-pk")[:SHOWN_ROWS] for rows in (actions, ended)),
        *activity.list_live_rows(user, activity.Choice(by_people=True), SHOWN_ROWS),
    ]


def make_clock_check(user: Any) -> Callable[[], object]:
    """Return a check of what changes with time: long waits, and failures if the user may see all sites."""
    look = _list_late_and_failing if policy.may_view_all(user, Site) else _list_late
    return partial(stamps.look_once_a_second, look)


def _list_late() -> list[int]:
    return list(filter_waiting(Action.objects.order_by("pk")).values_list("pk", flat=True)[:MOST_STAMPED])


def _list_late_and_failing() -> object:
    return _list_late(), list_failing()


def count_totals(experiments: QuerySet[Experiment]) -> dict[str, Any]:
    """Return the number of experiments and of their jobs per status, in one query over stored counts."""
    sums = {status: Coalesce(Sum(Cast(KT(f"status_counts__{status}"), IntegerField())), 0) for status in STATUSES}
    row = experiments.aggregate(
        experiments=Count("pk"),
        running_experiments=Count("pk", filter=Q(is_running=True)),
        failed_experiments=Count("pk", filter=Q(failed_jobs__gt=0)),
        needy_experiments=Count("pk", filter=~Q(attention_rules="")),
        **{f"jobs_{status}": total for status, total in sums.items()},
    )
    counts = {status: row.pop(f"jobs_{status}") for status in STATUSES}
    return {"totals": row, "counts": counts, "jobs": sum(counts.values())}


def list_running(experiments: QuerySet[Experiment]) -> list[Experiment]:
    """Return running experiments with `since`, and with the action and its requester if the portal started the run.

    A run begins when its process does: its row in the history is made when the job list is generated.
    """
    runs = Action.objects.filter(
        experiment=OuterRef("pk"), state=State.RUNNING, kind__in=RUN_KINDS, is_dry_run=False
    ).order_by("-pk")
    rows = (
        experiments.filter(is_running=True)
        .select_related("site")
        .annotate(
            since=Coalesce("run_began_at", Subquery(runs.values("started_at")[:1]), "recorded_at"),
            action_id=Subquery(runs.values("pk")[:1]),
            action_kind=Subquery(runs.values("kind")[:1]),
            action_actor=Subquery(runs.values("actor_name")[:1]),
        )
    )
    return list(rows.order_by(F("changed_at").desc(nulls_last=True))[: 2 * SHOWN_ROWS])


def list_newest(experiments: QuerySet[Experiment]) -> list[Experiment]:
    """Return the experiments that changed last."""
    return list(experiments.select_related("site").order_by(F("changed_at").desc(nulls_last=True))[:SHOWN_ROWS])


def filter_waiting(actions: ActionQuerySet) -> QuerySet[Any]:
    """Return the actions that no worker has taken for too long."""
    return actions.annotate_queued_at().filter(state=State.QUEUED, queued_at__lt=timezone.now() - WAITING_LONG)


def list_decided(actions: ActionQuerySet, user: Any) -> list[Action]:
    """Return what the user asked for and a second person approved or rejected within a day, or nobody did in time."""
    ended = Q(approved_at=None, state=State.CANCELLED, ended_at__gt=timezone.now() - RECENT)
    rows = actions.filter(
        Q(approved_at__gt=timezone.now() - RECENT) | ended, actor=user.pk, approval_expires_at__isnull=False
    )
    return list(rows.order_by("-pk")[:SHOWN_ROWS])


def list_failed(actions: QuerySet[Action]) -> list[Action]:
    """Return the actions that failed or were lost within a day."""
    rows = actions.filter(state__in=(State.FAILED, State.LOST), ended_at__gt=timezone.now() - RECENT)
    return list(rows.order_by("-pk")[:SHOWN_ROWS])


def get_first_steps(user: Any) -> dict[str, bool]:
    """Return what the user may do when there is nothing yet."""
    creates = any(policy.may_request(user, kind) for kind in CATALOGUE.values() if kind.target is Target.SITE)
    return {"add_site": user.is_superuser, "create": creates}
