"""The decoder: a process of its own, with limits, that turns pickled job lists into plain rows.

A pickle of a few bytes can ask for more memory than there is, for minutes of computing, or for a value nested so
deeply that the interpreter dies of it. Here that costs a process which is started again, and never the one that asked.
`jobs.autosubmit.decoding` starts it as `python -m jobs.autosubmit.decoder`. It reads the length of a pickle (8 bytes)
and the pickle, and writes the length of a JSON text and the text: `{"jobs": […], "edges": […]}`, or `{"refused": why}`.
It knows nothing that is worth stealing: no environment, no file but its pipes.
"""

import json
import resource
import sys
from typing import IO

from jobs.autosubmit import pickled
from jobs.autosubmit.forms import rows_of

LENGTH = 8
MAX_MEMORY = 1024 * 1024 * 1024
"""Address space in bytes; 10,000 jobs take about 90 MB."""

MAX_ANSWER = 128 * 1024 * 1024
"""10,000 jobs take about 3 MB."""


def main() -> None:
    """Answer until the pipe is closed."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, MAX_MEMORY)
    while head := sys.stdin.buffer.read(LENGTH):
        length = int.from_bytes(head)
        _limit_computing(length)
        _send(sys.stdout.buffer, _answer(sys.stdin.buffer.read(length)))


def seconds_for(length: int) -> int:
    """Return how many seconds of computing a pickle of `length` bytes may take: a hundred times what is usual."""
    return 2 + length // 2_000_000


def _limit_computing(length: int) -> None:
    """Let the kernel end the process when it computes for too long."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(used.ru_utime + used.ru_stime) + 1 + seconds_for(length)
    _limit(resource.RLIMIT_CPU, allowed)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _answer(data: bytes) -> bytes:
    try:
        jobs, edges = rows_of(pickled.load(data))
        answer = json.dumps({"jobs": jobs, "edges": edges}).encode()
        if len(answer) > MAX_ANSWER:
            raise pickled.Refused(f"refused: its jobs take more than {MAX_ANSWER} bytes")
    except pickled.Refused as refusal:
        return json.dumps({"refused": str(refusal)}).encode()
    except MemoryError:
        return json.dumps({"refused": "refused: it needs more memory than it may have"}).encode()
    return answer


def _send(pipe: IO[bytes], answer: bytes) -> None:
    pipe.write(len(answer).to_bytes(LENGTH) + answer)
    pipe.flush()


if __name__ == "__main__":
    main()
