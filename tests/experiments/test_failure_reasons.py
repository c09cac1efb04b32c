"""Why a job failed, told from its logs."""

from pathlib import Path

import pytest

from experiments.failure_reasons import LONGEST_LINE, MOST_SHOWN, BadCatalogue, find, load, parse
from tests.experiments.test_shell_echo import LIMIT, MISSING, OOM, SCRIPT, TRACEBACK, write_log

ENTRY = "odd: {title: Odd, texts: [Odd thing], meaning: It is odd., advice: Look at it.}\n"


def told(log: str, site: str = "") -> list[tuple[str, str]]:
    return [(finding.reason.name, finding.line) for finding in find(log, load(), site)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch. Some of the step tasks have been OOM Killed.",
         "out-of-memory"),
        ("slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***", "time-limit"),
        ("slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO NODE FAILURE, SEE SLURMCTLD LOG",
         "node-failure"),
        ("slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 ***", "cancelled"),
        ("cp: error writing 'x.nc': No space left on device", "disk-full"),
        ("cp: cannot stat 'restart.nc': No such file or directory", "missing-input"),
        ("mkdir: cannot create directory '/esarchive/x': Permission denied", "permission"),
        ("/var/spool/slurmd/job7/slurm_script: line 12: cdo: command not found", "missing-program"),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
         "account"),
        ("srun: error: n1: task 3: Exited with exit code 2", "program-error"),
        ("forrtl: severe (174): SIGSEGV, segmentation fault occurred", "crash"),
    ],
)  # fmt: skip
def test_what_machines_say_is_understood(line: str, reason: str) -> None:
    assert told(f"begun\n  {line}  \nend\n")[0] == (reason, line)


def test_a_python_error_is_shown_by_the_line_that_names_it() -> None:
    log = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n    f()\nValueError: no chunk 7\n'
    assert told(log) == [("python-error", "ValueError: no chunk 7")]


def test_an_error_that_was_cut_off_is_shown_by_its_first_line() -> None:
    assert told('Traceback (most recent call last):\n  File "x.py"\n')[0][1] == "Traceback (most recent call last):"


def test_of_a_reason_its_last_line_is_shown() -> None:
    assert told("a: Permission denied\nb: PERMISSION DENIED\nend")[0][1] == "b: PERMISSION DENIED"


def test_few_reasons_are_shown_the_nearest_to_the_end_first() -> None:
    log = "Out of memory\ncommand not found\nNo such file or directory\nPermission denied\n"
    assert [name for name, _ in told(log)] == ["permission", "missing-input", "missing-program"]
    assert len(told(log)) == MOST_SHOWN


def test_what_a_failure_brings_about_is_shown_last() -> None:
    log = "MemoryError\nsrun: error: n1: task 3: Exited with exit code 1\nslurmstepd: *** STEP 1.0 CANCELLED AT 12:00\n"
    assert [name for name, _ in told(log)] == ["out-of-memory", "cancelled", "program-error"]


def test_a_cause_and_what_it_brings_about_in_one_line_are_one_reason() -> None:
    log = "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***"
    assert [name for name, _ in told(log)] == ["time-limit"]


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("fc1", ("out-of-memory", OOM)),
        ("fc2", ("python-error", TRACEBACK.splitlines()[-1])),
        ("fc3", ("time-limit", LIMIT)),
        ("fc4", ("missing-input", MISSING)),
    ],
)
def test_what_the_shell_echoes_of_the_script_is_no_reason(member: str, reason: tuple[str, str]) -> None:
    found = find(write_log(member), load(), script=SCRIPT.format(member=member))
    assert [(finding.reason.name, finding.line) for finding in found] == [reason]


def test_a_reason_of_an_institution_is_shown_before_those_nearer_the_end(tmp_path: Path) -> None:
    more = tmp_path / "reasons.yml"
    more.write_text(ENTRY)
    found = find("odd thing\nPermission denied\n", load(more))
    assert [finding.reason.name for finding in found] == ["odd", "permission"]


def test_a_long_line_is_cut() -> None:
    assert len(told("Permission denied" * 100)[0][1]) == LONGEST_LINE


@pytest.mark.parametrize("log", ["", "\n\n", "all is well"])
def test_a_log_that_tells_nothing_has_no_reason(log: str) -> None:
    assert told(log) == []


def test_an_institution_adds_reasons_and_replaces_those_of_the_portal(tmp_path: Path) -> None:
    more = tmp_path / "reasons.yml"
    more.write_text(ENTRY + ENTRY.replace("odd:", "crash:").replace("[Odd thing]", "[Blown up]"))
    reasons = load(more)
    assert [finding.reason.name for finding in find("odd THING, blown up, Segmentation fault", reasons)] == [
        "odd",
        "crash",
    ]
    assert [finding.reason.name for finding in find("Segmentation fault", reasons)] == []


def test_a_reason_of_a_site_is_for_that_site_only() -> None:
    reasons = parse(ENTRY.replace("title:", "sites: [mn5], title:"))
    assert find("Odd thing", reasons, "mn5")
    assert not find("Odd thing", reasons, "lumi")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "mapping"),
        ("odd: a text", "“odd” must be a mapping"),
        (ENTRY.replace("title: Odd", "titel: Odd"), "odd: “titel” is no field. There are advice, aftermath, meaning, "),
        (ENTRY.replace("title: Odd", "title: ' '"), "odd: “title” must be a text that is not blank"),
        (ENTRY.replace("[Odd thing]", "[]"), "odd: “texts” must be a list of texts, with at least one"),
        (ENTRY.replace("[Odd thing]", "[7]"), "odd: “texts” must be a text that is not blank"),
        (ENTRY.replace("title:", "shows: all, title:"), "odd: “shows” must be “line” or “end of block”"),
        (ENTRY.replace("title:", "aftermath: 1, title:"), "odd: “aftermath” must be true or false"),
        (ENTRY + ENTRY, "line 2"),
        ("odd: {", "line 2"),
    ],
)
def test_a_catalogue_that_is_wrong_names_entry_and_field(text: str, said: str) -> None:
    with pytest.raises(BadCatalogue, match=said):
        parse(text)


def test_a_catalogue_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadCatalogue, match="cannot be read"):
        load(tmp_path / "none.yml")
