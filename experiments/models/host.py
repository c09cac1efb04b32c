"""A host of a site: where its commands run, reached through the gateway."""

from django.core.validators import RegexValidator
from django.db import models

from experiments.models.site import Site


class HostManager(models.Manager["Host"]):
    """Hosts."""

    def make_first(self, site: Site) -> "Host":
        """Give a site its first host, called like the site, or with a number where that name is taken."""
        taken = set(Host.objects.filter(name__startswith=site.slug).values_list("name", flat=True))
        names = (site.slug, *(f"{site.slug}-{number}" for number in range(2, 1000)))
        return self.create(site=site, name=next(name for name in names if name not in taken))


class Host(models.Model):
    """One host of a site. How it is reached is written in the gateway's file of hosts, under this name."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="hosts")
    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[RegexValidator(r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$", "Letters, digits, `_`, `-` and `.`.")],
        help_text="Its name in the gateway's file of hosts.",
    )

    objects = HostManager()

    class Meta:
        default_permissions = ()
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.name
