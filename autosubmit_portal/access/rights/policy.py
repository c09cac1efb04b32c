"""The one place that decides who may do what; `may_…` answers, `require_…` raises with the reason.

A role on an experiment comes from a permission held everywhere (that of an account or of its groups), from the site,
from a team that covers the experiment, or from owning it where the site grants owners something; the highest counts.
An account without such a role may have been lent that of another one for a time (`lending.py`).
docs/permissions.md has the rules for people.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Any, Protocol, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Model, Q, QuerySet
from django.utils.translation import override

from autosubmit_portal.access.models import get_scope
from autosubmit_portal.access.rights.grants import Grant, Grants, Part, make_condition, read_grants, read_limits
from autosubmit_portal.access.rights.lending import Loan, read_loans
from autosubmit_portal.access.roles import LEAST_TO_VIEW, Role
from autosubmit_portal.sentences import marked, say

Actor = AbstractBaseUser | AnonymousUser
Rows = TypeVar("Rows", bound="QuerySet[Any, Any]")


class PermittedKind(Protocol):
    """What the policy needs to know of an action kind."""

    @property
    def name(self) -> str:
        """What programs call it."""

    @property
    def title(self) -> str:
        """What people call it."""

    @property
    def role(self) -> Role:
        """The least role that allows it."""

    @property
    def permission(self) -> str:
        """The codename of the permission in the app `experiments` that allows it everywhere."""


class Forbidden(Exception):
    """The actor may see the thing but not do this. The text says why.

    `permission` would allow it everywhere; blank where none would.
    """

    def __init__(self, reason: str, permission: str) -> None:
        super().__init__(reason)
        self.permission = permission


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether somebody may request a kind of action, why or why not, and which role or permission allows it.

    `on_behalf_of` is the person who lent the right, if somebody did.
    """

    allowed: bool
    reason: str
    via: str = ""
    on_behalf_of: User | None = None


def decide(actor: Actor, kind: PermittedKind, *, site: Any = None, experiment: Any = None) -> Decision:
    """Decide whether the actor may request `kind` for the experiment, for the site, or, with neither, anywhere.

    Own rights come first; loans count only without one.
    """
    return decide_each(actor, [kind], site=site, experiment=experiment)[0]


def decide_each(
    actor: Actor, kinds: Iterable[PermittedKind], *, site: Any = None, experiment: Any = None
) -> list[Decision]:
    """Decide about several kinds at the same place as `decide` does, with one look at what the actor has there."""
    standing = _Standing(actor, site, experiment)
    return [_decide(standing, kind) for kind in kinds]


def _decide(standing: "_Standing", kind: PermittedKind) -> Decision:
    obstacle = standing.find_obstacle(kind)
    if obstacle:
        return Decision(
            allowed=False,
            reason=say(
                "{actor} may not do “{title}”: {obstacle}",
                actor=standing.actor,
                title=say(kind.title),
                obstacle=obstacle,
            ),
        )
    right = next(standing.list_rights(kind), None)
    return right or Decision(allowed=False, reason=standing.say_what_is_missing(kind))


def decide_again(
    actor: Actor,
    kind: PermittedKind,
    *,
    lender: int | None = None,
    whom: str = "",
    site: Any = None,
    experiment: Any = None,
) -> Decision:
    """Decide whether the actor still has the right that the request used.

    It was their own, or, if `whom` names somebody, that of the account with the key `lender`: no other right replaces
    it, not even that of another account which now has the name.
    """
    standing = _Standing(actor, site, experiment)
    obstacle = standing.find_obstacle(kind)
    if obstacle:
        return Decision(
            allowed=False,
            reason=say(
                "{actor} may not do “{title}” any more: {obstacle}",
                actor=actor,
                title=say(kind.title),
                obstacle=obstacle,
            ),
        )
    for decision in standing.list_rights(kind):
        theirs = decision.on_behalf_of
        if (theirs is None and not whom) or (theirs is not None and theirs.pk == lender):
            return decision
    missing = standing.say_what_is_missing(kind)
    if whom:
        missing = say(
            "{actor} may not do “{title}” for {whom} any more: nothing that {whom} lends allows it.",
            actor=actor,
            title=say(kind.title),
            whom=whom,
        )
    return Decision(allowed=False, reason=missing)


# Whole sentences, each for itself: other languages put their parts in another order.
_MISSING_ANYWHERE = marked(
    "{actor} may not do “{title}”: the role {role} in a team or at a site is missing, and so is the permission "
    "experiments.{permission}, which would allow it everywhere. Ask a manager for one of them."
)
_MISSING_ON = marked(
    "{actor} may not do “{title}” on {experiment}: the role {role} in a team that covers {experiment} or at the site "
    "{site} is missing, and so is the permission experiments.{permission}, which would allow it everywhere. Ask a "
    "manager for one of them."
)
_MISSING_AT = marked(
    "{actor} may not do “{title}” at {site}: the role {role} at the site {site} or in a team that has experiments "
    "there is missing, and so is the permission experiments.{permission}, which would allow it everywhere. Ask a "
    "manager for one of them."
)


