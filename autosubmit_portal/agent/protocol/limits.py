"""What both sides hold to, and cut off the other side for."""

from dataclasses import dataclass

MOST_FRAME_BYTES = 64 * 1024
MOST_HELLO_BYTES = 8 * 1024
MOST_MESSAGE_BYTES = 1024 * 1024
# Login shells print greetings, even long ones.
MOST_JUNK_BYTES = 64 * 1024

MOST_DEPTH = 16
MOST_THINGS = 50_000
# 2**63 - 1 has as many.
MOST_DIGITS = 19
MOST_FLOAT_CHARACTERS = 40

# Of what is sent as bytes: the longest are 100,000 metrics, the deepest is a configuration.
MOST_DOCUMENT_BYTES = 48 * 1024 * 1024
MOST_DOCUMENT_DEPTH = 60
MOST_DOCUMENT_THINGS = 1_000_000
MOST_DOCUMENT_DIGITS = 1_001

MOST_REQUESTS = 64
# Besides: those who wait for news must not keep anybody from ending a command.
MOST_URGENT_REQUESTS = 8
USUAL_CREDIT = 256 * 1024
MOST_CREDIT = 1024 * 1024

# The gateway asks less often than it may, so that a burst after a pause of the network is no offence.
REQUESTS_PER_SECOND, REQUESTS_AT_ONCE = 200, 200
MESSAGES_PER_SECOND, MESSAGES_AT_ONCE = 2_000, 10_000

HEARTBEAT_SECONDS = 5.0
SILENCE_SECONDS = 20.0
# To sign in, start a shell and start Python may take long on a busy machine.
HELLO_SECONDS = 60.0


@dataclass(slots=True)
class Rate:
    """How many may come: `per_second` on average, `at_once` after a pause."""

    per_second: float
    at_once: float
    now: float
    left: float = 0.0

    def __post_init__(self) -> None:
        self.left = self.at_once

    def take(self, now: float) -> bool:
        """Count one more; False if it is one too many."""
        self.left = min(self.at_once, self.left + (now - self.now) * self.per_second)
        self.now = now
        if self.left < 1:
            return False
        self.left -= 1
        return True
