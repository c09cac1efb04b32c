"""The exit code of a job, told from its log."""

import pytest

from experiments.exit_codes import find_exit_code, name_signal

# The end of a log of errors, as the header of Autosubmit 4.1.17.1 makes bash write it.
HANDLED = """\
+ echo 'out of memory'
out of memory
+ exit {code}
as_exit_handler
+ as_exit_handler
+ local last_cmd_code={code}
+ '[' 0 -eq 0 ']'
+ AS_EXIT_CODE={code}
++ date +%s
+ echo 1796095438
+ '[' {code} -eq 0 ']'
+ echo FAILED
+ sync
+ trap - EXIT
+ exit {code}
"""


@pytest.mark.parametrize(
    ("log", "code"),
    [
        (HANDLED.format(code=1), 1),
        (HANDLED.format(code=0), 0),
        ("+ exit 3\nsrun: error: n1: task 0: Exited with exit code 3\n", 3),
        ("exit 2\n+ exit 2", 2),
    ],
)
def test_the_end_of_a_log_tells_the_exit_code(log: str, code: int) -> None:
    assert find_exit_code(log) == code


@pytest.mark.parametrize(
    "log", ["", "exit 1\n", "+ exit\n", "+ exit 1\n+ true\n", "+ x=1\n++ exit 1\n", "+ exit 1000\n", "+ exit 1 2\n"]
)
def test_what_does_not_end_with_an_exit_tells_no_code(log: str) -> None:
    assert find_exit_code(log) is None


def test_a_code_above_128_is_a_signal() -> None:
    assert [name_signal(code) for code in (1, 128, 137, 143, 255)] == ["", "", "SIGKILL", "SIGTERM", ""]
