"""Whether a run that is there does anything: what the kernel and its log tell of its process."""

from dataclasses import dataclass

from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.agent.protocol.fields import refuse_others, take_flag, take_text
from autosubmit_portal.agent.protocol.strict_json import Message
from jobs.autosubmit.values import YEAR_9999

SIGNS_APART_SECONDS = 30.0
"""A sign of life so soon after the one that was told is not told."""

STATES = ("", "S", "D", "T", "t")
"""What is told of the state of a process (proc(5)): one that computes or idles is S, like one that sleeps."""


@dataclass(frozen=True, slots=True)
class Life:
    """What is seen of the process of a run. Times are seconds since 1970, by the clock of its host.

    `logged_at` is when its log was written last. A run that `may_be_quiet` was told to wait, or to log little.
    """

    process_state: str = ""
    started_at: float | None = None
    logged_at: float | None = None
    may_be_quiet: bool = False

    def is_like(self, other: "Life") -> bool:
        """Answer whether the other tells nothing new: the same, or only a sign of life soon after this one."""
        mine, theirs = (self.process_state, self.started_at), (other.process_state, other.started_at)
        if mine != theirs or None in (self.logged_at, other.logged_at):
            return self == other
        return 0 <= (other.logged_at or 0.0) - (self.logged_at or 0.0) < SIGNS_APART_SECONDS


NO_LIFE = Life()


def tell_life(life: Life) -> Message | None:
    """Return what is seen of a process, as an object; None for nothing."""
    return None if life == NO_LIFE else {name: getattr(life, name) for name in Life.__dataclass_fields__}


def understand_life(value: object) -> Life:
    """Return what such an object says; an agent from before it was told says nothing. Raises ProtocolError."""
    if value is None:
        return NO_LIFE
    if not isinstance(value, dict):
        raise ProtocolError("what is seen of a process must be an object")
    refuse_others(value, *Life.__dataclass_fields__)
    state = take_text(value, "process_state", most=1)
    if state not in STATES:
        raise ProtocolError(f"{state!a} is no state of a process")
    return Life(
        state,
        _understand_seconds(value.get("started_at")),
        _understand_seconds(value.get("logged_at")),
        take_flag(value, "may_be_quiet"),
    )


def _understand_seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= YEAR_9999:
        raise ProtocolError("an instant must be seconds since 1970")
    return float(value)
