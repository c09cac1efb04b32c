"""A host of a site: where its commands run, reached through the gateway."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from experiments.models.site import Site


class HostManager(models.Manager["Host"]):
    """Hosts that were not removed. A step still finds one that was."""

    def get_queryset(self) -> "models.QuerySet[Host]":
        """Leave out those that were removed."""
        return super().get_queryset().filter(removed_at=None)

    def make_first(self, site: Site) -> "Host":
        """Give a site its first host, called like the site, or with a number where that name is taken."""
        taken = set(Host.objects.filter(name__startswith=site.slug).values_list("name", flat=True))
        names = (site.slug, *(f"{site.slug}-{number}" for number in range(2, 1000)))
        return self.create(site=site, name=next(name for name in names if name not in taken))


class Host(models.Model):
    """One host of a site. How it is reached is written in the gateway's file of hosts, under this name.

    Commands go to the first by `position` that may run them. `refused` are the commands of Autosubmit that the host,
    which calls itself `node`, refused when it was last asked, at `rules_asked_at`. `called_empty_at` is when a manager
    said that no run lives there, `called_empty_by` who did. `programs` are the versions of its
    programs by their names, as its file has them. A host that was removed stays as where commands have run.
    """

    # What is asked of the host, and not set by anybody.
    ASKED = ("node", "refused", "programs", "rules_asked_at")

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="hosts")
    name = models.CharField(
        max_length=100,
        validators=[
            RegexValidator(r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$", gettext_lazy("Letters, digits, `_`, `-` and `.`."))
        ],
        help_text="Its name in the gateway's file of hosts.",
    )
    position = models.PositiveSmallIntegerField(
        "order", default=0, help_text="Commands go to the first host that may run them: the one with the least number."
    )
    node = models.CharField(max_length=255, blank=True, editable=False)
    refused = models.JSONField(default=list, editable=False)
    programs = models.JSONField(default=dict, editable=False)
    rules_asked_at = models.DateTimeField(null=True, editable=False)
    called_empty_at = models.DateTimeField(null=True, editable=False)
    called_empty_by = models.CharField(max_length=150, blank=True, editable=False)
    removed_at = models.DateTimeField(null=True, editable=False)

    objects = HostManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(removed_at=None), name="experiments_one_host_of_a_name"
            )
        ]
        default_permissions = ()
        ordering = ("position", "pk")

    def __str__(self) -> str:
        return self.name
