import signal
import subprocess
from pathlib import Path

import pytest

from experiments.autosubmit.output import (
    MAX_MESSAGE,
    find_changed_jobs,
    find_created_expid,
    find_critical_message,
    read_outcome,
    strip_controls,
)
from tests.experiments.autosubmit.conftest import Call
from tests.support.kinds import outcome_of
from tests.support.signals import signalled_again
from tests.support.waiting import PATIENCE

TRACEBACK = """\x1b[1m \x1b[31m[CRITICAL] Traceback (most recent call last):
  File "autosubmit.py", line 103, in main
    return_value = Autosubmit.run_command(args)
autosubmit.log.log.AutosubmitCritical: Error in the supplied input for -fl.
Error code: 7011
\x1b[0m\x1b[39m
"""
CODED = """\x1b[1m \x1b[31m[CRITICAL] Trace: \x20
## Job Validation Message ##
\tSpecified job(s) : [['a000_NOPE']] not found in the experiment a000. \x20
\x1b[0m\x1b[39m
\x1b[1m \x1b[31m[CRITICAL] Error in the supplied input for -fl. [eCode=7011]\x1b[0m\x1b[39m
More info at https://autosubmit.readthedocs.io/en/master/troubleshooting/error-codes.html
"""
INTERRUPTED = """ [CRITICAL] Traceback (most recent call last):
  File "selectors.py", line 415, in select
    fd_event_list = self._selector.poll(timeout)
KeyboardInterrupt

 [CRITICAL] Unexpected error: .
 Please report it to Autosubmit Developers through Git: https://github.com/BSC-ES/autosubmit/issues
More info at https://autosubmit.readthedocs.io/en/master/troubleshooting/error-codes.html
local(log_recovery): Exiting.
"""
# What Autosubmit 4.1.17.1 printed when the signal came while it saved, and while it loaded, its job list.
INTERRUPTED_SAVING = """ [CRITICAL] Traceback (most recent call last):
  File "job_list_persistence.py", line 133, in save
    gc.collect()
KeyboardInterrupt

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "job_list.py", line 2425, in save
    raise AutosubmitError(str(e), 6040, "Failure while saving the job_list")
autosubmit.log.log.AutosubmitError:
Error code: 6040
 [CRITICAL] Trace: Failure while saving the job_list
 [CRITICAL]  [eCode=6040]
"""
INTERRUPTED_LOADING = INTERRUPTED_SAVING.replace(
    " [eCode=6040]", "Corrupted job_list, backup couldn't be restored [eCode=7040]"
)
# A run that went on after that, and ended with an error of its own.
WENT_ON = f"""{INTERRUPTED.replace("[CRITICAL]", "[ERROR]")}
Exception ignored in: <function _collection_gced at 0x7f>
Traceback (most recent call last):
KeyboardInterrupt:
 [CRITICAL] Traceback (most recent call last):
OSError: no space left
 [CRITICAL] no space left [eCode=7014]
"""
UNEXPECTED = """ [CRITICAL] Traceback (most recent call last):
  File "autosubmit.py", line 1, in main
PermissionError: [Errno 13] Permission denied: '/x'

 [CRITICAL] Unexpected error: [Errno 13] Permission denied: '/x'.
 Please report it to Autosubmit Developers through Git: https://github.com/BSC-ES/autosubmit/issues
"""
ARGUMENTS = "error: argument -t: invalid choice: 'FOO'\nusage: autosubmit setstatus [-h]\n"


def test_colours_and_carriage_returns_are_dropped() -> None:
    assert strip_controls("\x1b[1m \x1b[31mred\x1b[0m\x1b[39m\r\n10%\r20%\x1b]0;title\x07") == " red\n10%\n20%"


def test_the_new_expid_is_that_of_the_last_line_that_says_so() -> None:
    assert (
        find_created_expid('"a001" has been registered.\nExperiment zzzz created\nExperiment a001 created\n') == "a001"
    )


def test_a_text_about_an_experiment_names_no_expid() -> None:
    assert find_created_expid("The Experiment a001 created a mess") is None


def test_changed_jobs_are_read_from_setstatus_and_recovery_each_once() -> None:
    text = "CHANGED: job: a_1 status to: READY\nCHANGED: job: a_1 status to: READY\nCHANGED job 'b' status to WAITING"
    assert find_changed_jobs(text) == [("a_1", "READY"), ("b", "WAITING")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            TRACEBACK + CODED,
            "Error in the supplied input for -fl. [eCode=7011]\n"
            "Specified job(s) : [['a000_NOPE']] not found in the experiment a000.",
        ),
        (UNEXPECTED, "[Errno 13] Permission denied: '/x'"),
        (INTERRUPTED, "KeyboardInterrupt"),
        (ARGUMENTS, "Autosubmit refused the command line: argument -t: invalid choice: 'FOO'"),
        ("Traceback (most recent call last):\n  File\nImportError: no psutil\n", "ImportError: no psutil"),
        ("error: pathspec of git\nRun successful\n", None),
        ("[WARNING] Changes NOT saved [eCode=3000]\n", None),
        ("", None),
    ],
)
def test_the_reason_of_a_failure_is_found(text: str, reason: str | None) -> None:
    assert find_critical_message(text) == reason