class _Standing:
    """What an account has at a place: an experiment, a site, or, with neither, anywhere.

    Each thing is looked up when the first kind needs it, and then holds for the others.
    """

    def __init__(self, actor: Actor, site: Any, experiment: Any) -> None:
        self.actor, self.site, self.experiment = actor, site, experiment
        self._scope = get_scope(actor)
        self._granted: dict[Role, str] = {}

    def find_obstacle(self, kind: PermittedKind) -> str:
        """Return why no role of the actor would allow it; blank if there is no such reason."""
        kinds = self._scope.kinds
        if self.actor.is_anonymous:
            return say("nobody is signed in.")
        if not self.actor.is_active:
            return say("the account is closed.")
        if kinds is not None and kind.name not in kinds:
            return say("this credential is limited to {kinds}.", kinds=", ".join(sorted(kinds)) or say("looking"))
        if self._is_beyond_limits:
            return say("this credential is limited to teams that do not cover it.")
        return ""

    def list_rights(self, kind: PermittedKind) -> Iterator[Decision]:
        """Yield each right to request it: the actor's own, then what others have lent."""
        via = self._explain_right(kind)
        if via:
            reason = say("{actor} may do “{title}”: {via}.", actor=self.actor, title=say(kind.title), via=via)
            yield Decision(allowed=True, reason=reason, via=via)
        for loan, lender in self._loans:
            via = lender._explain_right(kind) if loan.role >= kind.role else ""
            if via:
                via = say("delegation {number}, {via}", number=loan.number, via=via)
                reason = say(
                    "{actor} may do “{title}” for {grantor}: {via}.",
                    actor=self.actor,
                    title=say(kind.title),
                    grantor=loan.grantor,
                    via=via,
                )
                yield Decision(allowed=True, reason=reason, via=via, on_behalf_of=loan.grantor)

    def say_what_is_missing(self, kind: PermittedKind) -> str:
        """Say which role would allow it, and who gives it."""
        said, values = _MISSING_ANYWHERE, {}
        if self.experiment is not None:
            said, values = _MISSING_ON, {"experiment": self.experiment, "site": self.experiment.site}
        elif self.site is not None:
            said, values = _MISSING_AT, {"site": self.site}
        asked = {"actor": self.actor, "title": say(kind.title), "role": say(kind.role.name.lower())}
        return say(said, **asked, permission=kind.permission, **values)

    def _explain_right(self, kind: PermittedKind) -> str:
        """Say where the account's own right comes from; blank if there is none."""
        via = _explain_everywhere(self.actor, kind)
        if not via and kind.role not in self._granted:
            grants = _list_grants(self.actor, kind.role, self.site, self.experiment)
            self._granted[kind.role] = next((grant.via for grant in grants), "")
        return via or self._granted[kind.role]

    @cached_property
    def _is_beyond_limits(self) -> bool:
        if self._scope.teams is None:
            return False
        limits = read_limits(self.actor)
        return next(limits.find_reaching(site=self.site, experiment=self.experiment), None) is None

    @cached_property
    def _loans(self) -> "list[tuple[Loan, _Standing]]":
        return [
            (loan, _Standing(loan.grantor, self.site, self.experiment))
            for loan in read_loans(self.actor)
            if loan.is_reaching(self.site, self.experiment)
        ]


def may_request(actor: Actor, kind: PermittedKind, *, site: Any = None, experiment: Any = None) -> bool:
    """Return whether the actor may request actions of this kind there; somewhere, if nothing is named."""
    return decide(actor, kind, site=site, experiment=experiment).allowed


def look_ahead(actor: Actor, experiments: Iterable[int]) -> None:
    """Read together what the decisions about these experiments will need."""
    wanted = list(experiments)
    for grants in _list_grants_of_all(actor):
        grants.look_up(wanted)


def _list_grants_of_all(actor: Actor) -> Iterator[Grants]:
    limits = _read_limits(actor)
    if limits:
        yield limits
    if getattr(actor, "is_superuser", False):
        return
    yield read_grants(actor)
    for loan in read_loans(actor):
        yield read_grants(loan.grantor)
        if loan.team:
            yield loan.team


def may_request_everywhere(actor: Actor, kind: PermittedKind) -> bool:
    """Return whether the actor may request actions of this kind whatever they are about."""
    is_free = not _Standing(actor, None, None).find_obstacle(kind) and get_scope(actor).teams is None
    return is_free and bool(_explain_everywhere(actor, kind))


