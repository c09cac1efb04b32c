"""Knowing a repeated request for the one that it repeats, so that asking twice makes one action."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q

from autosubmit_portal.sentences import say
from experiments.actions.refusals import InvalidParameters, KeyReused
from experiments.models import Action, Experiment

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
    def make(cls, text: str, asked: Any) -> "IdempotencyKey":
        """Return the key called `text` of a request that says `asked`, which is JSON; raise InvalidParameters."""
        if not PRINTABLE.fullmatch(text) or not text.strip():
            raise InvalidParameters(
                {"Idempotency-Key": [say("A key is 1 to 255 printable characters, of ASCII and not only blanks.")]}
            )
        said = json.dumps(asked, sort_keys=True)
        return cls(text=text, digest=hashlib.sha256(said.encode()).hexdigest())


class FirstActions:
    """The actions that some requests with the same key have made before, read once for all of their `items`."""

    def __init__(self, actor: User, key: IdempotencyKey, items: Iterable[str]) -> None:
        named = Action.objects.filter(actor=actor, idempotency_key=key.text)
        matching = named.filter(~Q(idempotency_digest=key.digest) | Q(idempotency_item__in=list(items)))
        self._found = list(matching.select_related("site").order_by("pk"))

    def find(self, key: IdempotencyKey, experiment: Experiment | None = None) -> Action | None:
        """Return the action that the same request has made before, marked as replay; None if there is none.

        Raises KeyReused when the key has named a request that says something else, or the same of an experiment that
        had the expid before this one.
        """
        for action in self._found:
            is_another = action.idempotency_digest != key.digest
            if not is_another and action.idempotency_item != key.item:
                continue
            if is_another or (experiment is not None and action.experiment_id != experiment.pk):
                raise KeyReused(key.text, action.pk)
            action.is_replay = True
            return action
        return None


def find_first_action(actor: User, key: IdempotencyKey) -> Action | None:
    """Return the action that the same request has made before, as FirstActions does."""
    return FirstActions(actor, key, [key.item]).find(key)
