"""Who reads what when: no reading keeps those of other experiments waiting.

A reading that takes more than SLOW_SECONDS leaves the fast lane, with its reader if the slow lane has a place for it,
else to begin again there; one of large files does so before it begins. What was slow is read there the next time, by
readers that leave most of the processors to the others. An experiment has one reader at a time. A reading that cost a
reader is refused for a pause that grows each time.
"""

import os
import selectors
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.limits import READING_SECONDS
from autosubmit_portal.agent.readers.messages import PUT_OFF
from autosubmit_portal.agent.readers.process import Heard, Process
from autosubmit_portal.sentences import say

SLOW_SECONDS = 0.5
SLOW_NICENESS = 5
# Who has computed for so long gets what others leave of the processors. On a busy host small files take long too, but
# not to compute: if their readers were replaced for that, the host would be busier still.
GREEDY_SECONDS, GREEDY_NICENESS = 2.0, 19
FAST_READERS = min(8, max(2, os.cpu_count() or 1) + 1)
SLOW_READERS = FAST_READERS
# A reading that has not begun by then is refused; whoever asked has nearly given up.
WAIT_SECONDS = 20.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
# One stays for a while. Another one, which a mirror that reads two at once asks, stays as long as there is much to
# read: to start it takes longer than to read what is small. So it is in each lane.
IDLE_SECONDS, SPARE_SECONDS, IDLE_READERS = 20.0, 5.0, 2
# Readers that were killed and do not end, since a disk does not answer.
MOST_STUCK = 8
_MOST_REMEMBERED = 10_000

FRESH = "fresh"
"""The reading that opens no file of the experiment."""
RULES = "rules"
"""The reading that is about no experiment."""

Value = TypeVar("Value")
Subject = tuple[str, str]
"""An experiment, and what is read of it."""


@dataclass(eq=False, slots=True)
class Reading:
    """One request, from the moment it was made."""

    channel: int
    subject: Subject
    request: Message
    asked_at: float
    begun_at: float = 0.0
    used_before: float = 0.0  # seconds of processor that its reader had used
    is_slow: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a reading is refused, and until when."""

    why: str
    until: float
    pause: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a reading has no answer: `code` for programs, `reason` for people."""

    code: str
    reason: str


Ended = tuple[int, "Heard | Failed"]
"""A channel and its answer."""


