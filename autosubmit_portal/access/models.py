"""Who belongs to which team with which role, what a team covers, roles at sites, and API tokens.

The groups of Django hold the roles that somebody has everywhere. `policy.py` decides what follows from all of them.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.roles import Role
from autosubmit_portal.access.unix import explain_unusable
from autosubmit_portal.sentences import translate

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

BY_HAND = "hand"
# So much of the text of a token is kept, to tell tokens apart.
KEY_LENGTH = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The limits of a credential; None is no limit.

    `kinds` are names of action kinds that may be requested: an empty set lets only look. `teams` are primary keys of
    teams: only what one of them covers may be seen or acted on.
    """

    kinds: frozenset[str] | None = None
    teams: frozenset[int] | None = None


UNLIMITED = Scope()


def get_scope(actor: Any) -> Scope:
    """Return what the credential of this request is limited to; whoever authenticates sets it as `actor.scope`."""
    scope: Scope | None = getattr(actor, "scope", None)
    return scope or UNLIMITED


def compute_digest(text: str) -> str:
    """Return the digest of a token. Its text is random, so the digest needs neither salt nor many rounds."""
    return hashlib.sha512(text.encode()).hexdigest()


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Tokens, and which of them somebody may see."""

    def visible_to(self, actor: "User | AnonymousUser") -> "ApiTokenQuerySet":
        """Return the actor's own tokens; all tokens with the permission to see them and an unlimited credential.

        With a credential limited to teams, only own tokens with limits inside these teams.
        """
        scope = get_scope(actor)
        if scope == UNLIMITED and actor.has_perm("access.view_apitoken"):
            return self
        own = self.filter(user=actor.pk)
        if scope.teams is None:
            return own
        wider = Team.objects.exclude(pk__in=scope.teams).filter(tokens=OuterRef("pk"))
        return own.filter(~Exists(wider), only_teams=True)


class ApiToken(models.Model):
    """A token for the API: kept as a digest, shown once when made."""

    NOTED_EVERY = timedelta(minutes=1)
    """How exactly its last use is known."""

    digest = models.CharField(max_length=128, primary_key=True)
    token_key = models.CharField(max_length=25, db_index=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="auth_token_set")
    created = models.DateTimeField(auto_now_add=True)
    expiry = models.DateTimeField(null=True, blank=True)
    name = models.CharField(max_length=100, help_text="What uses it.")
    kinds = models.JSONField(
        null=True, default=None, help_text="Names of the action kinds that it is for; null: all, []: only to read."
    )
    only_teams = models.BooleanField(default=False, help_text="Whether it is limited to `teams`.")
    teams: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(
        "access.Team",
        blank=True,
        related_name="tokens",
        help_text="The teams that it is limited to. When one is dissolved, less is left, never more.",
    )
    last_used_at = models.DateTimeField(null=True, editable=False)
    last_used_address = models.GenericIPAddressField(null=True, editable=False)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = "API token"
        default_permissions = ("view", "delete")
        indexes = [models.Index(fields=["-created"], name="access_tokens_newest")]

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key}…)"

    @classmethod
    def generate(cls, user: "User", **columns: Any) -> tuple["ApiToken", str]:
        """Return a new unsaved token and its text, which is stored nowhere."""
        text = secrets.token_hex(32)
        return cls(digest=compute_digest(text), token_key=text[:KEY_LENGTH], user=user, **columns), text

    def limit_account(self) -> None:
        """Limit its account, for this request, as the token is, and have the trail name the token."""
        account: Any = self.user
        account.scope, account.credential, account.token_digest = self.make_scope(), self.credential, self.pk

    def make_scope(self) -> Scope:
        """Return what it may be used for, at most."""
        return Scope(
            kinds=None if self.kinds is None else frozenset(self.kinds),
            teams=frozenset(self.teams.values_list("pk", flat=True)) if self.only_teams else None,
        )

    @property
    def credential(self) -> str:
        """What the trail calls it."""
        return f"API token {self.token_key[:8]} {self.name}"

    @property
    def is_use_noted(self) -> bool:
        """Whether its row has a use of the last minute."""
        return self.last_used_at is not None and timezone.now() - self.last_used_at < self.NOTED_EVERY

    @property
    def is_expired(self) -> bool:
        """Whether it has expired."""
        return self.expiry is not None and self.expiry < timezone.now()


def list_role_choices() -> list[tuple[int, Any]]:
    """The roles as choices; a callable, so that a change of their names needs no migration."""
    return [(role.value, gettext_lazy(role.title)) for role in Role]


def make_role_field(help_text: str, **options: Any) -> "models.PositiveSmallIntegerField[Any, Any]":
    """Return a column that holds a role."""
    return models.PositiveSmallIntegerField(choices=list_role_choices, help_text=help_text, **options)


def make_role_constraint(name: str, column: str = "role") -> models.CheckConstraint:
    """Return the constraint that a column holds an existing role."""
    return models.CheckConstraint(condition=Q(**{f"{column}__in": [role.value for role in Role]}), name=name)


def make_source_field() -> "models.CharField[Any, Any]":
    """Return a column that says who keeps the row: “hand” for managers, or the name of the identity provider."""
    return models.CharField(
        max_length=50, default=BY_HAND, editable=False, help_text="“hand”, or the identity provider that keeps it."
    )


class Team(models.Model):
    """People who work on the same experiments: those that a coverage describes and those that are added by hand."""

    slug = models.SlugField(unique=True, help_text="Short name in addresses, claims and audit entries.")
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    experiments = models.ManyToManyField("experiments.Experiment", through="TeamExperiment", related_name="teams")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.slug


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Memberships."""

    def current(self) -> "MembershipQuerySet":
        """Return those that hold now."""
        return self.exclude(ends_at__lte=timezone.now())