YAML_ERROR = """
 [CRITICAL] Traceback (most recent call last):
  File "/opt/autosubmit/config/configcommon.py", line 2910, in get_parser
    raise Exception(
Exception: {0}
 [CRITICAL] Unexpected error: {0}.
 Please report it to Autosubmit Developers through Git: https://github.com/BSC-ES/autosubmit/issues
More info at https://autosubmit.readthedocs.io/en/master/troubleshooting/error-codes.html
"""
FLOW = """while parsing a flow sequence
  in "/esarchive/a000/conf/jobs.yml", line 4, column 6
expected ',' or ']', but got ':'
  in "/esarchive/a000/conf/jobs.yml", line 5, column 4
 This file and the correctness of its content are necessary.
"""
TWICE = """while constructing a mapping
  in "/esarchive/a000/conf/jobs.yml", line 1, column 1
found duplicate key "TOKEN" with value "hunter2" (original value: "hun"ter1")
  in "/esarchive/a000/conf/jobs.yml", line 2, column 1

To suppress this check see:
    https://yaml.dev/doc/ruamel.yaml/api/#Duplicate_keys

 This file and the correctness of its content are necessary.
"""
ALIAS = """found undefined alias 'hunter2'
  in "/esarchive/a000/conf/jobs.yml", line 1, column 4
"""
QUERY = """(sqlite3.OperationalError) database is locked
[SQL: INSERT INTO job_data VALUES (?)]
[parameters: ('hunter2',)]
(Background on this error at: https://sqlalche.me/e/20/e3q8)
"""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            FLOW,
            'while parsing a flow sequence in "/esarchive/a000/conf/jobs.yml", line 4, column 6\n'
            "expected ',' or ']', but got ':' in \"/esarchive/a000/conf/jobs.yml\", line 5, column 4",
        ),
        (
            TWICE,
            'while constructing a mapping in "/esarchive/a000/conf/jobs.yml", line 1, column 1\n'
            'found duplicate key "TOKEN" in "/esarchive/a000/conf/jobs.yml", line 2, column 1',
        ),
        (ALIAS, 'found undefined alias in "/esarchive/a000/conf/jobs.yml", line 1, column 4'),
        (QUERY, "(sqlite3.OperationalError) database is locked"),
    ],
)
@pytest.mark.parametrize(
    "text", [YAML_ERROR, YAML_ERROR.partition(" [CRITICAL] Unexpected")[0]], ids=["said", "raised"]
)
def test_an_error_of_several_lines_says_where_and_quotes_no_values(text: str, error: str, reason: str) -> None:
    told = find_critical_message(text.replace("{0}", error.strip()))
    assert told is not None
    assert told.removeprefix("Exception: ") == reason


def test_a_long_reason_is_cut() -> None:
    reason = find_critical_message(f" [CRITICAL] {'x' * 5000} [eCode=7000]")
    assert reason is not None
    assert len(reason) == MAX_MESSAGE


@pytest.mark.parametrize(("exit_status", "succeeded"), [(0, True), (1, False), (-9, False)])
def test_a_command_of_which_nothing_more_is_known_ends_as_its_exit_status_says(
    exit_status: int, succeeded: bool
) -> None:
    assert read_outcome(exit_status, "something was printed").succeeded is succeeded


@pytest.mark.parametrize(
    ("command", "exit_status", "text", "message"),
    [
        ("expid", 0, "Generating folder structure...", "did not say which experiment"),
        ("create", 99, CODED, "eCode=7011"),
        ("run", 1, "Some jobs have failed and reached maximum retrials", "Some jobs failed"),
        ("setstatus", 1, "[WARNING] Another Autosubmit instance using the experiment\n. Stop", "Wait until"),
        ("setstatus", 3, "", "exit status 3 and gave no reason"),
        ("run", -9, "", "killed by SIGKILL"),
        ("create", 143, "", "killed by SIGTERM"),
        ("run", 137, " [CRITICAL] x [eCode=7049]", "x [eCode=7049]"),
        ("stop", 0, "[WARNING] An error occurred while stopping the autosubmit process: denied", "denied"),
        ("create", 88, INTERRUPTED, "KeyboardInterrupt"),
        ("recovery", 141, " [CRITICAL] being 1 active jobs in your experiment [eCode=7053]", "Use force"),
    ],
)
def test_a_failure_says_why(command: str, exit_status: int, text: str, message: str) -> None:
    outcome = outcome_of(command, exit_status, text)
    assert not outcome.succeeded
    assert message in outcome.message


@pytest.mark.parametrize(
    ("exit_status", "text"),
    [
        (88, INTERRUPTED),
        (152, INTERRUPTED_SAVING),
        (128, INTERRUPTED_LOADING),
        (-signal.SIGINT, ""),
        (130, ""),
        (0, "Interrupt signal received. Breaking main loop to perform cleanup.\nRun successful"),
    ],
)
def test_a_run_that_was_stopped_is_no_failure(exit_status: int, text: str) -> None:
    outcome = outcome_of("run", exit_status, text)
    assert (outcome.succeeded, outcome.stopped) == (True, True)


