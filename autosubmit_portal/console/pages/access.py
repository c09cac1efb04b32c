"""The page of who may do what on an experiment and why, where somebody also gets rights on it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.models import Delegation, SiteAccount, Team
from autosubmit_portal.access.rights import policy
from autosubmit_portal.access.rights.delegations import filter_delegations
from autosubmit_portal.access.rights.people import filter_covering, list_candidates, may_see_people, read_together
from autosubmit_portal.access.rights.teams import filter_teams
from autosubmit_portal.access.roles import Role
from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.parts.colleagues import list_colleagues
from autosubmit_portal.console.parts.experiment_head import make_head_context
from autosubmit_portal.console.parts.presentation import translate
from experiments.catalogue.kinds import CATALOGUE, Target
from experiments.models import Experiment, Freeze

ROWS = 50
MOST_LENT = 50
USUAL_DAYS = 7
KINDS = [kind for kind in CATALOGUE.values() if kind.target is not Target.SITE]
ACTING = ((Role.OPERATOR, gettext_lazy("Operate")), (Role.MANAGER, gettext_lazy("Manage")))


@dataclass(frozen=True, slots=True)
class Right:
    """What somebody may do of the kinds of one role: all, or the titles of some."""

    is_whole: bool
    titles: Sequence[str]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with the rights on an experiment; `sources` say where these come from, `seen` where that to see it."""

    user: User
    seen: str
    rights: Sequence[Right]
    sources: Sequence[str]
    decisions: Sequence[tuple[Any, policy.Decision]]

    @property
    def may_see(self) -> bool:
        """Whether they may see the experiment."""
        return bool(self.seen)

    @property
    def has_some(self) -> bool:
        """Whether there is any right."""
        return bool(self.sources)


class AccessPage(ReadOnlyAdmin):
    """Gives the admin of experiments the page `<id>/access/`."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page."""
        return [self.make_row_url("access", self.access_view), *super().get_urls()]

    def access_view(self, request: HttpRequest, object_id: int | str) -> HttpResponse:
        """Show the page: to managers all people, to others what they have themselves."""
        experiment: Experiment = self.get_visible_object(request, str(object_id))
        context = {
            "title": gettext("Access to {expid}").format(expid=experiment.expid),
            **make_head_context(request, experiment, "access"),
        }
        context |= make_context(request, experiment)
        return self.render_page(request, "admin/portal/access.html", experiment, context)


def make_context(request: HttpRequest, experiment: Experiment) -> dict[str, Any]:
    """Return what the page shows to whoever asks for it."""
    reader: Any = request.user
    me = decide_about(reader, experiment)
    teams = filter_covering(filter_teams(reader), experiment)
    return {
        "me": me,
        "acting": ACTING,
        "kinds_of_roles": [
            (title, [gettext(kind.title) for kind in KINDS if kind.role is role]) for role, title in ACTING
        ],
        "teams": teams,
        "own_account": SiteAccount.objects.filter(user=reader.pk, site=experiment.site_id).first(),
        "freezes": list(
            Freeze.objects.current().filter_touching(experiment).select_related("site").order_by("starts_at")
        ),
        "lent": list_lent(reader, experiment, teams),
        "may_lend": any(decision.allowed and not decision.on_behalf_of for _, decision in me.decisions),
        "colleagues": list_colleagues(reader),
        "roles": [role for role in Role if role <= find_own_role(me)],
        "until": timezone.now() + timedelta(days=USUAL_DAYS),
        **make_people_context(request, experiment),
    }


def make_people_context(request: HttpRequest, experiment: Experiment) -> dict[str, Any]:
    """Return a page of the people who have rights; nothing to whoever may not see them."""
    if not may_see_people(request.user, experiment):
        return {}
    page = Paginator(list_candidates(experiment), ROWS).get_page(request.GET.get("p"))
    users = list(page)
    read_together(users, experiment)
    found = (decide_about(user, experiment) for user in users)
    return {"page": page, "people": [person for person in found if person.has_some]}


def decide_about(user: Any, experiment: Experiment) -> Person:
    """Return what the policy says about somebody and an experiment."""
    decided = policy.decide_each(user, KINDS, site=experiment.site, experiment=experiment)
    decisions = list(zip(KINDS, decided, strict=True))
    seen = policy.explain_view(user, experiment)
    sources = dict.fromkeys([*filter(None, [seen]), *(decision.via for decision in decided if decision.allowed)])
    rights = [make_right(decisions, role) for role, _ in ACTING]
    return Person(user, seen, rights, merge_permissions(sources), decisions)


def make_right(decisions: Iterable[tuple[Any, policy.Decision]], role: Role) -> Right:
    """Return what is allowed of the kinds whose least role this is."""
    allowed = [(gettext(kind.title), decision.allowed) for kind, decision in decisions if kind.role is role]
    return Right(all(is_allowed for _, is_allowed in allowed), [title for title, is_allowed in allowed if is_allowed])


def merge_permissions(sources: Iterable[str]) -> list[str]:
    """Return where rights come from; permissions that hold everywhere are one source, as people say it."""
    found = (source.replace("permission experiments.", "everywhere: ") for source in sources)
    everywhere = [source for source in found if source]
    own = [source for source in everywhere if not source.startswith("everywhere: ")]
    own = [translate(source) for source in own]
    return [*([gettext("by a permission that holds everywhere")] if len(own) < len(everywhere) else []), *own]


def find_own_role(me: Person) -> Role:
    """Return the highest role of which somebody may do something here themselves."""
    own = [kind.role for kind, decision in me.decisions if decision.allowed and not decision.on_behalf_of]
    return max(own, default=Role.VIEWER)


def list_lent(reader: Any, experiment: Experiment, teams: Sequence[Team]) -> "QuerySet[Delegation]":
    """Return the delegations that hold or are planned for the experiment, among those that the reader may see."""
    about = Q(experiment=experiment.pk) | Q(experiment=None, team=None) | Q(team__in=[team.pk for team in teams])
    rows = filter_delegations(reader).filter(about, pk__in=Delegation.objects.current().values("pk"))
    return rows.select_related("grantor", "grantee", "team", "experiment__site").order_by("ends_at")[:MOST_LENT]
