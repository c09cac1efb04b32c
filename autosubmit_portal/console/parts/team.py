"""What the page of a team shows."""

from datetime import timedelta
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils import timezone

from autosubmit_portal.access.models import Delegation, Invitation, Team
from autosubmit_portal.access.rights import policy, teams
from autosubmit_portal.access.rights.delegations import filter_delegations
from autosubmit_portal.access.rights.invitations import may_bring_new_account
from autosubmit_portal.access.roles import Role
from autosubmit_portal.console.parts.colleagues import list_colleagues
from autosubmit_portal.console.parts.covering import count_lines, filter_covered, suggest
from autosubmit_portal.console.parts.managed_sites import list_sites

ROWS = 20
MOST_LENT = 50
USUAL_DAYS = 7


def make_team_context(request: HttpRequest, team: Team) -> dict[str, Any]:
    """Return what the page of a team shows to whoever asks for it."""
    reader: Any = request.user
    may_change, may_change_members = teams.may_change(reader, team), teams.may_change_members(reader, team)
    lines = list(team.coverages.select_related("site", "team").order_by("pk"))
    lent = filter_delegations(reader).filter(team=team, pk__in=Delegation.objects.current().values("pk"))
    return {
        "title": team.name,
        "team": team,
        "roles": list(Role),
        "members": list(team.memberships.select_related("user").order_by("-role", "user__username")),
        "lines": count_lines(lines),
        "picked": list(team.picked.filter(experiment__gone_at=None).select_related("experiment__site").order_by("pk")),
        "page": Paginator(filter_covered(team), ROWS).get_page(request.GET.get("p")),
        "may_change": may_change,
        "may_change_members": may_change_members,
        "invitations": list_invitations(team) if may_change_members else [],
        "brings_accounts": may_bring_new_account(reader),
        "suggestions": suggest(team, list_sites(reader)) if may_change else [],
        "lent": list(lent.select_related("grantor", "grantee", "team").order_by("ends_at")[:MOST_LENT]),
        **make_lending_context(reader),
    }


def list_invitations(team: Team) -> list[Invitation]:
    """Return the open invitations into a team, the next to end first."""
    return list(team.invitations.open().select_related("inviter").order_by("open_until", "pk"))


def make_lending_context(reader: Any) -> dict[str, Any]:
    """Return what the form needs by which somebody lends their rights on the experiments of a team."""
    highest = policy.find_highest_role(reader)
    return {
        "lendable": [role for role in Role if highest and role <= highest],
        "colleagues": list_colleagues(reader),
        "until": timezone.now() + timedelta(days=USUAL_DAYS),
    }
