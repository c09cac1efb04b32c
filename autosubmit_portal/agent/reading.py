"""The requests `read`: they are given to readers, and what those answer is passed on as the gateway takes it."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from autosubmit_portal.agent import files
from autosubmit_portal.agent.answers import Answers
from autosubmit_portal.agent.protocol import ProtocolError, Server, strict_json
from autosubmit_portal.agent.protocol.fields import refuse_others, take_expid, take_text
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.lanes import RULES, Failed, Lanes, Reading
from autosubmit_portal.agent.site_file import SiteFile, read_site_file
from autosubmit_portal.sentences import say

# Of answers that the gateway has not taken yet; while there are more, nothing else is read.
MOST_HELD_BYTES = 64 * 1024 * 1024
# No reading takes so long: what is older was left by an agent that was killed.
_LEFT_SECONDS = 3600.0
# A pipe takes as many at once.
_MOST_REQUEST_BYTES = 60_000


class Reads:
    """Answers requests to read. The agent's loop never waits for it. Raises BadSiteFileError."""

    def __init__(self, site_file: Path, connection: Server, portal: str) -> None:
        self._site_file = site_file
        self._connection = connection
        self._answers = Answers(connection)
        site = read_site_file(site_file)
        self._lanes = Lanes(make_folder(site), site.spool / "told" / portal)

    def fileno(self) -> int:
        """Return a descriptor that is ready for reading when a reader has answered."""
        return self._lanes.fileno()

    @property
    def is_busy(self) -> bool:
        """Whether `turn` should be called often."""
        return self._lanes.is_busy

    def ask(self, channel: int, arguments: Message, now: float) -> None:
        """Take a request. Raises ProtocolError."""
        what = take_text(arguments, "what", most=50)
        if what == RULES:
            refuse_others(arguments, "what")
        expid = take_expid(arguments, "expid") if what != RULES else ""
        if len(strict_json.encode(arguments)) > _MOST_REQUEST_BYTES:
            raise ProtocolError(say("more than {most} bytes", most=_MOST_REQUEST_BYTES))
        site = read_site_file(self._site_file)  # what its owner has changed holds at once
        if site.home is None:
            self._connection.fail(channel, "broken", say("The file of the site names no “home” of a store."))
            return
        self._lanes.ask(Reading(channel, (expid, what), make_request(site, arguments), now))

    def cancel(self, channel: int) -> None:
        """Leave a request that nobody waits for."""
        if self._answers.cancel(channel) or self._lanes.cancel(channel):
            self._connection.fail(channel, "cancelled", say("Nobody waits for it."))

    def turn(self, now: float) -> None:
        """Pass on what has been read."""
        for channel, end in self._lanes.turn(now, may_start=self._answers.held_bytes < MOST_HELD_BYTES):
            if isinstance(end, Failed):
                self._connection.fail(channel, end.code, end.reason)
            else:
                self._answers.take(channel, end)
        self._answers.pass_on()

    def close(self) -> None:
        """End the readers."""
        self._lanes.close()


def make_request(site: SiteFile, arguments: Message) -> Message:
    """Return what a reader is asked: the place of the store comes from the file of the site and from nowhere else.

    So do the names of its programs, which are told with the rules.
    """
    if arguments["what"] == RULES:
        arguments = {**arguments, "programs": {name: program.version for name, program in site.programs.items()}}
    return {"expid": "", **arguments, "home": str(site.home), "configuration": str(site.configuration or "")}


def make_folder(site: SiteFile) -> Path:
    """Make the folder of the copies, for nobody else, without what killed agents have left there."""
    folder = site.spool / "readers"
    files.make_private(folder)
    for left in folder.iterdir():
        with suppress(FileNotFoundError):  # another agent has just removed its own
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    return folder
