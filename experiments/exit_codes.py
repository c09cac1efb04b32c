"""The exit code of a job's script, told from its log: Autosubmit keeps none, only whether it was 0.

Autosubmit lets bash write what it does into the log of errors (`set -x`). There the last thing that a script did is
`+ exit 1`: it said so itself, or the handler did that newer versions of Autosubmit (4.1.17) put in front of it.
"""

import re
from signal import Signals

_EXIT = re.compile(r"\+ exit (\d{1,3})")
_SIGNALS_FROM = 128


def find_exit_code(log: str) -> int | None:
    """Return the exit code that the end of a log tells; None where the last step of bash in it is another."""
    last = next((line for line in reversed(log.splitlines()) if line.startswith("+")), "")
    told = _EXIT.fullmatch(last.rstrip())
    return int(told[1]) if told else None


def name_signal(exit_code: int) -> str:
    """Return the signal that an exit code stands for, as bash counts: SIGTERM for 143; blank for none."""
    number = exit_code - _SIGNALS_FROM
    return Signals(number).name if number in {*Signals} else ""
