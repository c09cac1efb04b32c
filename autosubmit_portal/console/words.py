"""The words of pages that stand where no Django is, or that are put together: each is translated as a whole.

What knows Autosubmit knows no Django (.importlinter). Its English words are looked up in the catalogue of the language
where a page shows them. Here they are listed, so that they get there.
"""

from collections.abc import Iterator

from django.apps import apps
from django.db.models import Field, Model
from django.utils.translation import gettext_lazy

from autosubmit_portal import health
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.origin import Door
from autosubmit_portal.audit.periods import PERIODS, describe_period
from autosubmit_portal.console.parts import acts, script_words
from autosubmit_portal.console.parts.presentation import describe_event
from experiments import failure_reasons
from experiments.activity import STATES_OF_OUTCOMES
from experiments.attention.rules import TITLES
from experiments.catalogue.kinds import CATALOGUE, ActionKind

APPS = ("access", "audit", "experiments", "jobs")
# What is recorded besides what the models below are watched for (`audit.watch`).
EVENTS = (
    *(f"action.{ending}" for ending in ("requested", "refused", "running", "queued", "succeeded", "failed", "lost")),
    *(f"action.{decision}" for decision in ("approved", "rejected", "expired", "cancelled", "cancel_requested")),
    *("api_token.limited", "api_token.used", "audit.exported", "delegation.refused", "experiment.program_chosen"),
    *("host.call_empty_refused", "host.called_empty", "lockout.lifted", "sign_in.ended", "sign_in.failed"),
    *("sign_in.succeeded", "freeze.refused", "note.refused", "note.acknowledged", "note.written", "note.removed"),
    *("action.approval_refused", "action.call_lost_refused", "action.cancel_refused", "action.command_started"),
    *("action.found_started", "action.signalled_again", "api_token.refused", "api_token.revoke_refused"),
    *("audit.sealed", "delegation.made", "experiment.program_refused", "freeze.made", "sign_in.locked_out"),
    *("group.permissions_changed", "team.experiment_added", "user.permissions_changed"),
    *("invitation.made", "invitation.withdrawn", "invitation.accepted"),
    *("second_factor.added", "second_factor.removed", "second_factor.used", "delegation.revoked", "freeze.ended"),
    *(f"experiment.{happened}_outside" for happened in (*acts.OUTSIDE_WORDS, "run_ended")),
)
WATCHED = ("site", "host", "api_token", "team", "membership", "coverage", "team_experiment", "site_role")
MORE_WATCHED = ("site_account", "site_policy", "user", "group", "delegation", "freeze")
# What the details of entries are called, without those of single fields that were changed.
DETAILS = (
    *("parameters", "command", "is dry run", "unix name", "awaits approval", "approved by", "exit status"),
    *("job changes", "changes", "added", "removed", "add", "remove", "clear", "of", "jobs", "commands"),
    *("owner", "ending", "step", "pid", "evidence", "refused", "more", "since", "until", "freeze", "platform"),
    *("starts at", "ends at", "note", "job", "acknowledges", "pinned", "type", "format", "query", "delegation"),
    *("grantor", "grantee", "role", "team", "program", "first id", "last id", "entries", "previous"),
    *("last digest", "file", "invitation", "whom", "inviter", "open until"),
)
# How people came in, of which each request knows (`Origin.credential`).
CREDENTIALS = ("session", "API token {token}", "OIDC bearer {client}", "Unix account {name}")
# What an agent and the gateway have looked at (`agent.examination`, `gateway.doctor`).
EXAMINED = (
    *("gateway", "channel", "walls", "agent", "clock", "site file", "python", "program", "programs", "store", "spool"),
    *("processes", "machine", "sessions", "kinds", "profiles", "rules", "umask"),
)
# What the trail says of rows that name others (`audit.watch`), by the role that they give if they give one.
NAMING_ROLES = (
    "delegation {grantor} to {grantee}: ROLE of everything",
    "delegation {grantor} to {grantee}: ROLE of the team {team}",
    "delegation {grantor} to {grantee}: ROLE of {experiment} at {site}",
    "membership {user} as ROLE of {team}",
    "invitation for {whom} as ROLE of {team}",
    "site_role {user} as ROLE at {site}",
    "site_policy owners at {site} are ROLE",
)
NAMING = (
    *("site_account {user} is {unix_name} at {site}", "site_policy owners at {site} are nothing"),
    "team_experiment {experiment} of {team}",
    *(f"coverage {{team}}: {name} {{value}}" for name in ("site", "owner", "HPC", "expid")),
)
SUBJECTS = ("freeze", "audit trail", "activity", "many names and addresses", "single sign-on")
# Models that people change by forms, and fields that lists of the others have as columns.
EDITED = ("site", "host", "team", "membership", "coverage", "teamexperiment", "siterole", "siteaccount", "sitepolicy")
SHOWN_FIELDS = (
    *("site", "expid", "name", "owner", "hpc", "version", "section", "member", "chunk", "platform", "description"),
    *("state", "kind", "requested_at", "door"),
    *("username", "user", "role", "source", "unix_name", "queue", "autosubmit_version", "expid_pattern", "split"),
)
# What the permissions allow that are no model's (`experiments.permissions`), besides the kinds.
PERMISSIONS = (
    *("See and lift lockouts", "Freeze a site or a platform", "Choose a program", "Write notes, and acknowledge"),
    *("Remove notes of others", "Call a command lost", "Manage teams, and the roles and accounts at sites"),
)
# Menus and names of columns that are made of the names of parameters.
MENUS = ("Kind", "Outcome", "Section", "Date", "Member")
# Fields of forms that are called as people call them.
FIELDS = ("Site", "Platform", "Message", "Reason", "Experiment", "Team", "Role", "Grantee", "Code", "Text", "Kinds")
# How parts of the portal are, in one word (`health`).
PART_WORDS = (
    *("ok", "unknown", "down", "behind", "missing", "foreign", "stray", "stale", "unhealthy", "none", "away", "open"),
    *("low", "full", "slow", "stuck"),
)
# What is said of who holds a lock (`experiments.autosubmit.liveness`) by agents, which know none of our sentences.
EVIDENCE = (
    *("nobody holds the lock", "there is no lock file: it was never run", "process {pid} on {host} holds the lock"),
    "this system does not tell who holds a lock (no /proc/locks)",
    "process {pid} on {host} holds the lock; what it is cannot be seen, so that it counts as a run",
    "process {pid} of {owner} on {host} holds the lock, but is no run of {expid}",
    "process {pid} on {host} holds the lock for {command}, not for a run",
    "not seen since {since}: the host {host} is silent",
)


