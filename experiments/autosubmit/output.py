"""What an Autosubmit command printed: the reason of a failure, the jobs that it changed, the experiment that it made.

The exit status alone does not tell it. An uncaught error ends with the last two digits of its code (7000 becomes 88),
and a run that was stopped in good order ends like one that crashed. What the end of each command means stands in
`experiments/catalogue/outcomes.py`. The texts are those of Autosubmit 4.1.17, seen by running each command.
"""

import re
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, takewhile

from autosubmit_portal.sentences import add, marked, say

MAX_MESSAGE = 1000
"""The longest reason that is kept, in characters."""

Change = tuple[str, str]
"""The name of a job and its new status."""

_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CREATED = re.compile(r"^Experiment ([a-z0-9]{4,}) created$", re.MULTILINE)
_CHANGED = re.compile(r"CHANGED:? job:? '?([^\s']+)'? status to:? (\w+)")
_HEADER = re.compile(r"^ *\[(CRITICAL|ERROR|WARNING)\] ?", re.MULTILINE)
_CODE = re.compile(r"\[eCode=([0-9]{1,9})\]")
_ARGUMENT_ERROR = re.compile(r"^(?:[\w ]+: )?error: (.+)$", re.MULTILINE)
_USAGE = "usage: autosubmit"
_MORE_INFO = "More info at https://"
_TRACEBACK = "Traceback (most recent call last):"
_WAITS = "Waiting for the autosubmit run to safety stop"
_UNEXPECTED = "Unexpected error: "
_REPORT = "Please report it to Autosubmit Developers"

# An error of YAML has several lines: what, in which file, line and column, and what was expected there. It quotes
# values, which may be secrets. One of a database has the query and its parameters.
_CONTINUED = re.compile(r"\n +(?=in )")
_VALUES = re.compile(r" with value .* \(original value: .*\)")
_NAMED = re.compile(r"(undefined alias|duplicate anchor) '.*?'")
_NO_REASON = ("This file and the correctness", "[SQL:", "[parameters:", "(Background on")

_IN_USE = "Another Autosubmit instance using the experiment"
_INTERRUPTED = ("Interrupt signal received", "will interrupt at the next safe occasion")

_ACTIVE = "active jobs"
_NOT_FORETOLD = marked(
    "Autosubmit tells nothing in advance while jobs are active on their platform, also with force. "
    "The preview of the portal does (dry_run=true)."
)

