"""Why an action is refused, besides a missing permission (`access.policy.Forbidden`)."""

from autosubmit_portal.sentences import say


class Refusal(Exception):
    """The action is refused. The text says why and what to do."""


class InvalidParameters(Refusal):
    """The parameters are wrong; `errors` maps each field to its messages, which name the legal values."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{field}: {' '.join(messages)}" for field, messages in errors.items()))
        self.errors = errors


class Conflict(Refusal):
    """The state of the experiment or the site forbids it now; `action_id` is the action that is in the way, if any."""

    def __init__(self, reason: str, action_id: int | None = None) -> None:
        super().__init__(reason)
        self.action_id = action_id


class NotASecondPerson(Refusal):
    """The person who approves or rejects the action is one of those who requested it."""


class KeyReused(Refusal):
    """The idempotency key was used for another request, which made the action `action_id`."""

    def __init__(self, key: str, action_id: int) -> None:
        super().__init__(
            say(
                "The idempotency key “{key}” has been used for another request, which made action "
                "{action_id}. Repeat that request as it was, or take a new key.",
                key=key,
                action_id=action_id,
            )
        )
        self.action_id = action_id
