"""A step of an action: one command, at which host it was started, and what it has printed."""

import zlib
from functools import cached_property

from django.db import models

from experiments.models.action import Action
from experiments.models.host import Host


class Step(models.Model):
    """One command that a worker has decided to start: the row is made in the transaction of that decision.

    `key` is what the host knows it by; it is used once for all time, so that a database that was restored never meets
    an old command. `spool` is the id of the portal by which hosts keep it apart; blank for one of before.

    `output` is the newest of what it has printed, deflated, from when its action has ended on, empty when removed.
    `output_bytes` is how much room it takes. `is_forgotten` says that its host keeps none of it. `given_up_at` is when
    somebody called it lost: its host is told so before anything else, when it is back.
    """

    action = models.ForeignKey(Action, on_delete=models.CASCADE, related_name="steps", db_index=False)
    number = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=64, unique=True)
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="+")
    spool = models.CharField(max_length=36, blank=True)
    output = models.BinaryField(null=True)
    output_bytes = models.PositiveBigIntegerField(default=0)
    is_forgotten = models.BooleanField(default=False)
    given_up_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["action", "number"], name="experiments_one_step_of_a_number")]
        indexes = [
            # What the host may forget, and what it must be told.
            models.Index(fields=["host"], condition=models.Q(is_forgotten=False), name="experiments_steps_at_hosts")
        ]
        default_permissions = ()

    def __str__(self) -> str:
        return f"step {self.number} of action {self.action_id}"

    def keep_output(self, data: bytes) -> None:
        """Store what it has printed, unless another worker has: its host may have forgotten it since."""
        output = zlib.compress(data)
        Step.objects.filter(pk=self.pk, output=None).update(output=output, output_bytes=len(output))
        self.refresh_from_db(fields=["output", "output_bytes"])

    @cached_property
    def kept_output(self) -> bytes:
        """What was stored of what it has printed; nothing if nothing was."""
        return zlib.decompress(bytes(self.output)) if self.output else b""
