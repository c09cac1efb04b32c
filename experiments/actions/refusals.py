"""Why an action is refused, besides a missing permission (`access.policy.Forbidden`)."""


class Refusal(Exception):
    """An action that may not be. The text says why and what to do."""


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
