"""The commands of actions, at the host where they were started: the worker's side of what an agent does.

Whatever is not answered is unknown. It never means that a command has failed, has ended or may be started again.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autosubmit_portal.agent.protocol.fields import take_number, take_text
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.run_directory import Look, State
from autosubmit_portal.agent.site_file import COMMAND, PACKAGE
from autosubmit_portal.gateway.caller import Refused, Unanswered
from autosubmit_portal.sentences import say
from experiments import hosts, own_gateway, programs
from experiments.models import Action, Step
from jobs.autosubmit.secrets import cover_blocks

# The newest of what a command has printed that is read whole, and stored when it has ended.
KEPT_BYTES = 8_000_000
_PIECE_BYTES = 128 * 1024
# Whoever looks at a page waits no longer for a host.
PAGE_SECONDS = 5.0
_MOST_WHY = 500


class NotStarted(Exception):
    """A command was not started, and never will be; the text says why."""


class Unseen(Exception):
    """It is not known what a command does; the text says why."""


class NotSignalled(Exception):
    """A process gets no signal from its host; the text says why."""


NOT_STARTED = Look(State.NOT_STARTED)


@dataclass(frozen=True, slots=True)
class _Answer:
    look: Look
    data: bytes
    size: int


def find_step(action: Action, number: int) -> Step | None:
    """Return the step of an action if a worker has decided to start it."""
    return Step.objects.select_related("host").filter(action=action.pk, number=number).first()


def start(step: Step, action: Action) -> None:
    """Start the command of a step, once whoever says so again.

    Raises NotStarted, and Unseen when nobody knows whether it was.
    """
    words = action.list_words(step.number)
    request = {"key": step.key, "kind": action.kind, "words": words, "account": action.unix_name}
    request["person"] = action.actor_name  # a site may map people to profiles
    kind = action.catalogue_kind
    if kind.excludes_run and not kind.get_command(step.number, len(action.command)).is_long:  # `run` looks itself
        request["unless_locked"] = action.expid
    if program := programs.choose_for(action, step.host):
        request["program"] = program
    request["procedure"] = PACKAGE if action.kind in action.site.package_kinds else COMMAND
    request |= {"profile": own_gateway.PROFILE, "digest": _make_digest([action.kind, action.unix_name, *words])}
    try:
        answer, _ = hosts.act(step.host, "start", request)
    except Unanswered as error:
        raise Unseen(str(error)) from error
    except Refused as error:
        if error.code != "away" and not give_up(step):  # the agent has tried
            raise Unseen(str(error)) from error
        raise NotStarted(str(error)) from error
    if answer.get("outcome") not in ("started", "started before"):
        raise NotStarted(str(answer.get("why", ""))[:_MOST_WHY])


def look(step: Step, wait_seconds: int = 0) -> Look:
    """Look at the command of a step; while it goes on, wait so long for its end. Raises Unseen."""
    found = _ask(step, 0, 0, hosts.SECONDS, is_worker=True, wait_seconds=wait_seconds).look
    if found.state is State.UNKNOWN:
        raise Unseen(f"{step.host}: {found.why}")
    return found


def tell_given_up(step: Step) -> bool:
    """Tell the host of a step that somebody called it lost; False if it had started. Raises Unseen."""
    is_given_up = give_up(step)
    Step.objects.filter(pk=step.pk).update(given_up_at=None)
    return is_given_up


def give_up(step: Step) -> bool:
    """Make sure that a command that has not started never will; False if it has started. Raises Unseen."""
    require_spool(step)
    try:
        return hosts.act(step.host, "give_up", {"key": step.key})[0].get("given_up") is True
    except (Refused, Unanswered) as error:
        raise Unseen(str(error)) from error


def require_spool(step: Step) -> None:
    """Raise Unseen where another spool than that of a command would be asked: there none of ours has started."""
    try:
        spool = hosts.read_spool()
    except Unanswered as error:
        raise Unseen(str(error)) from error
    if step.spool and spool and step.spool != spool:
        raise Unseen(
            say(
                "It may have been started through a gateway of the portal {spool}, but this one is of "
                "{ours}. Give all hosts of the portal one gateway, or gateways whose files name one "
                "“portal”.",
                spool=step.spool,
                ours=spool,
            )
        )


def end(step: Step) -> None:
    """End a command and everything of its process group: SIGTERM first, SIGKILL when it lives on.

    Returns at once; call it until `look` sees the end. The jobs that a command started have sessions of their own and
    go on. Raises NotSignalled and Unseen.
    """
    _have_signalled(step, "end", {})


def interrupt(step: Step, pid: int, mark: int) -> bool:
    """Send SIGINT to another process, as the account of the command; return whether it was sent.

    It is sent once for each `mark`, whoever calls, and only to a process older than the command. Raises NotSignalled
    and Unseen.
    """
    return _have_signalled(step, "interrupt", {"pid": pid, "mark": mark}).get("interrupted") is True


def _have_signalled(step: Step, name: str, arguments: Message) -> Message:
    try:
        return hosts.act(step.host, name, {"key": step.key, **arguments})[0]
    except Unanswered as error:
        raise Unseen(str(error)) from error
    except Refused as error:
        raise (NotSignalled if error.code == "failed" else Unseen)(str(error)) from error


def keep_output(step: Step) -> None:
    """Store the newest output of a command of an ended action, then let the host forget it. Raises Unseen."""
    if not _is_over(step):  # it was called lost: what it prints is stored when it has ended
        return
    if step.output is None:
        step.keep_output(read_newest(step, KEPT_BYTES))
    try:
        is_forgotten = hosts.act(step.host, "forget", {"key": step.key})[0].get("forgotten") is True
    except (Refused, Unanswered) as error:
        raise Unseen(str(error)) from error
    if is_forgotten:
        Step.objects.filter(pk=step.pk).update(is_forgotten=True)


def _is_over(step: Step) -> bool:
    """Answer whether a command prints no more; one that has not started by now never will. Raises Unseen."""
    found = _ask(step, 0, 0, hosts.SECONDS, is_worker=True).look
    return give_up(step) if found.state is State.NOT_STARTED else found.state not in (State.ALIVE, State.UNKNOWN)


def read_output(step: Step, offset: int, limit: int, seconds: float = hosts.SECONDS) -> tuple[bytes, int]:
    """Return at most `limit` bytes of what a command printed, from byte `offset`, and how many there are in all.

    stdout and stderr are one stream, in the order in which they were written, as in a terminal. Raises Unseen.
    """
    if step.output is not None or step.is_forgotten:
        return step.kept_output[offset : offset + limit], len(step.kept_output)
    data = bytearray()
    while True:
        answer = _ask(step, offset + len(data), limit - len(data), seconds)
        data += answer.data
        if not answer.data or len(data) >= limit:
            return bytes(data), answer.size


def make_reader(action: Action, number: int) -> Callable[[int, int], tuple[bytes, int]]:
    """Return what reads the shown output of one step, as `read_shown` does."""
    step = find_step(action, number)
    return (lambda offset, limit: read_shown(step, offset, limit)) if step else (lambda _offset, _limit: (b"", 0))


def read_shown(step: Step, offset: int, limit: int) -> tuple[bytes, int]:
    """Return the same as `read_output`, with secrets covered by as many `*`."""

    def read(start: int, end: int) -> list[bytes]:
        return [data] if (data := read_output(step, start, end - start, PAGE_SECONDS)[0]) else []

    size = read_output(step, 0, 0, PAGE_SECONDS)[1]
    return b"".join(cover_blocks(read, offset, offset + limit)), size


def read_newest(step: Step, limit: int) -> bytes:
    """Return the last `limit` bytes of what a command printed. Raises Unseen."""
    size = read_output(step, 0, 0)[1]
    return read_output(step, max(0, size - limit), limit)[0]


def read_text(step: Step | None) -> str:
    """Return what a command printed as text, the newest of very much; blank for one that was not started."""
    return "" if step is None else read_newest(step, KEPT_BYTES).decode("utf-8", "replace")


def _ask(
    step: Step, offset: int, limit: int, seconds: float, *, is_worker: bool = False, wait_seconds: int = 0
) -> _Answer:
    arguments = {"key": step.key, "offset": offset, "limit": min(limit, _PIECE_BYTES), "wait_seconds": wait_seconds}
    try:
        if is_worker:
            message, data = hosts.act(step.host, "look", arguments)
        else:
            is_for_page = seconds <= PAGE_SECONDS
            message, data = hosts.ask(step.host, "look", arguments, seconds, is_for_page=is_for_page)
    except (Refused, Unanswered) as error:
        raise Unseen(str(error)) from error
    try:
        return _understand(message, data, limit)
    except (ValueError, TypeError) as error:  # a ProtocolError is one
        raise Unseen(say("The answer of {host} is not understood: {error}.", host=step.host, error=error)) from error


def _understand(message: Message, data: bytes, limit: int) -> _Answer:
    """Take what an agent says of a command; what it says is as untrusted as what a browser says."""
    has_status = message.get("exit_status") is not None
    status = take_number(message, "exit_status", most=255) if has_status else None
    if len(data) > limit:
        raise ValueError(f"{len(data)} bytes came, and {limit} were asked for")
    found = Look(State(take_text(message, "state")), status, take_text(message, "why"))
    return _Answer(found, data, take_number(message, "size"))


def _make_digest(words: Sequence[str]) -> str:
    """Return what tells one request from another."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
