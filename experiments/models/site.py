"""A site: one Autosubmit installation, where its store is and how its commands run."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.rights import policy
from autosubmit_portal.sentences import marked, say, translate
from experiments.autosubmit.trusted import explain_distrust
from experiments.catalogue.kinds import CATALOGUE, ActionKind


class RunAs(models.TextChoices):
    """Which Unix account the commands of a site run as."""

    SERVICE = "service", gettext_lazy("The service account")
    ACTOR = "actor", gettext_lazy("The Unix account of the person who asks")


class Unpushed(models.TextChoices):
    """What becomes of a run of an operational experiment whose project is not committed and pushed."""

    IGNORE = "ignore", gettext_lazy("Nobody looks")
    WARN = "warn", gettext_lazy("Forms and dry runs warn")
    REFUSE = "refuse", gettext_lazy("It is refused")


_DISTRUSTED = marked(
    "{reason}: whoever writes there decides what is run as the portal's account. Let it belong to root or to that "
    "account, writable for nobody else (chown, chmod go-w), or name another path."
)


def require_trusted(text: str) -> None:
    """Raise ValidationError for a path that others than root and the portal's account can write or replace.

    Behind a gateway of somebody else nothing runs as that account: the file of the site says what does, and as whom.
    """
    is_ours = settings.STARTS_GATEWAY and text.startswith("/")
    reason = explain_distrust(Path(text)) if is_ours else ""
    if reason:
        raise ValidationError(translate(say(_DISTRUSTED, reason=reason), gettext, str))


def require_trusted_home(text: str) -> None:
    """Raise ValidationError as `require_trusted` does for a folder, and for the `.autosubmitrc` in it."""
    require_trusted(text)
    require_trusted(f"{text.rstrip('/')}/.autosubmitrc")


class SiteQuerySet(models.QuerySet["Site"]):
    """Sites."""

    def visible_to(self, actor: policy.Actor) -> "SiteQuerySet":
        """Those at which the actor has a role, a team with something to cover, or an experiment to see."""
        if policy.may_view_all(actor, self.model):
            return self
        if not policy.may_view(actor, self.model):
            return self.none()
        named = Q(pk__in=policy.find_named_sites(actor, self.model))
        theirs = policy.make_visible_condition(actor, self.model, "experiments__")
        if theirs is None:
            return self.filter(named)
        seen = self.model.objects.filter(theirs, experiments__isnull=False)
        return self.filter(named | Q(pk__in=seen.values("pk")))

    def get_default(self) -> "Site | None":
        """The site that is meant when none is named."""
        return self.order_by("-is_default", "pk").first()


class Site(models.Model):
    """One Autosubmit installation.

    What is in EXECUTION decides what is run, by which workers and as whom: only superusers change it in the console.

    `problem` is blank for a healthy site, otherwise it says what is broken and what to do; the mirror keeps it.
    `mirrored_at` is when the mirror was last at work there, `swept_at` since when it has looked at every experiment at
    least once. The lease says which process mirrors the site (`experiments.mirror.lease`).
    """

    EXECUTION = ("autosubmit", "home", "configuration", "queue", "run_as")

    slug = models.SlugField(unique=True, help_text="Short name in addresses and audit entries.")
    name = models.CharField(max_length=100)
    autosubmit = models.CharField(
        max_length=500,
        validators=[
            RegexValidator(r"^/", gettext_lazy("An absolute path, such as /opt/autosubmit/bin/autosubmit.")),
            require_trusted,
        ],
        help_text="Absolute path of the autosubmit program.",
    )
    home = models.CharField(
        max_length=500,
        validators=[RegexValidator(r"^/", gettext_lazy("An absolute path.")), require_trusted_home],
        help_text="HOME of the commands: the folder that holds .autosubmitrc.",
    )
    configuration = models.CharField(
        max_length=500,
        blank=True,
        validators=[RegexValidator(r"^/", gettext_lazy("An absolute path.")), require_trusted],
        help_text="Path of the configuration (AUTOSUBMIT_CONFIGURATION) when it is not .autosubmitrc in the home.",
    )
    program = models.CharField(
        "program by default",
        max_length=50,
        blank=True,
        help_text="Of the programs that the file of the site names, the one for experiments of another version; blank "
        "for its “program”.",
    )
    queue = models.SlugField(default="portal", help_text="The queue whose workers run the commands of this site.")
    refresh_seconds = models.FloatField(
        default=0.25,
        validators=[MinValueValidator(0.1), MaxValueValidator(3600)],
        help_text="How often the mirror looks, in seconds.",
    )
    disabled_kinds = models.JSONField(default=list, blank=True, help_text="Action kinds that nobody may request here.")
    most_commands = models.PositiveSmallIntegerField(
        "commands at a time",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="How many commands run here at the same time; blank: as many as the host of the workers has "
        "processors. Runs count while they start. Stops wait for none.",
    )
    run_as = models.CharField(
        max_length=10,
        choices=RunAs,
        default=RunAs.SERVICE,
        help_text="The Unix account that commands run as. Others than the service account need sudo (docs/duty.md).",
    )
    package_kinds = models.JSONField(
        default=list, blank=True, help_text="Action kinds whose commands start in a warm process."
    )
    unpushed = models.CharField(
        "unpushed projects",
        max_length=10,
        choices=Unpushed,
        default=Unpushed.WARN,
        help_text="What becomes of a start of an operational experiment (o…) whose project has changes that are not "
        "committed or not pushed. Autosubmit 4.1.17 refuses it too, unless its configuration says otherwise.",
    )
    approval_kinds = models.JSONField(
        default=list, blank=True, help_text="Action kinds that a second person must approve here."
    )
    approval_hours = models.PositiveSmallIntegerField(
        default=24,
        validators=[MinValueValidator(1)],
        help_text="Hours after which an action that nobody has approved is cancelled.",
    )
    is_default = models.BooleanField(default=False, help_text="The site that is meant when none is named.")
    autosubmit_version = models.CharField(max_length=50, blank=True, editable=False)
    problem = models.TextField(blank=True, editable=False)
    mirrored_at = models.DateTimeField(null=True, editable=False)
    swept_at = models.DateTimeField(null=True, editable=False)
    mirror_holder = models.CharField(max_length=100, blank=True, editable=False)
    mirror_token = models.CharField(max_length=32, blank=True, editable=False)
    mirror_expires_at = models.DateTimeField(null=True, editable=False)

    objects = SiteQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="experiments_one_default_site"
            )
        ]

    def __str__(self) -> str:
        return self.slug

    def save(self, *args: Any, **options: Any) -> None:
        """Save, and give a new site its first host."""
        is_new = self._state.adding or self.pk is None
        with transaction.atomic():
            super().save(*args, **options)
            if is_new:
                self.hosts.make_first(self)

    @property
    def home_folder(self) -> Path:
        """The home as a path."""
        return Path(self.home)

    @property
    def configuration_file(self) -> Path | None:
        """The configuration file that replaces `.autosubmitrc`, if one does."""
        return Path(self.configuration) if self.configuration else None

    @property
    def enabled_kinds(self) -> list[str]:
        """Names of the action kinds that may be requested here."""
        return [kind.name for kind in CATALOGUE.values() if not self.explain_switched_off(kind)]

    def explain_switched_off(self, kind: ActionKind) -> str:
        """Return why nobody may request actions of this kind here; blank if that is not so."""
        if not self.disabled_kinds:
            return ""
        off = next((other for other in kind.covering if other.name in self.disabled_kinds), None)
        if off is None:
            return ""
        values = {"off": say(off.title), "kind": say(kind.title), "site": self}
        if off.name == kind.name:
            return say("“{off}” is switched off at the site {site}.", **values)
        return say("“{off}” is switched off at the site {site}, and “{kind}” does the same.", **values)

    def needs_approval(self, kind: ActionKind) -> bool:
        """Answer whether a second person must approve actions of this kind: never what only tells, nor what stops.

        What contains an action that needs approval needs it as well: a restart ends in a run.
        """
        if not self.approval_kinds or kind.stops_run or kind.is_dry_run:
            return False
        return any(other.name in self.approval_kinds for other in kind.covering)

    @property
    def mirrored_by(self) -> str:
        """Host and process number of the mirror that holds the lease; blank if none does."""
        is_held = self.mirror_expires_at is not None and self.mirror_expires_at > timezone.now()
        return self.mirror_holder if is_held else ""

    @property
    def is_mirror_fresh(self) -> bool:
        """Whether the mirror looked at the store within its last ten rounds, or at least the last half minute."""
        longest = timedelta(seconds=max(30, 10 * self.refresh_seconds))
        return self.mirrored_at is not None and timezone.now() - self.mirrored_at <= longest
