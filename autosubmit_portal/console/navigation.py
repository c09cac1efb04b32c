"""Where the console leads: the navigation at the top, the page Admin, the keys, and the pages that the search finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.urls import reverse
from django.utils.translation import gettext_lazy

from autosubmit_portal.access.models import ApiToken, Delegation, Team
from autosubmit_portal.access.rights import policy, teams
from autosubmit_portal.access.roles import LIFT_LOCKOUTS
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.console.text import Text
from experiments.models import Action, Experiment, Freeze, Run, Site
from jobs.models import Job


def _sees_everybody(user: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page that the console leads to.

    `route` is the name of its address and `about` what it is for. With `key`, `g` and the key go there. `model` is what
    it lists: who sees none of it is not led there. `may_see` says so of other pages.
    """

    name: Text
    route: str
    about: Text
    key: str = ""
    model: type[Model] | None = None
    may_see: Callable[[Any], bool] = _sees_everybody

    @property
    def address(self) -> str:
        """Its address."""
        return reverse(self.route)

    @property
    def part(self) -> str:
        """What the names of the addresses of its rows begin with, such as `jobs_job`."""
        return f"{self.model._meta.app_label}_{self.model._meta.model_name}" if self.model else ""


def _list_of(model: type[Model], name: Text, about: Text, *, key: str = "") -> Page:
    route = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    return Page(name=name, route=route, about=about, key=key, model=model)


NOW = Page(
    name=gettext_lazy("Now"),
    route="admin:index",
    key="n",
    about=gettext_lazy("What needs you, what runs, and what people did lately."),
)
EXPERIMENTS = _list_of(
    Experiment,
    gettext_lazy("Experiments"),
    gettext_lazy("All experiments, what state they are in, what can be done."),
    key="e",
)
ACTIVITY = Page(
    name=gettext_lazy("Activity"),
    route="admin:activity",
    key="a",
    about=gettext_lazy("What people did, here and outside: one line each."),
)
ADMIN = Page(
    name=gettext_lazy("Admin"),
    route="admin:directory",
    key="d",
    about=gettext_lazy("Everything else: sites, records, people, programs."),
)
TOP: tuple[Page, ...] = (
    NOW,
    EXPERIMENTS,
    _list_of(
        Job, gettext_lazy("Jobs"), gettext_lazy("The jobs of all experiments, by status, name and platform."), key="j"
    ),
    ACTIVITY,
    _list_of(
        Team,
        gettext_lazy("Teams"),
        gettext_lazy("Who works together, on which experiments, and who may do what."),
        key="t",
    ),
    ADMIN,
)
# What nobody needs on a night shift.
GROUPS: tuple[tuple[Text, tuple[Page, ...]], ...] = (
    (
        gettext_lazy("Records"),
        (
            _list_of(
                Action,
                gettext_lazy("Actions"),
                gettext_lazy("Everything that was asked for here, by whom, and what became of it."),
            ),
            Page(
                name=gettext_lazy("Hand-over"),
                route="admin:shift",
                about=gettext_lazy(
                    "What was done in a shift, what failed, what runs, and what needs somebody; to print or send."
                ),
            ),
            _list_of(
                Run,
                gettext_lazy("Runs"),
                gettext_lazy("Each time that an experiment was run: when, how long, how many jobs."),
            ),
            _list_of(
                AuditEntry, gettext_lazy("Audit trail"), gettext_lazy("Who did what and when. Nobody can change it.")
            ),
        ),
    ),
    (
        gettext_lazy("Where experiments run"),
        (
            _list_of(
                Site, gettext_lazy("Sites"), gettext_lazy("The installations of Autosubmit that this portal operates.")
            ),
            _list_of(
                Freeze,
                gettext_lazy("Freezes"),
                gettext_lazy("Times in which nobody may start anything, such as maintenance."),
            ),
            Page(
                name=gettext_lazy("Health"),
                route="admin:health",
                about=gettext_lazy("Whether all parts of the portal work, and what to do if one does not."),
                may_see=lambda user: policy.may_view_all(user, Site),
            ),
        ),
    ),
    (
        gettext_lazy("People"),
        (
            _list_of(
                User,
                gettext_lazy("People"),
                gettext_lazy("Accounts: who may do what, who was here when, who is locked out."),
            ),
            _list_of(Group, gettext_lazy("Groups"), gettext_lazy("Roles that hold everywhere, and who has them.")),
            Page(
                name=gettext_lazy("Failed sign-ins"),
                route="admin:access_failedsignin_changelist",
                about=gettext_lazy("Who is locked out after wrong passwords, and how to let them in."),
                may_see=lambda user: user.has_perm(f"axes.{LIFT_LOCKOUTS}"),
            ),
        ),
    ),
    (
        gettext_lazy("Yours"),
        (
            _list_of(
                Delegation,
                gettext_lazy("Delegations"),
                gettext_lazy("Rights that are lent for a time, by you or to you."),
            ),
            _list_of(ApiToken, gettext_lazy("API tokens"), gettext_lazy("For programs that work in your name.")),
            Page(
                name=gettext_lazy("Preferences"),
                route="admin:preferences",
                about=gettext_lazy("The time zone and the language of your console."),
            ),
            Page(
                name=gettext_lazy("Change password"),
                route="admin:password_change",
                about=gettext_lazy("A new password for your account."),
                may_see=lambda user: user.has_usable_password(),
            ),
            Page(
                name=gettext_lazy("Second factor"),
                route="second_factor",
                about=gettext_lazy("A code of your phone, besides your password."),
                may_see=lambda user: user.has_usable_password(),
            ),
        ),
    ),
    (
        gettext_lazy("For programs"),
        (
            Page(
                name="API",
                route="index-list",
                about=gettext_lazy("What programs can read and ask for, to walk through by hand."),
            ),
            Page(
                name=gettext_lazy("API documentation"),
                route="docs",
                about=gettext_lazy("Each address of the API, its parameters and answers."),
            ),
        ),
    ),
)
ALL: tuple[Page, ...] = (*TOP, *(page for _, pages in GROUPS for page in pages))
# Everybody who may enter has these.
OWN: tuple[type[Model], ...] = (Delegation, ApiToken)


def filter_seen(user: Any, pages: Sequence[Page]) -> list[Page]:
    """Return those of the pages that somebody may see. The rights to all lists are asked for together."""
    models = {page.model for page in pages if page.model}
    shown = {*policy.list_browsable(user, [*models - {*OWN} | {Site}]), *OWN}
    # Whoever may see sites may see when they are frozen.
    otherwise: dict[Any, Callable[[], bool]] = {Freeze: lambda: Site in shown, Team: lambda: teams.may_see_some(user)}
    return [page for page in pages if page.may_see(user) and _is_shown(page.model, shown, otherwise)]


def _is_shown(model: type[Model] | None, shown: set[Any], otherwise: dict[Any, Callable[[], bool]]) -> bool:
    return otherwise[model]() if model in otherwise else model is None or model in shown


def find_current(url_name: str) -> Page | None:
    """Return the entry of the navigation that a page belongs to, by the name of its address; None for none.

    What is asked of a site is to create an experiment; runs are of experiments, and actions and shifts what people did.
    Preferences stand in the menu of the account.
    """
    part = "_".join(url_name.split("_")[:2])
    if url_name == "experiments_site_request" or part == "experiments_run":
        return EXPERIMENTS
    if url_name == "shift" or part == "experiments_action":
        return ACTIVITY
    if url_name == "preferences":
        return None
    found = next((page for page in ALL if page.part == part or page.route == f"admin:{url_name}"), None)
    return found if found is None or found in TOP else ADMIN