def require_request(actor: Actor, kind: PermittedKind, *, site: Any = None, experiment: Any = None) -> Decision:
    """Raise Forbidden unless the actor may request actions of this kind there; return the decision."""
    decision = decide(actor, kind, site=site, experiment=experiment)
    if not decision.allowed:
        raise Forbidden(decision.reason, f"experiments.{kind.permission}")
    return decision


def may_enter(actor: Actor) -> bool:
    """Return whether the actor may use the console: whoever may see anything in it."""
    if any(".view_" in permission for permission in _list_held(actor)):
        return True
    return bool(read_grants(actor).held or read_loans(actor))


def find_highest_role(actor: Actor) -> Role | None:
    """Return the highest role that the actor has anywhere; None if none. Single permissions count as their role."""
    if getattr(actor, "is_superuser", False):
        return Role.MANAGER
    held = _list_held(actor)
    groups: Any = getattr(actor, "groups", None)
    names = set(groups.values_list("name", flat=True)) if groups else set()
    roles = {role for role in Role if role.title in names} | {grant.role for grant in read_grants(actor).held}
    roles |= {Role.VIEWER for name in held if ".view_" in name}
    roles |= {Role.OPERATOR for name in held if ".request_" in name}
    return max(roles, default=None)


def may_view(actor: Actor, model: type[Model]) -> bool:
    """Return whether the actor may see some rows of `model`; which they are is `visible_to` of its QuerySet."""
    if _has_permission(actor, _name_view(model)) or _list_grants_to_view(actor, model):
        return True
    return any(True for _ in _list_loans_to_view(actor, model))


def list_browsable(actor: Actor, models: Iterable[type[Model]]) -> list[type[Model]]:
    """Return the models whose lists the console shows the actor, who may see some rows or change all."""
    return [model for model in models if may_view(actor, model) or _has_permission(actor, _name_change(model))]


def require_view(actor: Actor, *models: type[Model]) -> None:
    """Raise Forbidden unless the actor may see some rows of each of the models."""
    for model in models:
        if not may_view(actor, model):
            raise _refuse_unseen(actor, model)


def may_view_all(actor: Actor, *models: type[Model]) -> bool:
    """Return whether the actor may see every row of each of the models."""
    return all(_has_permission(actor, _name_view(model)) for model in models) and get_scope(actor).teams is None


def require_view_of_all(actor: Actor, model: type[Model]) -> None:
    """Raise Forbidden unless the actor may see every row of `model`."""
    if not may_view_all(actor, model):
        raise _refuse_unseen(actor, model)


def explain_view(actor: Actor, experiment: Any) -> str:
    """Say where the right to see an experiment comes from; blank if there is none. A credential is not looked at."""
    via = _explain_own_view(actor, experiment)
    if via:
        return via
    for loan in read_loans(actor):
        via = _explain_own_view(loan.grantor, experiment) if loan.is_reaching(experiment.site, experiment) else ""
        if via:
            return say("delegation {number}, {via}", number=loan.number, via=via)
    return ""


def _explain_own_view(actor: Any, experiment: Any) -> str:
    permission = _name_view(type(experiment))
    if _has_permission(actor, permission):
        return say("superuser") if actor.is_superuser else say("permission {permission}", permission=permission)
    return next((grant.via for grant in read_grants(actor).find_reaching(experiment=experiment)), "")


def filter_visible(rows: Rows, actor: Actor, *, path: str = "", model: type[Model] | None = None) -> Rows:
    """Return the rows that the actor may see, decided by their experiments.

    `path` leads from a row to its experiment, such as `experiment__`; blank for experiments. With `model`, the rows are
    experiments, and those are returned whose rows of that model the actor may see.
    """
    condition = make_visible_condition(actor, model or rows.model, path)
    if condition is None:
        return rows.none()
    return rows.filter(condition) if condition else rows


def make_visible_condition(actor: Actor, model: type[Model], path: str = "") -> Q | None:
    """Return the condition that the actor may see rows of `model` of the experiment at `path`; None if of none."""
    condition = _make_own_condition(actor, model, path)
    if condition is None or condition:
        lent = _make_lent_conditions(actor, model, path)
        condition = _join_any([*([] if condition is None else [condition]), *lent])
    if condition is None:
        return None
    limits = _read_limits(actor)
    if limits is None:
        return condition
    within = make_condition(limits.held, path)
    return None if within is None else condition & within


def _make_own_condition(actor: Actor, model: type[Model], path: str) -> Q | None:
    return (
        Q() if _has_permission(actor, _name_view(model)) else make_condition(_list_grants_to_view(actor, model), path)
    )


def _make_lent_conditions(actor: Actor, model: type[Model], path: str) -> Iterator[Q]:
    """Yield the conditions of what the actor may see by loans of others who may see it themselves."""
    for loan in _list_loans_to_view(actor, model):
        theirs, lent = _make_own_condition(loan.grantor, model, path), loan.make_condition(path)
        if theirs is not None and lent is not None:
            yield theirs & lent


