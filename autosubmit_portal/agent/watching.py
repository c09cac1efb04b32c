"""The requests `watch`: a child process looks at the store, and nobody waits for it longer than for a moment."""

import selectors
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from autosubmit_portal.agent.answers import Answers
from autosubmit_portal.agent.protocol import Server
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.fork_server import WATCHER
from autosubmit_portal.agent.readers.process import Heard, Process
from autosubmit_portal.agent.reading import make_folder
from autosubmit_portal.agent.site_file import read_site_file
from autosubmit_portal.agent.watch.left_out import LeftOut
from autosubmit_portal.agent.watch.request import find_place, tell_place, understand
from autosubmit_portal.sentences import add, say

# Of a pass each part ends after 1.5 s; a longer one hangs on a disk.
ANSWER_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
# What a child knows is not kept for those who have gone.
IDLE_SECONDS = 600.0
# Children that were killed and do not end, since a disk does not answer.
MOST_STUCK = 8


@dataclass(eq=False, slots=True)
class _Request:
    """One request, from the moment it was made. It goes on to its end when nobody waits for it any more."""

    channel: int
    message: Message
    is_awaited: bool = True


class Watching:
    """Asks the child one thing after the other. Never waits itself. Raises BadSiteFileError."""

    def __init__(self, site_file: Path, connection: Server) -> None:
        self._site_file = site_file
        self._connection = connection
        self._answers = Answers(connection)
        self._folder = make_folder(read_site_file(site_file))
        self._selector = selectors.EpollSelector()
        self._waiting: deque[_Request] = deque()
        self._asked: _Request | None = None
        self._process: Process | None = None
        self._dying: dict[Process, str] = {}
        self._left_out = LeftOut()
        self._since = 0.0
        self._pause = 0.0
        self._paused_until = 0.0
        self._trouble = ""

    def fileno(self) -> int:
        """Return a descriptor that is ready for reading when the child has answered."""
        return self._selector.fileno()

    @property
    def is_busy(self) -> bool:
        """Whether `turn` should be called often."""
        return bool(self._waiting or self._asked or self._dying)

    def ask(self, channel: int, arguments: Message, now: float) -> None:
        """Take a request. Raises ProtocolError."""
        understand(arguments)
        place = find_place(read_site_file(self._site_file))  # what its owner has changed holds at once
        if place is None:
            self._connection.fail(channel, "broken", say("The file of the site names no “home” of a store."))
        elif now < self._paused_until:
            again = say("It is looked at again in {seconds} s.", seconds=f"{self._paused_until - now:.0f}")
            self._connection.fail(channel, "busy", f"{self._trouble} {again}")
        else:
            self._waiting.append(_Request(channel, {"place": tell_place(place), "asked": arguments}))

    def cancel(self, channel: int) -> None:
        """Leave a request that nobody waits for."""
        of_channel = [request for request in (*self._waiting, self._asked) if request and request.channel == channel]
        for request in of_channel:
            request.is_awaited = False
        if of_channel or self._answers.cancel(channel):
            self._connection.fail(channel, "cancelled", say("Nobody waits for it."))

    def turn(self, now: float) -> None:
        """Hear the child, look at the time, ask the next thing, and pass on what was answered."""
        if self._process and self._selector.select(0):
            self._hear(self._process, now)
        if self._process and self._asked and now - self._since > ANSWER_SECONDS:
            self._leave_hanging(now)
        elif self._process and not self._asked and now - self._since > IDLE_SECONDS:
            self._kill(self._process)
        self._dying = {process: expid for process, expid in self._dying.items() if not process.is_gone()}
        self._ask_next(now)
        self._answers.pass_on()

    def close(self) -> None:
        """End the child."""
        self._waiting.clear()
        if self._process:
            self._kill(self._process)
        self._left_out.close()

    def _hear(self, process: Process, now: float) -> None:
        was_ready = process.is_ready
        try:
            heard = process.hear()
        except EOFError:
            self._leave(now, "broken", say("What looks at the store has ended: it may have taken too much memory."))
            return
        if process.is_ready and not was_ready:
            self._since = now  # to start it may take longer than to answer
        if heard:
            self._finish(heard, now)

    def _leave_hanging(self, now: float) -> None:
        """Leave a child that hangs. One on which it hangs is left out, until that child has gone at the earliest."""
        expid, process = self._left_out.read_mark(), self._process
        self._leave(now, "unanswered", self._explain_hanging(expid, now))
        if process:
            self._dying[process] = expid

    def _explain_hanging(self, expid: str, now: float) -> str:
        seconds = f"{ANSWER_SECONDS:.0f}"
        if not expid:
            return say("The store does not answer within {seconds} s: a disk may hang.", seconds=seconds)
        said = say("{expid} does not answer within {seconds} s: a disk may hang.", expid=expid, seconds=seconds)
        return add(said, say("It is left out for {seconds} s.", seconds=f"{self._left_out.add(expid, now):.0f}"))

    def _finish(self, heard: Heard, now: float) -> None:
        request, self._asked, self._since, self._pause = self._asked, None, now, 0.0
        if request and request.is_awaited:
            self._answers.take(request.channel, heard)

    def _ask_next(self, now: float) -> None:
        while self._waiting and not self._waiting[0].is_awaited:
            self._waiting.popleft()
        if not self._waiting or self._asked or self._answers.held_bytes:
            return
        self._asked = self._waiting.popleft()
        self._since = now
        try:
            self._process = self._process or self._start()
            left_out = {*self._left_out.list(now), *filter(None, self._dying.values())}
            self._process.ask({**self._asked.message, "left_out": [*left_out]})
        except OSError as error:
            self._leave(now, "failed", say("The store cannot be looked at: {error}.", error=error))

    def _start(self) -> Process:
        """Start a child. Raises OSError."""
        if len(self._dying) >= MOST_STUCK:
            raise OSError(say("{number} processes hang on a disk", number=MOST_STUCK))
        self._left_out.clear_mark()
        process = Process(self._folder, module=WATCHER, shared=[self._left_out.mark])
        self._selector.register(process, selectors.EVENT_READ)
        return process

    def _leave(self, now: float, code: str, trouble: str) -> None:
        """Leave the child, and begin anew after a pause that grows: it has cost a process."""
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS) or FIRST_PAUSE_SECONDS
        self._paused_until, self._trouble = now + self._pause, trouble
        for request in (self._asked, *self._waiting):
            if request and request.is_awaited:
                self._connection.fail(request.channel, code, trouble)
        self._asked = None
        self._waiting.clear()
        if self._process:
            self._kill(self._process)

    def _kill(self, process: Process) -> None:
        self._selector.unregister(process)
        process.kill()
        self._dying[process] = ""
        self._process = None
