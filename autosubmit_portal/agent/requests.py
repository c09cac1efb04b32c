"""What a gateway may ask of an agent about commands, and the answers."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autosubmit_portal.agent import accounts
from autosubmit_portal.agent.locks import explain_run
from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.agent.protocol.fields import refuse_others, take_expid, take_number, take_text, take_texts
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.rules import explain_rule
from autosubmit_portal.agent.run_directory import Look, Piece, RunDirectory, State
from autosubmit_portal.agent.site_file import COMMAND, PACKAGE, SiteFile, read_site_file, take_procedure
from autosubmit_portal.agent.spool import Outcome, Spool, Start
from autosubmit_portal.agent.warm import WarmAutosubmit
from autosubmit_portal.sentences import say

MOST_OUTPUT_BYTES = 128 * 1024
MOST_WAIT_SECONDS = 30
_MOST_PID = 2**22
_START = ("key", "digest", "kind", "words", "account", "profile", "person", "procedure", "program", "unless_locked")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Commands:
    """Answers requests about the commands of one portal.

    Raises ValueError for what is no request, OSError, and BadSiteFileError.
    """

    def __init__(self, site_file: Path, portal: str) -> None:
        self._site_file = site_file
        site = read_site_file(site_file)
        self.spool = Spool(site.spool, portal, site.legacy)
        self.warm = WarmAutosubmit(self.spool.folder)
        self.answers: dict[str, Callable[[Message], Message]] = {
            "start": self._start,
            "end": self._end,
            "interrupt": self._interrupt,
            "give_up": self._give_up,
            "forget": self._forget,
        }

    def wait_for(self, arguments: Message, now: float) -> "Waiting":
        """Return somebody who waits for news of a command."""
        refuse_others(arguments, "key", "generation", "offset", "limit", "wait_seconds")
        return Waiting(
            self.spool,
            take_text(arguments, "key"),
            take_number(arguments, "generation") if "generation" in arguments else None,
            take_number(arguments, "offset"),
            take_number(arguments, "limit", most=MOST_OUTPUT_BYTES) if "limit" in arguments else MOST_OUTPUT_BYTES,
            now + take_number(arguments, "wait_seconds", most=MOST_WAIT_SECONDS),
        )

    def _start(self, arguments: Message) -> Message:
        refuse_others(arguments, *_START)
        key, digest = take_text(arguments, "key"), take_text(arguments, "digest")
        words, account = take_texts(arguments, "words"), take_text(arguments, "account")
        kind, person = take_text(arguments, "kind"), take_text(arguments, "person") if "person" in arguments else ""
        if not _DIGEST.fullmatch(digest):
            raise ProtocolError("“digest” must be 64 hexadecimal digits")
        site = read_site_file(self._site_file)  # what its owner has changed holds at once
        name = take_text(arguments, "program") if "program" in arguments else ""
        program, profile = site.find_program(name), site.choose_profile(take_text(arguments, "profile"), person)
        if program is None:
            return _refuse(
                say(
                    "The site has no program {name}. There are: {names}.",
                    name=ascii(name),
                    names=", ".join(site.programs) or "none",
                )
            )
        reason = _explain_refusal(site, kind, words, account) or _explain_no_profile(site, profile, person)
        if not reason and not self.spool.find(key).look().has_started:
            reason = _explain_moment(site, words[0], arguments)
        if reason:
            return _refuse(reason)
        account = "" if accounts.is_own(account) else account
        environment = site.make_environment(profile, account, program, person)
        asked = take_procedure(arguments, "procedure") if "procedure" in arguments else COMMAND
        launch = self.warm.launch if site.procedures.get(kind, asked) == PACKAGE else RunDirectory.launch
        argv = program.make_argv(words)
        return _tell_start(self.spool.start(key, digest, argv, environment, site.umask, account=account, launch=launch))

    def _end(self, arguments: Message) -> Message:
        self.spool.find(_take_key(arguments)).end()
        return {}

    def _interrupt(self, arguments: Message) -> Message:
        refuse_others(arguments, "key", "pid", "mark")
        run = self.spool.find(take_text(arguments, "key"))
        pid = take_number(arguments, "pid", least=2, most=_MOST_PID)
        return {"interrupted": run.interrupt(pid, str(take_number(arguments, "mark")))}

    def _give_up(self, arguments: Message) -> Message:
        return {"given_up": self.spool.give_up(_take_key(arguments))}

    def _forget(self, arguments: Message) -> Message:
        return {"forgotten": self.spool.forget(_take_key(arguments))}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who has seen the output of a command up to a cursor, and waits for more or for its end.

    `limit` is how many bytes of it they want. Without a generation the offset is one of the output as it is now.
    """

    spool: Spool
    key: str
    generation: int | None
    offset: int
    limit: int
    deadline: float

    def look(self, most: int) -> tuple[Message, bytes] | None:
        """Return the answer and at most `most` bytes of output; None while there is no news."""
        run = self.spool.find(self.key)
        run.bound_output()
        look = run.look()  # before the output, so that what has ended has printed all
        piece = run.read_output(self.offset, min(most, self.limit), self.generation)
        is_alive = look.state in (State.NOT_STARTED, State.ALIVE)
        if is_alive and not piece.data and time.monotonic() < self.deadline:
            return None
        return _tell_look(look, piece), piece.data

    def open_end(self) -> int | None:
        """Return what is ready for reading when the command has ended; None where that is not to be had."""
        return self.spool.find(self.key).open_launcher()


def _explain_refusal(site: SiteFile, kind: str, words: Sequence[str], account: str) -> str:
    """Return why the site does not let this be started; blank if it does."""
    if kind not in site.kinds:
        return say("The site does not let {kind} be started here.", kind=ascii(kind))
    if not words or words[0] not in site.kinds[kind]:
        return say(
            "The site does not let {kind} start {command}.", kind=ascii(kind), command=ascii(" ".join(words[:1]))
        )
    if account and account not in site.accounts:
        return say("The site does not let anything run as {account}.", account=ascii(account))
    return ""


def _explain_moment(site: SiteFile, command: str, arguments: Message) -> str:
    """Return why this is not the host, or not the moment, for a command; blank if it is."""
    reason = explain_rule(site, command)
    if not reason and "unless_locked" in arguments:
        reason = explain_run(site, take_expid(arguments, "unless_locked"))
    return reason


def _refuse(why: str) -> Message:
    return _tell_start(Start(Outcome.REFUSED, why))


def _explain_no_profile(site: SiteFile, profile: str, person: str) -> str:
    """Return why there are no variables for a command; blank if there are."""
    if profile in site.profiles:
        return ""
    if profile or not site.people:
        return say("The site has no profile {profile}.", profile=ascii(profile))
    return say(
        "The site maps no profile to {person}: the file of the site has neither {person} nor '*' under “people”.",
        person=ascii(person),
    )


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