def _list_loans_to_view(actor: Actor, model: type[Model]) -> Iterator[Loan]:
    least = LEAST_TO_VIEW.get(f"view_{model._meta.model_name}")
    if least is not None:
        yield from (loan for loan in read_loans(actor) if loan.role >= least)


def _join_any(conditions: Sequence[Q]) -> Q | None:
    """Return the condition that any of these holds; None without conditions. An empty condition always holds."""
    if not conditions:
        return None
    return reduce(or_, conditions) if all(conditions) else Q()


def find_whole_sites(actor: Actor, model: type[Model]) -> set[int]:
    """Return the sites of which the actor may see all rows of `model`, future ones too."""
    return _find_sites(actor, model, lambda part: part.is_whole_site)


def find_named_sites(actor: Actor, model: type[Model]) -> set[int]:
    """Return the sites, for an actor who may not see all, that a role of theirs or the coverage of a team names."""
    return _find_sites(actor, model, lambda part: part.site is not None)


def find_own_teams(actor: Actor) -> set[int]:
    """Return the actor's teams within the limits of the credential."""
    limits = get_scope(actor).teams
    found = {grant.team for grant in read_grants(actor).held if grant.team is not None}
    return found if limits is None else found & limits


def _find_sites(actor: Actor, model: type[Model], is_meant: Callable[[Part], bool]) -> set[int]:
    def meant(grants: Sequence[Grant]) -> set[int]:
        return {grant.part.site for grant in grants if grant.part and grant.part.site and is_meant(grant.part)}

    limits, found = _read_limits(actor), meant(_list_grants_to_view(actor, model))
    if limits is None:
        return found
    within = meant(limits.held)
    return within if _has_permission(actor, _name_view(model)) else within & found


def find_teams_of_new(actor: Actor, kind: PermittedKind, site: Any, lender: User | None = None) -> set[int]:
    """Return the teams that give the actor, or the lender, the right to create an experiment at the site.

    They will get it. None if the actor may create there without a team, unless the credential is limited to teams.
    """
    holder = lender or actor
    through = {grant.team for grant in _list_grants(holder, kind.role, site, None)}
    is_theirs_only = None not in through and not _explain_everywhere(holder, kind)
    limits = _read_limits(actor)
    if not is_theirs_only:
        through = {grant.team for grant in limits.find_reaching(site=site)} if limits else set()
    return {team for team in through if team is not None}


def _list_grants(actor: Actor, least: Role, site: Any, experiment: Any) -> Iterator[Grant]:
    """Yield the grants of this role or a higher one that hold there.

    What a credential that is limited to teams creates must be of one of them.
    """
    limits = get_scope(actor).teams
    for grant in read_grants(actor).find_reaching(least=least, site=site, experiment=experiment):
        if experiment is not None or limits is None or grant.team is None or grant.team in limits:
            yield grant


def _explain_everywhere(actor: Actor, kind: PermittedKind) -> str:
    """Say why the actor may do it everywhere; blank if that is not so."""
    if getattr(actor, "is_superuser", False) and actor.is_active:
        return say("superuser")
    permission = f"experiments.{kind.permission}"
    return say("permission {permission}", permission=permission) if _has_permission(actor, permission) else ""


def _read_limits(actor: Actor) -> Grants | None:
    """Return grants on all that the teams of the credential cover; None without such a limit."""
    return None if get_scope(actor).teams is None else read_limits(actor)


def _name_view(model: type[Model]) -> str:
    return f"{model._meta.app_label}.view_{model._meta.model_name}"


def _name_change(model: type[Model]) -> str:
    return f"{model._meta.app_label}.change_{model._meta.model_name}"


def _list_grants_to_view(actor: Actor, model: type[Model]) -> list[Grant]:
    least = LEAST_TO_VIEW.get(f"view_{model._meta.model_name}")
    return read_grants(actor).filter_least(least) if least else []


def _refuse_unseen(actor: Actor, model: type[Model]) -> Forbidden:
    permission = _name_view(model)
    with override(None):
        names = say(str(model._meta.verbose_name_plural))
    reason = say(
        "{actor} may not do “View {names}”: the permission {permission} is missing. Ask a manager.",
        actor=actor,
        names=names,
        permission=permission,
    )
    return Forbidden(reason, permission)


def _has_permission(actor: Any, permission: str) -> bool:
    """Return whether the account holds a permission everywhere; administrators hold all."""
    return actor.is_active and (actor.is_superuser or permission in _list_held(actor))


def _list_held(actor: Any) -> set[str]:
    """Return the permissions that the account holds everywhere; asked for once in a request."""
    if not hasattr(actor, "_held"):
        actor._held = actor.get_all_permissions()
    held: set[str] = actor._held
    return held
