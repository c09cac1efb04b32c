"""The states of an action and the legal moves between them."""

from django.db import models
from django.utils.translation import gettext_lazy


class State(models.TextChoices):
    """Where an action is."""

    AWAITING_APPROVAL = "awaiting_approval", gettext_lazy("Awaiting approval")
    QUEUED = "queued", gettext_lazy("Queued")
    RUNNING = "running", gettext_lazy("Running")
    SUCCEEDED = "succeeded", gettext_lazy("Succeeded")
    FAILED = "failed", gettext_lazy("Failed")
    CANCELLED = "cancelled", gettext_lazy("Cancelled")
    LOST = "lost", gettext_lazy("Lost")


ACTIVE_STATES = (State.AWAITING_APPROVAL, State.QUEUED, State.RUNNING)

# From which states each state may be reached; docs/architecture.md shows the same table as a diagram.
MOVES: dict[State, tuple[State, ...]] = {
    State.QUEUED: (State.AWAITING_APPROVAL,),
    State.RUNNING: (State.QUEUED,),
    State.SUCCEEDED: (State.RUNNING,),
    State.FAILED: (State.RUNNING,),
    State.CANCELLED: (State.AWAITING_APPROVAL, State.QUEUED, State.RUNNING),
    State.LOST: (State.RUNNING,),
}
