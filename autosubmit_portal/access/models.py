"""API tokens. Groups hold the permissions of the roles; `roles.py` says which roles there are."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.utils import timezone
from knox.models import AbstractAuthToken, AuthTokenManager

from autosubmit_portal.access.scope import UNLIMITED, Scope, scope_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Tokens, those that one may see."""

    def visible_to(self, actor: "User | AnonymousUser") -> "ApiTokenQuerySet":
        """Return one's own, or everybody's with the permission to see tokens and a credential without limits."""
        is_free = scope_of(actor) == UNLIMITED
        return self if is_free and actor.has_perm("access.view_apitoken") else self.filter(user=actor.pk)


class ApiToken(AbstractAuthToken):
    """A token for the API: kept as a digest, shown once when made."""

    name = models.CharField(max_length=100, help_text="What uses it.")
    kinds = models.JSONField(
        null=True,
        default=None,
        help_text="Names of the action kinds that it is for; null: all, []: only to read.",
    )
    last_used_at = models.DateTimeField(null=True, editable=False)
    last_used_address = models.GenericIPAddressField(null=True, editable=False)

    objects: ClassVar[Any] = AuthTokenManager.from_queryset(ApiTokenQuerySet)()

    class Meta:
        verbose_name = "API token"
        default_permissions = ("view", "delete")

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key}…)"

    def scope(self) -> Scope:
        """Return what it may be used for, at most."""
        return Scope(kinds=None if self.kinds is None else frozenset(self.kinds))

    @property
    def credential(self) -> str:
        """What the trail calls it."""
        return f"API token {self.token_key[:8]} {self.name}"

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expiry is not None and self.expiry < timezone.now()
