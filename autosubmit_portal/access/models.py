"""API tokens. Groups hold the permissions of the roles; `roles.py` says which roles there are."""

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

    @property
    def credential(self) -> str:
        """What the trail calls it."""
        return f"API token {self.token_key[:8]} {self.name}"
