"""The states of an action and the legal moves between them."""

from django.db import models


class State(models.TextChoices):
    """Where an action is."""

    AWAITING_APPROVAL = "awaiting_approval", "Awaiting approval"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    LOST = "lost", "Lost"


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
