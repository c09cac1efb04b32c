"""Which lines of a log its program wrote: those that the shell echoed are left out.

Autosubmit's scripts run under `set -xv` of bash, which writes each line of the script before it is run (`-v`), and each
command as it is run (`-x`: `+ cat x`, inside of others `++ date`), into the log of errors, between what programs write.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

_TRACE = re.compile(r"\++ ")
# Bash quotes what it traces, but not the words of these.
_UNQUOTED = re.compile(r"\++ (?:case|for|select|\[\[|\(\() ?")
_QUOTED = re.compile(r"\\.|\$'(?:\\.|[^'\\])*'|'[^']*'")


def list_own_lines(log: str, script: str = "") -> list[str]:
    """Return the lines of a log without those that the shell echoed of `script`; all of a log without a trace.

    The echo of a line comes before what it writes, so as many as the script has are left out, the first ones.
    """
    lines = log.splitlines()
    if not any(map(_TRACE.match, lines)):
        return lines
    echoed = Counter(line.rstrip() for line in script.splitlines())
    return [line for line in _leave_out_traces(lines) if not _is_echo(line, echoed)]


def _is_echo(line: str, echoed: Counter[str]) -> bool:
    written = line.rstrip()
    if echoed[written] > 0:
        echoed[written] -= 1
        return True
    return _is_shell(written)


def is_echo_like(line: str) -> bool:
    """Answer whether a line looks like what the shell echoes, whatever the script is."""
    return _TRACE.match(line) is not None or _is_shell(line.rstrip())


def _is_shell(line: str) -> bool:
    """Answer whether no program writes such a line: files that a script sources are echoed too, and it may be gone."""
    return line.endswith(";;") or ">&2" in line or line.lstrip().startswith(("echo ", "printf "))


def _leave_out_traces(lines: Sequence[str]) -> Iterator[str]:
    number = 0
    while number < len(lines):
        if _TRACE.match(lines[number]):
            number = _find_end_of_trace(lines, number)
        else:
            yield lines[number]
            number += 1


def _find_end_of_trace(lines: Sequence[str], begin: int) -> int:
    """Return the number of the line after a trace: it has several where it quotes a text of several.

    A quote that is not closed before the next trace is none.
    """
    is_open = not _UNQUOTED.match(lines[begin]) and _leaves_open(lines[begin])
    number = begin + 1
    while is_open:
        if number == len(lines) or _TRACE.match(lines[number]):
            return begin + 1
        _, _, after = lines[number].partition("'")
        is_open = "'" not in lines[number] or _leaves_open(after)
        number += 1
    return number


def _leaves_open(text: str) -> bool:
    return "'" in _QUOTED.sub("", text)