class Lanes:
    """The readers and those who wait for one. Never waits itself."""

    def __init__(self, folder: Path, memory: Path) -> None:
        self._folder, self._memory = folder, memory
        self._waiting: deque[Reading] = deque()
        self._busy: dict[Process, Reading] = {}
        self._idle: dict[Process, float] = {}
        self._dying: list[Process] = []
        self._slow: OrderedDict[Subject, None] = OrderedDict()
        self._troubles: OrderedDict[Subject, Trouble] = OrderedDict()
        self._selector = selectors.EpollSelector()
        self._ended: list[Ended] = []

    def fileno(self) -> int:
        """Return a descriptor that is ready for reading when a reader is."""
        return self._selector.fileno()

    @property
    def is_busy(self) -> bool:
        """Whether there is something to look after."""
        return bool(self._waiting or self._busy or self._dying)

    def ask(self, reading: Reading) -> None:
        """Take a request; its end is told by `turn`."""
        trouble = self._troubles.get(reading.subject)
        if trouble and reading.asked_at < trouble.until:
            again = say("It is tried again in {seconds} s.", seconds=f"{trouble.until - reading.asked_at:.0f}")
            self._fail(reading, "unreadable", f"{trouble.why} {again}")
        else:
            self._waiting.append(reading)

    def cancel(self, channel: int) -> bool:
        """Leave a request that nobody waits for; return whether it was there."""
        waiting = [reading for reading in self._waiting if reading.channel == channel]
        busy = [process for process, reading in self._busy.items() if reading.channel == channel]
        for reading in waiting:
            self._waiting.remove(reading)
        for process in busy:
            self._leave(process)
        return bool(waiting or busy)

    def turn(self, now: float, *, may_start: bool = True) -> list[Ended]:
        """Hear the readers, look at the time, and start what can be started; return what has ended."""
        for key, _ in self._selector.select(0):
            self._hear(key.fileobj, now)  # type: ignore[arg-type]  # it is a Process
        self._look_at_time(now)
        self._dying = [process for process in self._dying if not process.is_gone()]
        for reading in tuple(self._waiting) if may_start else ():
            self._start_if_possible(reading, now)
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """End all readers."""
        self._waiting.clear()
        for process in (*self._busy, *self._idle):
            self._leave(process)

    def _hear(self, process: Process, now: float) -> None:
        reading, was_ready = self._busy.get(process), process.is_ready
        try:
            heard = process.hear()
        except EOFError:
            self._leave(process)
            if reading:
                self._punish(reading, now, say("it takes too much time or memory to read"))
            return
        if not reading:
            self._leave(process)  # it says what nobody asked
            return
        if process.is_ready and not was_ready:
            reading.begun_at = now  # to start it may take longer than to read
            if reading.is_slow:
                process.yield_to_others(SLOW_NICENESS)
        if heard and heard[0] == PUT_OFF and not reading.is_slow:
            self._keep(process, now)
            self._put_off(reading)
        elif heard:
            self._keep(process, now)
            self._finish(reading, heard, now)

    def _finish(self, reading: Reading, heard: Heard, now: float) -> None:
        self._troubles.pop(reading.subject, None)
        if now - reading.begun_at <= SLOW_SECONDS:
            self._slow.pop(reading.subject, None)
        self._ended.append((reading.channel, heard))

    def _keep(self, process: Process, now: float) -> None:
        """Keep a reader that has answered, unless enough do nothing already."""
        del self._busy[process]
        beside = sum(_is_for_slow(each) == _is_for_slow(process) for each in self._idle)
        if beside >= IDLE_READERS or process.is_large() or process.niceness > SLOW_NICENESS:
            self._leave(process)
        else:
            self._idle[process] = now

    def _look_at_time(self, now: float) -> None:
        for process, reading in tuple(self._busy.items()):
            spent, most = now - reading.begun_at, self._allow(process)
            if spent > most:
                self._leave(process)
                self._punish(reading, now, say("it takes more than {most} s to read", most=most))
            elif spent > SLOW_SECONDS and process.is_ready and not reading.is_slow:
                self._slow_down(process, reading)
            elif spent > GREEDY_SECONDS and process.read_used() - reading.used_before > GREEDY_SECONDS:
                process.yield_to_others(GREEDY_NICENESS)
        for process, since in tuple(self._idle.items()):
            if now - since > (IDLE_SECONDS if len(self._idle) == 1 else SPARE_SECONDS):
                self._leave(process)
        for reading in [reading for reading in self._waiting if now - reading.asked_at > WAIT_SECONDS]:
            self._waiting.remove(reading)
            self._fail(reading, "busy", say("Too much is being read that takes long. Try again later."))

    def _allow(self, process: Process) -> int:
        """Return how long a reading may take: only one at a time gets the time that large files take."""
        longest = max(self._busy, key=lambda each: (each.seconds, -self._busy[each].begun_at))
        return max(READING_SECONDS, process.seconds) if process is longest else READING_SECONDS

    def _slow_down(self, process: Process, reading: Reading) -> None:
        """Move a reading to the slow lane; without a place there it begins again later."""
        if self._count(is_slow=True) >= SLOW_READERS:
            self._leave(process)
            self._put_off(reading)
        reading.is_slow = True
        _remember(self._slow, reading.subject, None)

    def _put_off(self, reading: Reading) -> None:
        """Let a reading begin again, in the slow lane."""
        _remember(self._slow, reading.subject, None)
        self._waiting.append(reading)

    def _start_if_possible(self, reading: Reading, now: float) -> None:
        reading.is_slow = reading.subject in self._slow
        has_place = self._count(is_slow=reading.is_slow) < (SLOW_READERS if reading.is_slow else FAST_READERS)
        is_alone = all(_may_be_beside(reading.subject, other.subject) for other in self._busy.values())
        if not (has_place and is_alone) or len(self._dying) >= MOST_STUCK:
            return
        try:
            process = self._take_process(is_slow=reading.is_slow)
        except OSError as error:
            self._waiting.remove(reading)
            self._fail(reading, "failed", say("No reader can be started: {error}.", error=error))
            return
        try:
            process.ask(reading.request | {"is_slow": reading.is_slow})
        except OSError:  # it has just ended; another one is asked at the next turn
            self._leave(process)
            return
        self._waiting.remove(reading)
        reading.begun_at, reading.used_before = now, process.read_used()
        self._busy[process] = reading

    def _take_process(self, *, is_slow: bool) -> Process:
        """Return a reader that does nothing, of the same lane, or a new one. Raises OSError."""
        process = next((each for each in reversed(self._idle) if _is_for_slow(each) == is_slow), None)
        if process:
            del self._idle[process]
            return process
        process = Process(self._folder, str(self._memory))
        self._selector.register(process, selectors.EVENT_READ)
        return process

    def _leave(self, process: Process) -> None:
        self._selector.unregister(process)
        self._busy.pop(process, None)
        self._idle.pop(process, None)
        process.kill()
        self._dying.append(process)

    def _punish(self, reading: Reading, now: float, why: str) -> None:
        """Refuse a reading, and the same one for a while: it has cost a reader."""
        before = self._troubles.get(reading.subject)
        pause = min(2 * before.pause, LONGEST_PAUSE_SECONDS) if before else FIRST_PAUSE_SECONDS
        why = f"{_describe(reading.subject)}: {why}."
        _remember(self._troubles, reading.subject, Trouble(why, now + pause, pause))
        _remember(self._slow, reading.subject, None)
        self._fail(reading, "unreadable", why)

    def _fail(self, reading: Reading, code: str, reason: str) -> None:
        self._ended.append((reading.channel, Failed(code, reason)))

    def _count(self, *, is_slow: bool) -> int:
        return sum(reading.is_slow == is_slow for reading in self._busy.values())


def _is_for_slow(process: Process) -> bool:
    """Answer whether a reader is one of the slow lane: it never computes as much as others again."""
    return process.niceness > 0


def _describe(subject: Subject) -> str:
    expid, what = subject
    if not expid:
        return what.capitalize()
    return f"Experiment {expid}" if what == "experiment" else f"{what.capitalize()} of {expid}"


def _may_be_beside(one: Subject, other: Subject) -> bool:
    """Return whether both may be read at once: what is asked before a command never waits for a long list."""
    return one[0] != other[0] or (one[1] == FRESH) != (other[1] == FRESH)


def _remember(memory: "OrderedDict[Subject, Value]", subject: Subject, value: Value) -> None:
    """Keep a value, and forget the oldest of too many."""
    memory[subject] = value
    memory.move_to_end(subject)
    if len(memory) > _MOST_REMEMBERED:
        memory.popitem(last=False)
