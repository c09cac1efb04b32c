"""What was right when an action was asked for, looked at again before each of its commands, and while it waits.

The look before a command decides. Calling off what waits, when rights have changed, only tells people sooner.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.sentences import say
from experiments.actions.transition import move
from experiments.catalogue import preconditions
from experiments.mirror import sync
from experiments.models import Action, Freeze, State, annotate_active_action
from experiments.registry import is_among


class RightLost(Exception):
    """Who asked for an action cannot ask for anything any more; the text says why."""


class Accounts:
    """The accounts that have asked for actions, as they are now; each is read once, with what it holds.

    `experiments` are those that will be asked about.
    """

    def __init__(self, experiments: Iterable[int] = ()) -> None:
        self._experiments = set(experiments)
        self._read: dict[tuple[int | None, str], User] = {}

    def find_asker(self, action: Action) -> User:
        """Return who asked for an action, limited as the token is that they came with; raise RightLost."""
        return self._read_account(action.actor_id, action.actor_name, action.token_digest)

    def find_approver(self, action: Action) -> User:
        """Return who approved an action; raise RightLost."""
        return self._read_account(action.approved_by_id, action.approved_by_name)

    def _read_account(self, number: int | None, name: str, token: str = "") -> User:
        if (number, token) not in self._read:
            account: Any = User.objects.filter(pk=number or 0).first()
            if account is None:
                raise RightLost(say("The account of {name} is gone.", name=name))
            if token:
                account.scope = _require_living(token, name).make_scope()
            policy.look_ahead(account, self._experiments)
            self._read[number, token] = account
        return self._read[number, token]


def _require_living(digest: str, name: str) -> ApiToken:
    token: ApiToken | None = ApiToken.objects.filter(pk=digest).first()
    if token is None or token.is_expired:
        if token:
            raise RightLost(say("The API token of {name} that asked for it has expired.", name=name))
        raise RightLost(say("The API token of {name} that asked for it was revoked.", name=name))
    return token


def find_lost_right(action: Action, accounts: Accounts | None = None) -> str:
    """Return why an action could not be asked for, or approved, any more by those who did; blank if it could.

    Its site and its experiment must have been read just now.
    """
    accounts = accounts or Accounts()
    about = {"site": action.site, "experiment": action.experiment}
    kind, lender = action.catalogue_kind, action.lender_id
    try:
        decision = policy.decide_again(
            accounts.find_asker(action), kind, lender=lender, whom=action.on_behalf_of, **about
        )
        if decision.allowed and action.approved_by_name:
            decision = policy.decide(accounts.find_approver(action), kind, **about)
    except RightLost as lost:
        return str(lost)
    return "" if decision.allowed else decision.reason


def find_reason_not_to_start(action: Action) -> str:
    """Return why a command of an action must not start any more, although it was asked for; blank if it may."""
    if action.experiment:
        sync.look(action.experiment)  # the right may be that of the owner
    return find_lost_right(action) or action.site.explain_switched_off(action.catalogue_kind) or _find_freeze(action)


def _find_freeze(action: Action) -> str:
    experiment = action.experiment
    if experiment is None or not action.catalogue_kind.submits_jobs(action.parameters):
        return ""
    return Freeze.objects.find_refusals([experiment]).get(experiment.pk, "")


def find_absence(action: Action) -> str:
    """Return why the experiment of an action is not there to be acted on, by a fresh look; blank if it is.

    It may have no folder, or be gone, and another one may have its name. While nothing can be seen it counts as there.
    """
    experiment = action.experiment
    fresh = sync.look(experiment) if experiment else None
    if experiment is None or fresh is None:
        return ""
    if not is_among(fresh.records, experiment):
        return say(
            "The experiment that was called {expid} is gone from the store. "
            "Whatever has its name now is another one: ask anew if that is meant.",
            expid=action.expid,
        )
    return preconditions.say_absent(action.expid, fresh.absence) if fresh.absence else ""


def foresee_failure(action: Action) -> str:
    """Return why an action will not do what it is for, by a fresh look at its run; blank otherwise."""
    if action.experiment is None:
        return ""
    sync.look_alive(action.experiment)
    experiment = annotate_active_action().get(pk=action.experiment.pk)
    return action.catalogue_kind.foresee_failure(experiment, action.parameters)


def call_off_unpermitted(**among: Any) -> None:
    """Cancel each waiting action, of those that `among` chooses, whose people have lost the right to it."""
    waiting = list(
        Action.objects.waiting().filter(**among).defer_long_fields().select_related("site", "experiment").order_by("pk")
    )
    accounts = Accounts(action.experiment_id for action in waiting if action.experiment_id)
    for action in waiting:
        lost = find_lost_right(action, accounts)
        if lost:
            move(
                action,
                frm=State(action.state),
                to=State.CANCELLED,
                origin=Origin(door=Door.WORKER),
                ended_at=timezone.now(),
                message=say("Called off: {why}", why=lost),
            )
