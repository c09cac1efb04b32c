"""API tokens. Groups hold the permissions of the roles; `roles.py` says which roles there are."""

from django.contrib.auth.models import Group
from django.db import models
from knox.models import AbstractAuthToken


class ApiToken(AbstractAuthToken):
    """A token for the API: kept as a digest, shown once when made."""

    name = models.CharField(max_length=100, help_text="What uses it.")

    class Meta:
        verbose_name = "API token"
        default_permissions = ("view", "delete")

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key}…)"


class Identity(models.Model):
    """What the identity provider has given an account besides memberships, and by which claims."""

    account = models.OneToOneField(
        "socialaccount.SocialAccount", on_delete=models.CASCADE, related_name="identity"
    )
    digest = models.CharField(max_length=64, blank=True, help_text="Of what the claims granted last.")
    issued_at = models.DateTimeField(help_text="Of those claims; older ones change nothing.")
    groups = models.ManyToManyField(Group, related_name="+")

    class Meta:
        verbose_name_plural = "identities"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.account)
