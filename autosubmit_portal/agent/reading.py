"""The requests `read`: they are given to readers, and what those answer is passed on as the gateway takes it."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from autosubmit_portal.agent.protocol import ProtocolError, Server, limits, strict_json
from autosubmit_portal.agent.protocol.fields import take_expid, take_object, take_text
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.lanes import Failed, Lanes, Reading
from autosubmit_portal.agent.readers.process import Heard
from autosubmit_portal.agent.site_file import SiteFile, read_site_file

# Of answers that the gateway has not taken yet; while there are more, nothing else is read.
MOST_HELD_BYTES = 64 * 1024 * 1024
# No reading takes so long: what is older was left by an agent that was killed.
_LEFT_SECONDS = 3600.0
# A pipe takes as many at once.
_MOST_REQUEST_BYTES = 60_000


@dataclass(slots=True)
class _Answer:
    """What is on its way to the gateway."""

    value: Message
    data: memoryview


class Reads:
    """Answers requests to read. The agent's loop never waits for it. Raises BadSiteFileError."""

    def __init__(self, site_file: Path, connection: Server, portal: str) -> None:
        self._site_file = site_file
        self._connection = connection
        self._answers: dict[int, _Answer] = {}
        spool = read_site_file(site_file).spool
        self._lanes = Lanes(_make_folder(spool / "readers"), spool / "told" / portal)

    def fileno(self) -> int:
        """Return a descriptor that is ready for reading when a reader has answered."""
        return self._lanes.fileno()

    @property
    def is_busy(self) -> bool:
        """Whether `turn` should be called often."""
        return self._lanes.is_busy

    def ask(self, channel: int, arguments: Message, now: float) -> None:
        """Take a request. Raises ProtocolError."""
        expid, what = take_expid(arguments, "expid"), take_text(arguments, "what", most=50)
        if len(strict_json.encode(arguments)) > _MOST_REQUEST_BYTES:
            raise ProtocolError(f"more than {_MOST_REQUEST_BYTES} bytes")
        site = read_site_file(self._site_file)  # what its owner has changed holds at once
        if site.home is None:
            self._connection.fail(channel, "broken", "The file of the site names no “home” of a store.")
            return
        self._lanes.ask(Reading(channel, (expid, what), make_request(site, arguments), now))

    def cancel(self, channel: int) -> None:
        """Leave a request that nobody waits for."""
        if self._answers.pop(channel, None) or self._lanes.cancel(channel):
            self._connection.fail(channel, "cancelled", "Nobody waits for it.")

    def turn(self, now: float) -> None:
        """Pass on what has been read."""
        held = sum(len(answer.data) for answer in self._answers.values())
        for channel, end in self._lanes.turn(now, may_start=held < MOST_HELD_BYTES):
            if isinstance(end, Failed):
                self._connection.fail(channel, end.code, end.reason)
            else:
                self._take_answer(channel, end)
        for channel in tuple(self._answers):
            self._pass_on(channel)

    def close(self) -> None:
        """End the readers."""
        self._lanes.close()

    def _take_answer(self, channel: int, heard: Heard) -> None:
        message, data = heard
        try:
            if "failure" in message:
                failure = take_object(message, "failure")
                self._connection.fail(channel, take_text(failure, "code"), take_text(failure, "reason"))
            else:
                self._answers[channel] = _Answer(take_object(message, "value"), memoryview(data))
        except ProtocolError as error:
            self._connection.fail(channel, "failed", f"What a reader says is not understood: {error}.")

    def _pass_on(self, channel: int) -> None:
        answer = self._answers[channel]
        while answer.data and self._connection.bytes_to_send <= limits.USUAL_CREDIT:
            piece = answer.data[: self._connection.credit(channel)]
            if not piece:
                return
            self._connection.send_data(channel, bytes(piece))
            answer.data = answer.data[len(piece) :]
        if not answer.data:
            del self._answers[channel]
            self._connection.answer(channel, answer.value)


def make_request(site: SiteFile, arguments: Message) -> Message:
    """Return what a reader is asked: the place of the store comes from the file of the site and from nowhere else."""
    return {**arguments, "home": str(site.home), "configuration": str(site.configuration or "")}


def _make_folder(folder: Path) -> Path:
    """Make the folder of the copies, for nobody else, without what killed agents have left there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.iterdir():
        if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    return folder