class Membership(models.Model):
    """The role of somebody in a team, which ends by itself at `ends_at` if that is given.

    `source` says who keeps the row: "hand", or the identity provider that names the team at each sign-in. Of two rows
    of the same person the higher role counts.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = make_role_field("What the person may do to the experiments of the team.")
    source = make_source_field()
    made_at = models.DateTimeField(auto_now_add=True, null=True)
    ends_at = models.DateTimeField(null=True, blank=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "user", "source"], name="access_one_membership"),
            make_role_constraint("access_role_in_team"),
        ]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user} as {Role(self.role).name.lower()} of {self.team}"

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.ends_at is not None and self.ends_at <= timezone.now()


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Invitations."""

    def open(self) -> "InvitationQuerySet":
        """Return those whose time is not over."""
        return self.filter(open_until__gt=timezone.now())


class Invitation(models.Model):
    """A place in a team for whoever has the link, which is good once and until `open_until`.

    The secret of the link is kept as a digest. One that was accepted or withdrawn has no row: the trail tells of it.
    """

    OPEN_FOR = timedelta(days=7)

    digest = models.CharField(max_length=128, unique=True)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations")
    role = make_role_field("What the person may do to the experiments of the team.")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Of the place in the team; blank: no end.")
    whom = models.CharField(max_length=150, help_text="Whom it is for, as the inviter says; it is only shown.")
    inviter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    open_until = models.DateTimeField()

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [make_role_constraint("access_role_of_invitation")]
        default_permissions = ()

    def __str__(self) -> str:
        return f"for {self.whom} as {Role(self.role).name.lower()} of {self.team}"


