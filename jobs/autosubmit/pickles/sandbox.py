"""The decoder: a process of its own, with limits, that turns pickled job lists into plain rows.

A pickle of a few bytes can ask for more memory than there is, for minutes of computing, or for a value nested so
deeply that the interpreter dies of it. Here that costs a process which is started again, and never the one that asked.
`jobs.autosubmit.pickles.client` starts it as `python -m jobs.autosubmit.pickles.sandbox`. It reads the length of a
pickle (8 bytes) and the pickle, and writes lines of JSON: one list for each job, `{"edges": […]}` for some edges at
a time, and in the end `{"is_whole": true}` or `{"refused": why}`. Nothing is gathered for the answer: a long list
leaves line by line. It knows nothing that is worth stealing: no environment, no file but its pipes.
"""

import gc
import json
import resource
import sys
from collections.abc import Iterator
from itertools import islice

from jobs.autosubmit.pickles import unpickler
from jobs.autosubmit.pickles.costs import compute_memory, compute_seconds
from jobs.autosubmit.pickles.formats import extract_rows
from jobs.autosubmit.refusal import Refused

LENGTH = 8
_EDGES_A_LINE = 1000


def main() -> None:
    """Answer until the pipe is closed."""
    gc.disable()  # it would look again and again for what can go, while a list is made of which all stays
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    while head := sys.stdin.buffer.read(LENGTH):
        length = int.from_bytes(head, "big")
        _limit(resource.RLIMIT_AS, compute_memory(length))
        _limit_computing(length)
        for line in _answer(sys.stdin.buffer.read(length)):
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
        gc.collect()


def _limit_computing(length: int) -> None:
    """Let the kernel end the process when it computes for too long."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime) + 1 + compute_seconds(length)
    _limit(resource.RLIMIT_CPU, allowed)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _answer(data: bytes) -> Iterator[bytes]:
    try:
        yield from make_lines(data)
        yield _make_line({"is_whole": True})
    except Refused as refusal:
        yield _make_line({"refused": str(refusal)})
    except MemoryError:
        yield _make_line({"refused": "refused: it needs more memory than it may have"})


def make_lines(data: bytes) -> Iterator[bytes]:
    """Yield the lines of the answer but for a refusal. Raises Refused; only for a process with limits."""
    jobs, edges = extract_rows(unpickler.load(data))
    for row in jobs:
        yield _make_line(row)
    while some := list(islice(edges, _EDGES_A_LINE)):
        yield _make_line({"edges": some})


def _make_line(value: object) -> bytes:
    return json.dumps(value).encode()


if __name__ == "__main__":
    main()