# What to do about it, by a piece of the reason that Autosubmit gives.
_REMEDIES = {
    _IN_USE: marked("Wait until the other command has ended, or stop the run, then try again."),
    "couldn't load the workflow graph": marked("There is no job list that can be read. Generate it first."),
    "job_list, backup couldn't be restored": marked("There is no job list that can be read. Generate it first."),
    _ACTIVE: marked("Some jobs are still active on their platform. Use force to cancel them first."),
    "Experiment does not exist": marked("Check the name, and that its folder was not removed."),
    "do not own": marked(
        "Only the owner of the experiment's folder may do this. Run the portal's worker as that account."
    ),
    "argument list": marked("Check the command in the action, and the version of Autosubmit."),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: a short sentence for the operator, and what it made or changed.

    `stopped` is set for a run that ended because somebody stopped it, which is not a failure.
    """

    succeeded: bool
    message: str
    expid: str | None = None
    changes: tuple[Change, ...] = ()
    stopped: bool = False


ReadOutcome = Callable[[int, str], Outcome]
"""Reads an outcome from the exit status of a command and all or the last part of what it printed.

A negative exit status, or one above 128 that no reason of Autosubmit explains, is the end by a signal.
"""


def strip_controls(text: str) -> str:
    """Return what a command printed without colours and other control sequences, every line ended by a newline."""
    return _CONTROL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def find_created_expid(text: str) -> str | None:
    """Return the experiment that `expid` says it has created; None if it does not say so."""
    found = _CREATED.findall(strip_controls(text))
    return found[-1] if found else None


def find_changed_jobs(text: str) -> list[Change]:
    """Return the jobs that `setstatus` or `recovery` says it has given a status, in order, each once."""
    return list(dict(_CHANGED.findall(strip_controls(text))).items())


def find_critical_message(text: str) -> str | None:
    """Return the reason that a failed command gives, with its details but without traceback; None if it gives none.

    Looked for in this order: the last critical line with a code, an error of the command line, an error that
    Autosubmit did not expect. At most MAX_MESSAGE characters.
    """
    text = strip_controls(text)
    reason = _find_coded(text) or _find_refused_arguments(text) or _find_unexpected(text)
    return shorten(reason) if reason else None


def find_reason(text: str) -> str | None:
    """Return why a command has failed: another one holds the experiment, or what `find_critical_message` finds."""
    return _IN_USE if _IN_USE in strip_controls(text) else find_critical_message(text)


def read_failure(
    exit_status: int, text: str, after_kill: str = say("Check the state of the experiment, then try again.")
) -> Outcome | None:
    """Return the outcome of a command that was killed or has failed, None of one that ended with 0.

    `after_kill` tells the operator what to do about one that was killed.
    """
    text = strip_controls(text)
    killer = _find_signal(exit_status, text)
    if killer:
        killed = say("The command was killed by {signal} before it ended.", signal=killer)
        return Outcome(False, add(killed, after_kill), changes=tuple(find_changed_jobs(text)))
    return Outcome(False, _explain(exit_status, text)) if exit_status else None


def read_outcome(exit_status: int, text: str) -> Outcome:
    """Return the outcome of a command of which nothing more is known than how all of them fail."""
    return read_failure(exit_status, text) or Outcome(True, "Done.", changes=tuple(find_changed_jobs(text)))


def read_as_dry_run(read: ReadOutcome) -> ReadOutcome:
    """Return what reads the outcome of a dry run, without the advice that helps only who saves: to force."""

    def read_dry_run(exit_status: int, text: str) -> Outcome:
        outcome = read(exit_status, text)
        is_advised = not outcome.succeeded and _ACTIVE in outcome.message
        return replace(outcome, message=_NOT_FORETOLD) if is_advised else outcome

    return read_dry_run


def count_looks_of_stop(text: str) -> int:
    """Return how often `stop` says that it has found the run alive after its signal: at once, and then every 5 s."""
    return text.count(_WAITS)


def _split_blocks(text: str) -> list[str]:
    """Return the critical messages, each with the lines that follow its header."""
    pieces = _HEADER.split(text)[1:]  # a level, then what follows its header, by turns
    blocks = (piece for level, piece in zip(pieces[::2], pieces[1::2], strict=True) if level == "CRITICAL")
    return [block.partition(_MORE_INFO)[0].strip() for block in blocks]


def _find_coded(text: str) -> str | None:
    """Return the last message with a code, followed by the details that Autosubmit prints just before it."""
    blocks = _split_blocks(text)
    places = [place for place, block in enumerate(blocks) if _CODE.search(block) and _TRACEBACK not in block]
    if not places:
        return None
    last = places[-1]
    found = _CODE.search(blocks[last])
    message = blocks[last][: found.end()] if found else blocks[last]
    before = blocks[last - 1] if last else ""
    details = _find_details(before.removeprefix("Trace:")) if before.startswith("Trace:") else ""
    return f"{_join_lines(message)}\n{details}".strip()


def _find_details(text: str) -> str:
    if _TRACEBACK in text:
        return _find_exception(text)
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("##"))


def _find_refused_arguments(text: str) -> str | None:
    found = _ARGUMENT_ERROR.search(text) if _USAGE in text else None
    return say("Autosubmit refused the command line: {why}", why=found[1]) if found else None


def _find_unexpected(text: str) -> str | None:
    """Return an error that Autosubmit did not expect, and where even that has no text, the end of the traceback."""
    for block in reversed(_split_blocks(text)):
        reason = _strip_values(block.removeprefix(_UNEXPECTED).partition(_REPORT)[0]).strip(". ")
        if block.startswith(_UNEXPECTED) and reason:
            return reason
    if _TRACEBACK not in text:
        return None
    tail = text.rpartition(_TRACEBACK)[2]
    headers = _HEADER.search(tail)
    return _find_exception(tail[: headers.start()] if headers else tail)


def _strip_values(error: str) -> str:
    """Return the lines of an error that say what is wrong and where, without values that they quote."""
    lines = list(takewhile(bool, (line.rstrip() for line in error.strip().splitlines())))
    told = "\n".join(line for line in lines if not line.lstrip().startswith(_NO_REASON))
    return _VALUES.sub("", _NAMED.sub(r"\1", _CONTINUED.sub(" ", told)))


def _find_exception(traceback: str) -> str:
    """Return the exception of a traceback: what follows the frames, which are indented."""
    lines = traceback.rpartition(_TRACEBACK)[2].splitlines()
    own = dropwhile(lambda line: not line.strip() or line.startswith(" "), lines)
    return _strip_values("\n".join(own))


def _join_lines(text: str) -> str:
    return " ".join(text.split())


def shorten(text: str) -> str:
    """Return a text, or the beginning of one that is longer than what is kept."""
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def is_interrupted(exit_status: int, text: str) -> bool:
    """Return whether a run ended by SIGINT, which is how `autosubmit stop` and a terminal stop it."""
    text = strip_controls(text)
    by_signal = exit_status in (-signal.SIGINT, 128 + signal.SIGINT) and not _find_coded(text)
    in_good_order = any(sign in text for sign in _INTERRUPTED)
    return by_signal or in_good_order or (exit_status != 0 and _has_interrupt(text))


def _has_interrupt(text: str) -> bool:
    """Return whether SIGINT is the cause of the error that ended a command, whatever Autosubmit has taken it for.

    While it loads or saves the job list, that is an error of the job list to it.
    """
    blocks = [block for block in _split_blocks(text) if _TRACEBACK in block]
    return bool(blocks) and any(line == "KeyboardInterrupt" for line in blocks[-1].splitlines())


def _find_signal(exit_status: int, text: str) -> str | None:
    """Return the name of the signal that ended a command; a code of Autosubmit may look like one (7049 is 137)."""
    codes = [int(code) % 256 for code in _CODE.findall(text)]
    number = -exit_status if exit_status < 0 else exit_status - 128
    if number <= 0 or exit_status in codes:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return None


def _explain(exit_status: int, text: str) -> str:
    reason = find_reason(text)
    if reason is None:
        return say(
            "The command ended with exit status {number} and gave no reason. Look at its output.", number=exit_status
        )
    remedy = next((remedy for piece, remedy in _REMEDIES.items() if piece in reason), "")
    return say("{reason}. {remedy}", reason=reason.rstrip("."), remedy=say(remedy)) if remedy else reason


def describe_changes(changes: Sequence[Change]) -> str:
    """Return for example "2 jobs to WAITING, 1 job to COMPLETED"; blank for none."""
    counts = Counter(status for _, status in changes)
    return ", ".join(_count_jobs(count, status) for status, count in counts.items())


def _count_jobs(count: int, status: str) -> str:
    form = marked("{count} job to {status}") if count == 1 else marked("{count} jobs to {status}")
    return say(form, count=count, status=status)