class Coverage(models.Model):
    """A description of experiments of a team: they meet every given condition. A team may have several."""

    CONDITIONS = ("site", "owner", "hpc", "expid_pattern")

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="coverages")
    site = models.ForeignKey(
        "experiments.Site",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Experiments at this site; at any if none is chosen.",
    )
    owner = models.CharField(max_length=100, blank=True, help_text="Of this Unix user, exactly.")
    hpc = models.CharField(
        "HPC", max_length=100, blank=True, help_text="With this main platform, exactly as Autosubmit names it."
    )
    expid_pattern = models.CharField(
        max_length=50,
        blank=True,
        validators=[
            RegexValidator(
                r"^[a-z0-9*?]+\Z",
                gettext_lazy("Only a-z and 0-9, `*` for anything and `?` for one character, such as a0*."),
            )
        ],
        help_text="With such an expid: `*` stands for anything, `?` for one character.",
    )

    class Meta:
        verbose_name_plural = "coverage"
        constraints = [
            models.CheckConstraint(
                condition=~Q(site=None, owner="", hpc="", expid_pattern=""),
                name="access_coverage_says_something",
                violation_error_message=gettext_lazy(
                    "Give at least one condition: a site, an owner, an HPC or a pattern."
                ),
            )
        ]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.team}: {self.described}"

    @property
    def described(self) -> str:
        """The conditions in words."""
        words = {"site": "site {}", "owner": "owner {}", "hpc": "HPC {}", "expid_pattern": "expid {}"}
        given = ((words[name], getattr(self, name)) for name in self.CONDITIONS)
        return ", ".join(text.format(value) for text, value in given if value)


class TeamExperiment(models.Model):
    """An experiment that was added to a team by hand, or because a member created it."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="picked")
    experiment = models.ForeignKey("experiments.Experiment", on_delete=models.CASCADE, related_name="picked")

    class Meta:
        verbose_name_plural = "experiments added by hand"
        constraints = [models.UniqueConstraint(fields=["team", "experiment"], name="access_one_team_experiment")]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.experiment} of {self.team}"


class ExpectedExperiment(models.Model):
    """A team of the experiment that an action creates: the actor may create it as a member of this team.

    Saved with the request, because membership and credential may be gone when the action ends.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    action = models.ForeignKey("experiments.Action", on_delete=models.CASCADE, related_name="expected_by")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "action"], name="access_one_expected_experiment")]
        default_permissions = ()

    def __str__(self) -> str:
        return f"what action {self.action_id} creates, of {self.team}"


class SiteRole(models.Model):
    """The role that somebody has at a whole site. Of two rows, by hand and of a provider, the higher role counts."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="site_roles")
    site = models.ForeignKey("experiments.Site", on_delete=models.CASCADE, related_name="site_roles")
    role = make_role_field("What the person may do at the site and to all its experiments.")
    source = make_source_field()

    class Meta:
        verbose_name_plural = "roles at sites"
        constraints = [
            models.UniqueConstraint(fields=["user", "site", "source"], name="access_one_site_role"),
            make_role_constraint("access_role_at_site"),
        ]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user} as {Role(self.role).name.lower()} at {self.site}"


def require_usable_account(name: str) -> None:
    """Raise ValidationError for a text that is no Unix account of this host that commands may run as."""
    reason = explain_unusable(name)
    if reason:
        raise ValidationError(translate(reason, gettext, str))


class SiteAccount(models.Model):
    """The Unix user of somebody at a site. Several people may share one."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="site_accounts")
    site = models.ForeignKey("experiments.Site", on_delete=models.CASCADE, related_name="site_accounts")
    unix_name = models.CharField(
        "Unix user",
        max_length=32,
        validators=[require_usable_account],
        help_text="What the person owns there are the experiments whose folders belong to this user; commands may run "
        "as it. Neither root nor another account of the system.",
    )

    class Meta:
        verbose_name_plural = "accounts at sites"
        constraints = [models.UniqueConstraint(fields=["user", "site"], name="access_one_site_account")]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user} is {self.unix_name} at {self.site}"


class Visit(models.Model):
    """When somebody looked at the first page last; their visit before that one was over at `before_at`, if any was."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="visit"
    )
    seen_at = models.DateTimeField()
    before_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user} at {self.seen_at:%Y-%m-%d %H:%M} UTC"


class Preferences(models.Model):
    """How somebody wants the console. There is no row before the first is set; blank is what everybody has."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="preferences"
    )
    time_zone = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=10, blank=True)

    class Meta:
        verbose_name_plural = "preferences"
        default_permissions = ()

    def __str__(self) -> str:
        return f"preferences of {self.user}"


