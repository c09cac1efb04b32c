"""Which lines of a log its program wrote. The logs are those of Autosubmit 4.1.17.1, without its own lines."""

import pytest

from experiments.shell_echo import list_own_lines

SCRIPT = """\
set -xuve -o pipefail
echo step 1 of 3
case {member} in
fc1) echo "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=1.0" >&2; exit 137;;
fc2) python3 -c "import json; json.loads(chr(123))";;
fc3) echo "CANCELLED AT 2026 DUE TO TIME LIMIT ***" >&2; exit 1;;
fc4) cat /no/such/input.nc;;
esac
"""
LOG = """\
[INFO] JOBID=9160
echo step 1 of 3
+ echo step 1 of 3
case {member} in
fc1) echo "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=1.0" >&2; exit 137;;
fc2) python3 -c "import json; json.loads(chr(123))";;
fc3) echo "CANCELLED AT 2026 DUE TO TIME LIMIT ***" >&2; exit 1;;
fc4) cat /no/such/input.nc;;
esac
+ case {member} in
{ran}
as_exit_handler
+ as_exit_handler
++ date +%s
+ exit 1
"""
OOM = "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=1.0"
LIMIT = "CANCELLED AT 2026 DUE TO TIME LIMIT ***"
TRACEBACK = """\
+ python3 -c 'import json; json.loads(chr(123))'
Traceback (most recent call last):
  File "<string>", line 1, in <module>
json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"""
MISSING = "cat: /no/such/input.nc: No such file or directory"
RAN = {
    "fc1": f"+ echo '{OOM}'\n{OOM}\n+ exit 137",
    "fc2": TRACEBACK,
    "fc3": f"+ echo '{LIMIT}'\n{LIMIT}\n+ exit 1",
    "fc4": f"+ cat /no/such/input.nc\n{MISSING}",
}
FRAME = ("[INFO] JOBID=9160", "as_exit_handler")


def write_log(member: str) -> str:
    return LOG.format(member=member, ran=RAN[member])


@pytest.mark.parametrize(
    ("member", "own"), [("fc1", [OOM]), ("fc2", TRACEBACK.splitlines()[1:]), ("fc3", [LIMIT]), ("fc4", [MISSING])]
)
def test_what_programs_wrote_stays_and_what_the_shell_echoed_goes(member: str, own: list[str]) -> None:
    found = list_own_lines(write_log(member), SCRIPT.format(member=member))
    assert [line for line in found if line not in FRAME] == own


@pytest.mark.parametrize(
    "echoed",
    [
        '++ echo "No space left on device"',
        "+++ die 'Permission denied'",
        "+ python3 -c '\nimport sys\nsys.exit('\\''Out of memory'\\'')\n'",
        "+ msg='disk full\nit'\\''s a MemoryError\nend'",
        '    echo "Out of memory" ',
        "fail() { cat x >&2 || return; }",
        'x) fail "Permission denied" ;;',
    ],
)
def test_traces_and_lines_of_shell_go_without_the_script_too(echoed: str) -> None:
    assert list_own_lines(f"+ begin\n{echoed}\nown\n+ end\n") == ["own"]


@pytest.mark.parametrize(
    ("trace", "written"),
    [
        ("+ case it's in", "ls: can't open x: Permission denied"),
        ("+ for word in it's", "ls: can't open x: Permission denied"),
        ("+ [[ it's == x ]]", "ls: can't open x: Permission denied"),
        ("+ echo it\\'s", "ls: can't open x: Permission denied"),
        ("+ echo 'never closed", "Permission denied"),
    ],
)
def test_a_quote_in_a_trace_takes_no_line_of_a_program_away(trace: str, written: str) -> None:
    assert list_own_lines(f"{trace}\n{written}\n+ exit 1\n") == [written]


def test_what_the_script_has_a_program_print_stays() -> None:
    script = "cat >&2 <<EOF\nNo space left on device\nEOF\n"
    assert list_own_lines(f"{script}+ cat\nNo space left on device\n+ exit 1\n", script) == ["No space left on device"]


def test_a_log_without_a_trace_is_kept_whole() -> None:
    assert list_own_lines("a\necho b\n", "a\n") == ["a", "echo b"]