def test_a_run_that_went_on_after_a_signal_and_failed_was_not_stopped() -> None:
    outcome = outcome_of("run", 102, WENT_ON)
    assert (outcome.succeeded, outcome.stopped) == (False, False)


@pytest.mark.parametrize(
    ("command", "text", "message"),
    [
        ("setstatus", "[WARNING] No changes were performed.", "No job changed."),
        ("setstatus", "CHANGED: job: a status to: READY\nChanges NOT saved", "Nothing was saved. It would"),
        ("recovery", "CHANGED job 'a' status to WAITING", "The job list was recovered: 1 job to WAITING."),
        ("stop", "Expid a000 was not running", "The experiment was not running."),
        ("stop", "Expid a000 is stopped", "The run was stopped."),
        ("inspect", "", "Done."),
    ],
)
def test_a_success_says_what_happened(command: str, text: str, message: str) -> None:
    outcome = outcome_of(command, 0, text)
    assert outcome.succeeded
    assert outcome.message.startswith(message)


READ = "CHANGED: job: a_1 status to: READY\nupdate_list: The run has read the change after 2 s.\n"


def test_a_change_by_the_run_says_when_it_was_read_and_of_which_jobs() -> None:
    outcome = outcome_of("update_list", 0, READ)
    assert (outcome.succeeded, outcome.changes) == (True, (("a_1", "READY"),))
    assert outcome.message == "The run has read the change after 2 s."


@pytest.mark.parametrize(
    ("exit_status", "text", "message"),
    [
        (5, "ln: File exists\nupdate_list: A change is waiting.\n", "A change is waiting."),
        (6, "update_list: No run has read it.\n", "No run has read it."),
        (127, "sh: awk: not found\n", "The change could not be given to the run (exit status 127)."),
    ],
)
def test_a_change_that_no_run_made_says_why(exit_status: int, text: str, message: str) -> None:
    outcome = outcome_of("update_list", exit_status, text)
    assert (outcome.succeeded, outcome.message) == (False, message)


def test_a_dry_run_without_any_change_says_so() -> None:
    outcome = outcome_of("setstatus", 0, "[WARNING] Changes NOT saved to the JobList!!!!")
    assert outcome.message == "Nothing was saved. No job would change."


# --- The real commands


def test_a_real_creation_names_its_experiment(call: Call) -> None:
    outcome = call("expid", "--dummy", "--HPC=local", "--description=Experiment zzzz created\nit's $(x)")
    assert outcome.succeeded
    assert outcome.expid not in (None, "zzzz")


def test_real_changes_of_jobs_are_read(call: Call, small: str) -> None:
    arguments = ("setstatus", "-s", "-np", "-t", "SUSPENDED", f"--list={small}_SETUP", small)
    assert call(*arguments).changes == ((f"{small}_SETUP", "SUSPENDED"),)
    assert call(*arguments).message == "No job changed."


def test_a_real_unknown_job_is_named(call: Call, small: str) -> None:
    outcome = call("setstatus", "-s", "-np", "-t", "READY", f"--list={small}_NOPE", small)
    assert not outcome.succeeded
    assert f"{small}_NOPE" in outcome.message


def test_a_real_refusal_of_arguments_is_read(call: Call, small: str) -> None:
    outcome = call("setstatus", "-s", "-np", "-t", "FAILED", f"--list={small}_SETUP", small)
    assert outcome.message.startswith("Autosubmit refused the command line: argument -t/--status_final: invalid")


def test_a_real_run_of_failing_jobs_and_its_recovery(call: Call, failing: str) -> None:
    assert "Some jobs failed" in call("run", failing).message
    outcome = call("recovery", "--all", "-s", failing)
    assert (f"{failing}_BAD", "WAITING") in outcome.changes
    assert (f"{failing}_SETUP", "COMPLETED") in outcome.changes


def test_a_real_run_without_job_list_says_to_generate_it(call: Call, waiting: str) -> None:
    assert "Generate it first" in call("run", waiting).message


def test_a_real_description_and_an_unknown_experiment(call: Call, waiting: str) -> None:
    assert call("updatedescrip", waiting, "another").message == "The description was changed."
    assert "Experiment does not exist" in call("updatedescrip", "zzzz", "another").message


def test_a_real_run_refuses_others_and_is_stopped(
    call: Call, long_experiment: str, long_run: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    assert "Another Autosubmit instance" in call("create", "-np", long_experiment).message
    with signalled_again(long_run):
        assert call("stop", "-y", long_experiment).message.startswith("The run was stopped.")
    run = outcome_of("run", long_run.wait(PATIENCE), (tmp_path / "run.log").read_text())
    assert run.stopped
    assert call("stop", "-y", long_experiment).message == "The experiment was not running."
    assert "Use force" in call("recovery", "--all", "-s", long_experiment).message
