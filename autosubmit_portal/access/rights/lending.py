"""Rights that others have lent to an account, limited to a role, some experiments and a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q

from autosubmit_portal.access.models import Delegation
from autosubmit_portal.access.rights.grants import Grant, Grants, make_condition, make_covering_grants, read_grants
from autosubmit_portal.access.roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """An active delegation: whose rights, up to which role, for which experiments, if not all."""

    number: int
    grantor: User
    role: Role
    experiment: int | None = None
    team: Grants | None = None

    def is_reaching(self, site: Any, experiment: Any) -> bool:
        """Return whether it holds for the experiment, for the site as such, or with neither, for anything at all."""
        if experiment is None:
            return site is None or (self.experiment is None and self.team is None)
        if self.experiment is not None:
            return bool(self.experiment == experiment.pk)
        return self.team is None or next(self.team.find_reaching(experiment=experiment), None) is not None

    def make_condition(self, path: str) -> Q | None:
        """Return the condition that it holds for the experiment at `path`, such as `experiment__`; None if for none."""
        if self.experiment is not None:
            return Q(**{f"{path}pk": self.experiment})
        return Q() if self.team is None else make_condition(self.team.held, path)


def read_loans(actor: Any) -> Sequence[Loan]:
    """Return the active loans to an account, read once for each request. Loans cannot be lent on."""
    if not read_grants(actor).has_loans:
        return ()
    if not hasattr(actor, "_lent"):
        read_loans_of([actor])
    lent: Sequence[Loan] = actor._lent
    return lent


def read_loans_of(actors: Sequence[Any]) -> None:
    """Read the active loans to several accounts together; `read_loans` then knows them."""
    rows = Delegation.objects.active().filter(grantee__in=[actor.pk for actor in actors], grantor__is_active=True)
    found = list(rows.select_related("grantor").order_by("pk"))
    covering = make_covering_grants(sorted({row.team_id for row in found if row.team_id is not None}))
    for actor in actors:
        actor._lent = [_make_loan(row, covering) for row in found if row.grantee_id == actor.pk]


def _make_loan(row: Delegation, covering: Sequence[Grant]) -> Loan:
    return Loan(
        number=row.pk,
        grantor=row.grantor,
        role=Role(row.role),
        experiment=row.experiment_id,
        team=None if row.team_id is None else Grants([grant for grant in covering if grant.team == row.team_id]),
    )
