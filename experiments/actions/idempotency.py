"""Knowing a repeated request for the one that it repeats, so that asking twice makes one action."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from experiments.actions.refusals import InvalidParameters, KeyReused
from experiments.models import Action

PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True, kw_only=True, slots=True)
class IdempotencyKey:
    """What somebody calls a request. It is theirs: two people may use the same one.

    `digest` is of everything that the request says. `item` tells apart the actions that one request asks for.
    """

    text: str
    digest: str
    item: str = ""

    @classmethod
    def of(cls, text: str, asked: Any) -> "IdempotencyKey":
        """Return the key called `text` of a request that says `asked`, which is JSON; raise InvalidParameters."""
        if not PRINTABLE.fullmatch(text) or not text.strip():
            raise InvalidParameters(
                {"Idempotency-Key": ["A key is 1 to 255 printable characters, of ASCII and not only blanks."]}
            )
        said = json.dumps(asked, sort_keys=True)
        return cls(text=text, digest=hashlib.sha256(said.encode()).hexdigest())


def first_action(actor: User, key: IdempotencyKey) -> Action | None:
    """Return the action that the same request has made before, marked as replay; None if there is none.

    Raises KeyReused when the key has named a request that says something else.
    """
    require_same_request(actor, key)
    action: Action | None = (
        _of_key(actor, key).filter(idempotency_item=key.item).select_related("site").first()
    )
    if action:
        action.is_replay = True
    return action


def require_same_request(actor: User, key: IdempotencyKey) -> None:
    """Raise KeyReused when the key has named a request that says something else."""
    other = _of_key(actor, key).exclude(idempotency_digest=key.digest).values_list("pk", flat=True).first()
    if other:
        raise KeyReused(key.text, other)


def _of_key(actor: User, key: IdempotencyKey) -> Any:
    return Action.objects.filter(actor=actor, idempotency_key=key.text).order_by("pk")
