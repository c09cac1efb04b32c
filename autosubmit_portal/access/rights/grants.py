"""The roles that an account holds on parts of the experiments: in teams, at sites and as an owner.

They are read in one query for each request, and only when the permissions that the account holds everywhere do not
answer the question already.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

from django.db import connection
from django.db.models import F, Q
from django.utils import timezone

from autosubmit_portal.access.models import Coverage, TeamExperiment, get_scope
from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.unix import get_uid
from autosubmit_portal.db.lookups import AnyOf, Glob
from autosubmit_portal.sentences import say

# As SQL for the same reason as in `backends.py`. A team without coverage has a row without conditions. A row with the
# role 0, which is none, says that something was lent to the account: hardly ever is that to be looked up.
_HELD = """
SELECT member.user_id, member.role, member.team_id, team.slug, coverage.id, coverage.site_id, coverage.owner,
    coverage.hpc, coverage.expid_pattern
FROM access_membership member
JOIN access_team team ON team.id = member.team_id
LEFT JOIN access_coverage coverage ON coverage.team_id = team.id
WHERE member.user_id {whose} AND (member.ends_at IS NULL OR member.ends_at > %s)
UNION ALL
SELECT held.user_id, held.role, NULL, site.slug, NULL, site.id, '', '', ''
FROM access_siterole held JOIN experiments_site site ON site.id = held.site_id
WHERE held.user_id {whose}
UNION ALL
SELECT account.user_id, policy.owner_role, NULL, site.slug, NULL, site.id, account.unix_name, '', ''
FROM access_siteaccount account
JOIN access_sitepolicy policy ON policy.site_id = account.site_id
JOIN experiments_site site ON site.id = account.site_id
WHERE account.user_id {whose} AND policy.owner_role IS NOT NULL
UNION ALL
SELECT grantee_id, 0, NULL, '', NULL, NULL, '', '', ''
FROM access_delegation WHERE grantee_id {whose} AND revoked_at IS NULL AND ends_at > %s
"""


class Placed(Protocol):
    """The fields of an experiment that decide whether it belongs to a part."""

    pk: Any
    site_id: int
    owner_uid: int | None
    hpc: str
    expid: str


@dataclass(frozen=True, slots=True)
class Part:
    """Some experiments: those that meet every given condition.

    The owner is given by name and compared by uid; a name unknown to the host owns nothing.
    """

    site: int | None = None
    owner: str = ""
    hpc: str = ""
    expid_pattern: str = ""
    owner_uid: int | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Look up the uid of the owner once, for all experiments that are compared."""
        object.__setattr__(self, "owner_uid", get_uid(self.owner) if self.owner else None)

    @property
    def is_whole_site(self) -> bool:
        """Whether it is all experiments of a site, future ones too."""
        return self.site is not None and not (self.owner or self.hpc or self.expid_pattern)

    def is_of(self, experiment: Placed) -> bool:
        """Return whether the experiment belongs to it."""
        return (
            self.site in (None, experiment.site_id)
            and (not self.owner or (self.owner_uid is not None and self.owner_uid == experiment.owner_uid))
            and self.hpc in ("", experiment.hpc)
            and (not self.expid_pattern or fnmatchcase(experiment.expid, self.expid_pattern))
        )

    def make_condition(self, path: str = "") -> Q:
        """Return the same for the database; `path` leads from the row to its experiment, such as `experiment__`."""
        if self.owner and self.owner_uid is None:
            return Q(**{f"{path}pk__in": []})
        given = {"owner_uid": self.owner_uid, "hpc": self.hpc or None}
        wanted = Q(**{f"{path}{column}": value for column, value in given.items() if value is not None})
        if self.site is not None:
            wanted &= Q(AnyOf(F(f"{path}site_id"), [self.site]))
        if self.expid_pattern:
            wanted &= Q(Glob(F(f"{path}expid"), self.expid_pattern))
        return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role, and where it holds: on what is added to `team` by hand, and on `part` if there is one."""

    role: Role
    part: Part | None = None
    team: int | None = None
    name: str = ""

    @property
    def via(self) -> str:
        """Where the role comes from, in words."""
        held = self.role.name.lower()
        if self.team is not None:
            return say("{held} in the team {name}", held=held, name=self.name)
        if self.part and self.part.owner:
            return say(
                "{held} as owner: the account is {owner} at the site {name}",
                held=held,
                owner=self.part.owner,
                name=self.name,
            )
        return say("{held} at the site {name}", held=held, name=self.name)

    @property
    def is_of_site(self) -> bool:
        """Whether it is a role at a site as such, not only on some of its experiments."""
        return self.team is None and self.part is not None and self.part.is_whole_site


@dataclass(slots=True)
class Grants:
    """All grants of an account, the highest role first; `has_loans` says whether something was lent to it."""

    held: Sequence[Grant]
    has_loans: bool = False
    _picked: dict[int, frozenset[int]] = field(default_factory=dict)

    def filter_least(self, role: Role) -> list[Grant]:
        """Return the grants of this role or a higher one."""
        return [grant for grant in self.held if grant.role >= role]

    def find_reaching(self, *, least: Role = Role.VIEWER, site: Any = None, experiment: Any = None) -> Iterator[Grant]:
        """Yield the grants of this role or higher on the experiment; without one at the site; without one anywhere."""
        for grant in self.filter_least(least):
            if experiment is not None:
                if self._is_on(grant, experiment):
                    yield grant
            elif site is None or _is_at(grant, site):
                yield grant

    def look_up(self, experiments: Iterable[int]) -> None:
        """Read with one query to which teams these experiments were added by hand."""
        wanted = set(experiments) - self._picked.keys()
        teams = {grant.team for grant in self.held if grant.team is not None}
        found: dict[int, set[int]] = {experiment: set() for experiment in wanted}
        if wanted and teams:
            rows = TeamExperiment.objects.filter(experiment__in=wanted, team__in=teams)
            for experiment, team in rows.values_list("experiment_id", "team_id"):
                found[experiment].add(team)
        self._picked |= {experiment: frozenset(picked) for experiment, picked in found.items()}

    def note_picking(self, experiment: int, teams: frozenset[int]) -> None:
        """Take over to which teams an experiment was added by hand, where somebody has read that already."""
        self._picked[experiment] = teams

    def _is_on(self, grant: Grant, experiment: Placed) -> bool:
        if grant.part and grant.part.is_of(experiment):
            return True
        return grant.team is not None and grant.team in self._find_picking(experiment.pk)

    def _find_picking(self, experiment: int) -> frozenset[int]:
        """Return the teams that the experiment was added to by hand; read once for each experiment."""
        self.look_up([experiment])
        return self._picked[experiment]


def _is_at(grant: Grant, site: Any) -> bool:
    """Return whether a grant lets its holder act at a site: a role there, or a team that has something there.

    A team has something there if its coverage names the site, or if an experiment there is of the team.
    """
    if grant.part and grant.part.site is not None:
        return bool(grant.part.site == site.pk) and (grant.is_of_site or grant.team is not None)
    condition = make_condition([grant])
    return condition is not None and bool(site.experiments.filter(condition).exists())


def read_grants(actor: Any) -> Grants:
    """Return the grants of an account, read once for each request; none for closed accounts and without a sign-in."""
    if not actor.is_active or actor.is_anonymous:
        return Grants(())
    if not hasattr(actor, "_grants"):
        read_grants_of([actor])
    held: Grants = actor._grants
    return held


def read_grants_of(actors: Sequence[Any]) -> None:
    """Read the grants of several open accounts with one query; `read_grants` then knows them."""
    whose = "= %s" if len(actors) == 1 else f"IN ({', '.join(['%s'] * len(actors))})"
    keys = [actor.pk for actor in actors]
    with connection.cursor() as cursor:
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        cursor.execute(_HELD.format(whose=whose), [*keys, now, *keys * 3, now])
        rows = cursor.fetchall()
    for actor in actors:
        own = [row for key, *row in rows if key == actor.pk]
        found = [_make_grant(*row) for row in own if row[0]]
        actor._grants = Grants(sorted(found, key=lambda grant: -grant.role), has_loans=len(found) < len(own))


def read_limits(actor: Any) -> Grants:
    """Return grants on all that the teams cover which the credential is limited to, whoever their members are."""
    teams = get_scope(actor).teams or frozenset()
    if getattr(actor, "_limits", (None,))[0] != teams:
        actor._limits = (teams, Grants(make_covering_grants(sorted(teams))))
    limits: Grants = actor._limits[1]
    return limits


def make_covering_grants(teams: Sequence[int]) -> list[Grant]:
    """Return grants on all that these teams cover."""
    columns = ("team_id", "site_id", "owner", "hpc", "expid_pattern")
    rows = Coverage.objects.filter(team__in=teams).values_list(*columns)
    covered = [Grant(role=Role.MANAGER, team=team, part=Part(*conditions)) for team, *conditions in rows]
    return [*covered, *(Grant(role=Role.MANAGER, team=team) for team in teams)]


def make_condition(grants: Sequence[Grant], path: str = "") -> Q | None:
    """Return the condition that any of the grants holds on the experiment at `path`; None if there is no grant."""
    if not grants:
        return None
    wanted = Q()
    sites = {grant.part.site for grant in grants if grant.part and grant.part.is_whole_site}
    if sites:
        wanted |= Q(AnyOf(F(f"{path}site_id"), sorted(filter(None, sites))))
    for part in dict.fromkeys(grant.part for grant in grants if grant.part and not grant.part.is_whole_site):
        wanted |= part.make_condition(path)
    teams = {grant.team for grant in grants if grant.team is not None}
    if teams:
        picked = TeamExperiment.objects.filter(team__in=sorted(teams)).values("experiment_id")
        wanted |= Q(**{f"{path}pk__in": picked})
    return wanted


def _make_grant(
    role: int, team: int | None, name: str, coverage: int | None, site: int | None, *conditions: str
) -> Grant:
    is_described = team is None or coverage is not None
    return Grant(role=Role(role), team=team, name=name, part=Part(site, *conditions) if is_described else None)
