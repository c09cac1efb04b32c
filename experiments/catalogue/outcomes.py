"""What the end of each command means: functions of its exit status and of what it printed."""

import re
from collections.abc import Callable

from autosubmit_portal import sentences
from experiments.autosubmit.output import (
    Outcome,
    ReadOutcome,
    describe_changes,
    find_changed_jobs,
    find_created_expid,
    find_critical_message,
    find_reason,
    is_interrupted,
    read_failure,
    shorten,
    strip_controls,
)

_SAID = re.compile(r"^update_list: (.+)$", re.MULTILINE)
_NOT_SIGNALLED = "An error occurred while stopping"


def read_success(read: Callable[[str], Outcome]) -> ReadOutcome:
    """Return a function that explains a failed command, and calls `read` for one that ended with 0."""

    def read_outcome(exit_status: int, text: str) -> Outcome:
        return read_failure(exit_status, text) or read(strip_controls(text))

    return read_outcome


def say(message: str) -> ReadOutcome:
    """Return a function that gives this message for a command that ended with 0."""
    return read_success(lambda _text: Outcome(True, message))


@read_success
def read_creation(text: str) -> Outcome:
    """Name the experiment that `expid` has created."""
    expid = find_created_expid(text)
    if expid is None:
        unsaid = sentences.say("Autosubmit did not say which experiment it created.")
        return Outcome(False, find_critical_message(text) or unsaid)
    return Outcome(True, sentences.say("Experiment {expid} was created.", expid=expid), expid=expid)


def read_run(exit_status: int, text: str) -> Outcome:
    """Return the outcome of a run: one that was stopped is no failure; one with failed jobs gives no reason itself."""
    if is_interrupted(exit_status, text):
        message = sentences.say(
            "Stopped before all jobs were done: submitted jobs may go on; the next start takes them up again."
        )
        return Outcome(True, message, stopped=True)
    if exit_status == 1 and find_reason(text) is None:
        return Outcome(
            False,
            sentences.say(
                "Some jobs failed and have no retrials left. Look at their logs, then restart the experiment."
            ),
        )
    after_kill = sentences.say("Jobs that were submitted may go on; restart the experiment when they have ended.")
    ended = sentences.say("The run ended and no job has failed.")
    return read_failure(exit_status, text, after_kill) or Outcome(True, ended)


@read_success
def read_stop(text: str) -> Outcome:
    """Return whether there was a run to stop: `stop` also ends with 0 when it could not send the signal."""
    if _NOT_SIGNALLED in text:
        reason = text[text.index(_NOT_SIGNALLED) :].partition("\n")[0]
        told = sentences.say("{reason}. Check which account the run belongs to.", reason=shorten(reason))
        return Outcome(False, told)
    if "was not running" in text:
        return Outcome(True, sentences.say("The experiment was not running."))
    return Outcome(True, sentences.say("The run was stopped."))


def count_changes(verdict: str) -> ReadOutcome:
    """Return a function that says in the form `verdict` which `changes` a command has made, also for none."""

    def read(text: str) -> Outcome:
        changes = tuple(find_changed_jobs(text))
        if "NOT saved" in text:
            would = sentences.say("Nothing was saved. It would change: {changes}.", changes=describe_changes(changes))
            none = sentences.say("Nothing was saved. No job would change.")
            return Outcome(True, would if changes else none, changes=changes)
        told = sentences.say(verdict, changes=describe_changes(changes))
        return Outcome(True, told if changes else sentences.say("No job changed."), changes=changes)

    return read_success(read)


def read_live_change(exit_status: int, text: str) -> Outcome:
    """Return the last sentence of our own script `update_list.sh`."""
    text = strip_controls(text)
    said = _SAID.findall(text)
    unsaid = sentences.say("The change could not be given to the run (exit status {number}).", number=exit_status)
    return Outcome(exit_status == 0, said[-1] if said else unsaid, changes=tuple(find_changed_jobs(text)))