def list_words() -> Iterator[str]:
    """Yield the English words and sentences, some of them several times."""
    for kind in CATALOGUE.values():
        yield from _list_of_kind(kind)
    for model in list_models():
        yield from _list_of_model(model)
    for role in Role:
        yield from (role.title, role.help, role.name.lower())
    yield from (*MENUS, *FIELDS, *PART_WORDS)
    yield from (part.capitalize() for part in health.CHECKS)
    yield from (
        *TITLES.values(),
        *acts.OUTSIDE_WORDS.values(),
        *acts.OF_NOTES.values(),
        acts.SOMEBODY,
        *script_words.WORDS,
    )
    yield from NAMING
    yield from (form.replace("ROLE", role.name.lower()) for form in NAMING_ROLES for role in Role)
    yield from (*PERMISSIONS, *DETAILS, *CREDENTIALS, *EXAMINED, *SUBJECTS)
    for said in EVIDENCE:
        yield from (said, said[:1].upper() + said[1:])
    yield from (describe_period(name) for name in PERIODS)
    yield from (door.value for door in Door)
    yield from (name.capitalize() for name in STATES_OF_OUTCOMES)
    yield from _list_events()
    for reason in failure_reasons.load():
        yield from (reason.title, reason.meaning, reason.advice)


def _list_of_kind(kind: ActionKind) -> Iterator[str]:
    yield from (kind.title, kind.help, kind.warning)
    yield from (acts.say_tried(kind.name), acts.say_done(kind.name), acts.say_asked(kind.name))
    yield from (acts.say_decided(decision, kind.name) for decision in acts.DECISIONS)
    for option in kind.options:
        yield from (option.help, option.name.replace("_", " "))
    for question in kind.questions:
        yield question.label
        yield from (way.title for way in question.ways)


def _list_events() -> Iterator[str]:
    watched = (f"{thing}.{happened}" for thing in (*WATCHED, *MORE_WATCHED) for happened in acts.CHANGES)
    for event in (*EVENTS, *watched):
        yield describe_event(event)
        if event in acts.OF_EVENTS or not _is_told_otherwise(event):
            yield acts.say_recorded(event)
    yield from (acts.say_ended(ending) for ending in (*acts.ENDINGS, ""))


def _is_told_otherwise(event: str) -> bool:
    """Answer whether what people did is said of it in another way, or not at all."""
    return event.startswith(("action.", "note.", "sign_in.")) or event.endswith("_outside")


def list_models() -> Iterator[type[Model]]:
    """Yield the models whose names and fields pages show."""
    for label in APPS:
        yield from apps.get_app_config(label).get_models()


def _list_of_model(model: type[Model]) -> Iterator[str]:
    yield from (str(model._meta.verbose_name), str(model._meta.verbose_name_plural))
    for field in model._meta.get_fields():
        if isinstance(field, Field) and field.name in SHOWN_FIELDS:
            yield str(field.verbose_name)
        if isinstance(field, Field) and model._meta.model_name in EDITED and (field.editable or field.name == "source"):
            yield from (str(field.verbose_name), str(field.help_text))


def translate_models() -> None:
    """Have the names of models and of their fields, with their help, shown in the language of the page.

    Django makes most of these names of those of classes and attributes. In English nothing changes.
    """
    for model in list_models():
        names = model._meta
        names.verbose_name = gettext_lazy(str(names.verbose_name))
        names.verbose_name_plural = gettext_lazy(str(names.verbose_name_plural))
        for field in names.get_fields():
            if isinstance(field, Field):
                field.verbose_name = gettext_lazy(str(field.verbose_name))
                field.help_text = gettext_lazy(str(field.help_text)) if field.help_text else ""