class SitePolicy(models.Model):
    """What a site grants to the owner of an experiment: the account whose Unix user owns it. No row grants nothing."""

    site = models.OneToOneField("experiments.Site", on_delete=models.CASCADE, related_name="policy")
    owner_role = make_role_field(
        "The role of owners on their own experiments at the site; none if blank.", null=True, blank=True
    )

    class Meta:
        verbose_name_plural = "rights of owners"
        constraints = [make_role_constraint("access_role_of_owner", "owner_role")]
        default_permissions = ()

    def __str__(self) -> str:
        role = Role(self.owner_role).name.lower() if self.owner_role else "nothing"
        return f"owners at {self.site} are {role}"


class FailedSignIn(AccessAttempt):
    """Failed sign-ins with one name, address and browser, as django-axes counts them."""

    class Meta:
        proxy = True
        verbose_name = "failed sign-in"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.username} from {self.ip_address}"


class Identity(models.Model):
    """What the identity provider gave an account besides memberships, and by which claims."""

    account = models.OneToOneField("socialaccount.SocialAccount", on_delete=models.CASCADE, related_name="identity")
    digest = models.CharField(max_length=64, blank=True, help_text="Of what the claims granted last.")
    issued_at = models.DateTimeField(help_text="Of those claims; older ones change nothing.")
    groups = models.ManyToManyField(Group, related_name="+")

    class Meta:
        verbose_name_plural = "identities"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.account.user} of {self.account.provider}"


class ServiceTicket(models.Model):
    """The ticket by which a session began: a CAS server names it when the person signs out there."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    taken_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"a ticket of {self.user}"


# What decides who may do what, and is watched for that.
RIGHTS = (Team, Membership, Coverage, TeamExperiment, SiteRole, SiteAccount, SitePolicy)


class DelegationQuerySet(models.QuerySet["Delegation"]):
    """Delegations."""

    def current(self) -> "DelegationQuerySet":
        """Return those that hold now or later."""
        return self.filter(revoked_at=None, ends_at__gt=timezone.now())

    def active(self) -> "DelegationQuerySet":
        """Return those that hold now."""
        return self.current().filter(starts_at__lte=timezone.now())


class Delegation(models.Model):
    """Rights that one account lends to another for a time, up to `role`.

    It holds for one experiment, the experiments of one team, or all of the grantor's, and never for more than the
    grantor has at the moment. It ends by itself or when it is revoked.
    """

    grantor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    grantee = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    role = make_role_field("What may be done at most.")
    team = models.ForeignKey(Team, null=True, on_delete=models.CASCADE, related_name="+")
    experiment = models.ForeignKey("experiments.Experiment", null=True, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField()
    made_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by_name = models.CharField(max_length=150, blank=True)

    objects = DelegationQuerySet.as_manager()

    class Meta:
        constraints = [
            make_role_constraint("access_role_lent"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="access_delegation_has_a_length"),
            models.CheckConstraint(condition=~Q(grantor=F("grantee")), name="access_delegation_to_another"),
            models.CheckConstraint(condition=Q(team=None) | Q(experiment=None), name="access_delegation_of_one_thing"),
            models.CheckConstraint(
                condition=Q(revoked_at=None, revoked_by_name="") | Q(~Q(revoked_by_name=""), revoked_at__isnull=False),
                name="access_delegation_revoked_when_and_by_whom",
            ),
        ]
        indexes = [
            # What each request of somebody without a role everywhere asks: what was lent to me?
            models.Index(fields=["grantee", "ends_at"], name="access_lent_to", condition=Q(revoked_at=None))
        ]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.grantor} to {self.grantee}: {Role(self.role).name.lower()} of {self.about}"

    @property
    def about(self) -> str:
        """What it holds for, in words."""
        if self.experiment:
            return f"{self.experiment} at {self.experiment.site}"
        return f"the team {self.team}" if self.team else "everything"

    @property
    def is_over(self) -> bool:
        """Whether it has ended or was revoked."""
        return self.revoked_at is not None or self.ends_at <= timezone.now()

    @property
    def is_active(self) -> bool:
        """Whether it holds now."""
        return not self.is_over and self.starts_at <= timezone.now()
