"""Which experiments teams cover now, how many a line would cover, and what no team covers yet."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, Min, Q, QuerySet
from django.utils.translation import gettext

from autosubmit_portal.access.models import Coverage, Membership, SiteAccount, Team
from autosubmit_portal.access.rights.grants import Grant, Part, make_condition, make_covering_grants
from autosubmit_portal.access.unix import get_uid
from experiments.models import Experiment, Site

TEAMS_AT_ONCE = 50
MOST_SUGGESTED = 6
SAMPLE = 5


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a line of coverage would cover now: how many experiments, how many that the team has not, and the first."""

    number: int
    new: int
    first: Sequence[Experiment]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Experiments that a line of coverage would bring in, and why they are suggested."""

    site: Site
    owner: str
    hpc: str
    number: int
    example: str
    why: str


def count_covered(teams: Iterable[Team]) -> dict[int, int]:
    """Return how many experiments there are now of each team, by its key."""
    keys = [team.pk for team in teams]
    found: dict[int, int] = {}
    for start in range(0, len(keys), TEAMS_AT_ONCE):
        found |= _count_some(keys[start : start + TEAMS_AT_ONCE])
    return found


def _count_some(keys: Sequence[int]) -> dict[int, int]:
    grants: dict[int, list[Grant]] = defaultdict(list)
    for grant in make_covering_grants(keys):
        if grant.team is not None:
            grants[grant.team].append(grant)
    conditions = {f"team_{key}": make_condition(grants[key]) for key in keys}
    counts = {name: Count("pk", filter=condition) for name, condition in conditions.items() if condition is not None}
    counted = list_present().aggregate(**counts)
    return {key: counted[f"team_{key}"] for key in keys}


def list_present() -> "QuerySet[Experiment]":
    """Return the experiments that are there now."""
    return Experiment.objects.filter(gone_at=None)


def filter_covered(team: Team) -> "QuerySet[Experiment]":
    """Return the experiments of a team that are there now, by expid."""
    condition = make_condition(make_covering_grants([team.pk]))
    rows = list_present() if condition is not None else list_present().none()
    return rows.filter(condition or Q()).select_related("site").order_by("expid", "site")


def count_lines(lines: Sequence[Coverage]) -> list[tuple[Coverage, int]]:
    """Return the lines of a coverage, each with how many experiments it covers now."""
    counts = {f"line_{row.pk}": Count("pk", filter=_get_part(row).make_condition()) for row in lines}
    counted = list_present().aggregate(**counts) if counts else {}
    return [(row, counted[f"line_{row.pk}"]) for row in lines]


def foresee(line: Coverage, team: Team | None) -> Foreseen:
    """Return what a line would cover now; `team` is whose it would be, if that is there already."""
    rows = list_present().filter(_get_part(line).make_condition())
    others = rows.exclude(pk__in=filter_covered(team).order_by().values("pk")) if team else rows
    first = list(others.select_related("site").order_by("expid", "site")[:SAMPLE])
    return Foreseen(rows.count(), others.count(), first)


def suggest(team: Team, sites: "QuerySet[Site]") -> list[Suggestion]:
    """Return what of these sites the team may want to cover: what is of its members, then what is of no team.

    Only owners that are accounts of this host are suggested: a line with another one would cover nothing.
    """
    of_members = _list_of_members(team, sites)
    told = {(one.site.pk, one.owner) for one in of_members}
    of_nobody = (one for one in _list_of_nobody(sites) if (one.site.pk, one.owner) not in told)
    return [*of_members, *of_nobody][:MOST_SUGGESTED]


def _list_of_members(team: Team, sites: "QuerySet[Site]") -> list[Suggestion]:
    members = Membership.objects.current().filter(team=team, user__is_active=True).values("user")
    found = []
    accounts = SiteAccount.objects.filter(user__in=members, site__in=sites).select_related("site", "user")
    for account in accounts.order_by("user__username")[: 2 * MOST_SUGGESTED]:
        seen = foresee(Coverage(site=account.site, owner=account.unix_name), team)
        if seen.new:
            why = gettext("of {user}, who is in the team").format(user=_name(account.user))
            example = seen.first[0].expid
            found.append(Suggestion(account.site, account.unix_name, "", seen.new, example, why))
    return found


def _name(user: User) -> str:
    return user.get_full_name() or user.username


def _list_of_nobody(sites: "QuerySet[Site]") -> list[Suggestion]:
    covered = make_condition(make_covering_grants([*Team.objects.values_list("pk", flat=True)]))
    rows = list_present().filter(site__in=sites)
    free = rows.exclude(pk__in=list_present().filter(covered).values("pk")) if covered is not None else rows
    known = {site.pk: site for site in sites}
    return [*_group(free, "owner", known), *_group(free, "hpc", known)]


def _group(free: "QuerySet[Experiment]", by: str, sites: dict[int, Site]) -> list[Suggestion]:
    counted = free.exclude(**{by: ""}).values("site_id", by).annotate(number=Count("pk"), example=Min("expid"))
    rows: list[Any] = list(counted.order_by("-number", by)[:MOST_SUGGESTED])
    return [
        Suggestion(
            sites[row["site_id"]],
            row.get("owner", ""),
            row.get("hpc", ""),
            row["number"],
            row["example"],
            gettext("of no team"),
        )
        for row in rows
        if by != "owner" or get_uid(row["owner"]) is not None
    ][: MOST_SUGGESTED // 2]


def _get_part(line: Coverage) -> Part:
    return Part(line.site_id, line.owner, line.hpc, line.expid_pattern)
