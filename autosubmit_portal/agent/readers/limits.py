"""What a reader may use. The kernel ends a reader, or refuses it, that wants more."""

import resource

from jobs.autosubmit.pickles.costs import MEMORY_OF_A_BYTE
from jobs.autosubmit.private_copy import MOST_BYTES

READING_SECONDS = 20
"""For what is not long. Beyond that the agent ends the reader; the kernel counts processor time only."""

LONGEST_READING_SECONDS = 200
USUAL_MEMORY = 1024 * 1024 * 1024
MOST_MEMORY = 6 * USUAL_MEMORY
FAST_BYTES = 4 * 1024 * 1024
"""Of job lists and databases: about 5,000 jobs. To read more is slow."""

_BYTES_PER_SECOND = 2_000_000
_MOST_OPEN_FILES = 128


def limit_for_good() -> None:
    """Limit what no reading needs more of."""
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, MOST_BYTES),
        (resource.RLIMIT_NOFILE, _MOST_OPEN_FILES),
    ):
        resource.setrlimit(kind, (most, most))


def allow_one_reading() -> None:
    """Allow the processor time and the memory of one more reading."""
    _allow_seconds(READING_SECONDS)
    allow_memory(USUAL_MEMORY)


def allow_reading_of(count: int) -> None:
    """Allow what it takes to read so many bytes of job lists and databases."""
    _allow_seconds(compute_seconds(count))
    allow_at_least(min(USUAL_MEMORY + MEMORY_OF_A_BYTE * count, MOST_MEMORY))


def allow_memory(most: int) -> None:
    """Allow so many bytes of address space."""
    _set_soft_limit(resource.RLIMIT_AS, most)


def allow_at_least(most: int) -> None:
    """Allow so many bytes, unless more are allowed."""
    allow_memory(max(most, resource.getrlimit(resource.RLIMIT_AS)[0]))


def compute_seconds(count: int) -> int:
    """Return how long it may take to read so many bytes: many times what is usual."""
    return min(max(READING_SECONDS, count // _BYTES_PER_SECOND), LONGEST_READING_SECONDS)


def _allow_seconds(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _set_soft_limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + seconds)


def _set_soft_limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
