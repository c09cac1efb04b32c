"""What a gateway may ask of an agent about commands, and the answers."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.agent.protocol.fields import refuse_others, take_number, take_text, take_texts
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.run_directory import Look, Piece, RunDirectory, State
from autosubmit_portal.agent.site_file import PACKAGE, SiteFile
from autosubmit_portal.agent.spool import Outcome, Spool, Start
from autosubmit_portal.agent.warm import WarmAutosubmit

MOST_OUTPUT_BYTES = 128 * 1024
MOST_WAIT_SECONDS = 30
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Commands:
    """Answers requests about the commands of one portal. Raises ValueError for what is no request, and OSError."""

    def __init__(self, site: SiteFile, portal: str) -> None:
        self._site = site
        self.spool = Spool(site.spool, portal)
        self.warm = WarmAutosubmit(self.spool.folder)
        self.answers: dict[str, Callable[[Message], Message]] = {
            "start": self._start,
            "end": self._end,
            "give_up": self._give_up,
            "forget": self._forget,
        }

    def wait_for(self, arguments: Message, now: float) -> "Waiting":
        """Return somebody who waits for news of a command."""
        refuse_others(arguments, "key", "generation", "offset", "wait_seconds")
        return Waiting(
            self.spool,
            take_text(arguments, "key"),
            take_number(arguments, "generation"),
            take_number(arguments, "offset"),
            now + take_number(arguments, "wait_seconds", most=MOST_WAIT_SECONDS),
        )

    def _start(self, arguments: Message) -> Message:
        refuse_others(arguments, "key", "digest", "kind", "words", "profile")
        key, digest = take_text(arguments, "key"), take_text(arguments, "digest")
        words = take_texts(arguments, "words")
        kind, profile = take_text(arguments, "kind"), take_text(arguments, "profile")
        if not _DIGEST.fullmatch(digest):
            raise ProtocolError("“digest” must be 64 hexadecimal digits")
        if kind not in self._site.kinds:
            return _tell_start(Start(Outcome.REFUSED, f"The site does not let {kind!a} be started here."))
        if profile not in self._site.profiles:
            return _tell_start(Start(Outcome.REFUSED, f"The site has no profile {profile!a}."))
        argv = [str(self._site.program), *words]
        environment = self._site.make_environment(profile)
        launch = self.warm.launch if self._site.procedures.get(kind) == PACKAGE else RunDirectory.launch
        return _tell_start(self.spool.start(key, digest, argv, environment, self._site.umask, launch=launch))

    def _end(self, arguments: Message) -> Message:
        self.spool.find(_take_key(arguments)).end()
        return {}

    def _give_up(self, arguments: Message) -> Message:
        return {"given_up": self.spool.give_up(_take_key(arguments))}

    def _forget(self, arguments: Message) -> Message:
        return {"forgotten": self.spool.forget(_take_key(arguments))}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who has seen the output of a command up to a cursor, and waits for more or for its end."""

    spool: Spool
    key: str
    generation: int
    offset: int
    deadline: float

    def look(self, most: int) -> tuple[Message, bytes] | None:
        """Return the answer and at most `most` bytes of output; None while there is no news."""
        run = self.spool.find(self.key)
        run.bound_output()
        look = run.look()  # before the output, so that what has ended has printed all
        piece = run.read_output(self.offset, min(most, MOST_OUTPUT_BYTES), self.generation)
        is_alive = look.state in (State.NOT_STARTED, State.ALIVE)
        if is_alive and not piece.data and time.monotonic() < self.deadline:
            return None
        return _tell_look(look, piece), piece.data


def _take_key(arguments: Message) -> str:
    refuse_others(arguments, "key")
    return take_text(arguments, "key")


def _tell_start(start: Start) -> Message:
    return {"outcome": start.outcome.value, "why": start.why}


def _tell_look(look: Look, piece: Piece) -> Message:
    return {
        "state": look.state.value,
        "exit_status": look.exit_status,
        "why": look.why,
        "generation": piece.generation,
        "offset": piece.offset,
        "size": piece.size,
    }
