"""What a credential is limited to: an API token may do less than its account, never more."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The limits of a credential; None is no limit.

    `kinds` are names of action kinds that may be requested: an empty set lets only look. `teams` are primary keys of
    teams: only what one of them covers may be seen or acted on.
    """

    kinds: frozenset[str] | None = None
    teams: frozenset[int] | None = None


UNLIMITED = Scope()


def token_of(actor: Any) -> str:
    """Return the key of the API token that this request came with, which authentication notes; blank without one."""
    return str(getattr(actor, "token_digest", ""))


def scope_of(actor: Any) -> Scope:
    """Return what the credential of this request is limited to; whoever authenticates sets it as `actor.scope`."""
    scope: Scope | None = getattr(actor, "scope", None)
    return scope or UNLIMITED
