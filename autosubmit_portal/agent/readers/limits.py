"""What a reader may use. The kernel ends a reader, or refuses it, that wants more."""

import resource

from jobs.autosubmit.private_copy import MOST_BYTES

READING_SECONDS = 20
"""For one reading. Beyond that the agent ends the reader; the kernel counts processor time only."""

USUAL_MEMORY = 1024 * 1024 * 1024
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
    used = resource.getrusage(resource.RUSAGE_SELF)
    _set_soft_limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + READING_SECONDS)
    allow_memory(USUAL_MEMORY)


def allow_memory(most: int) -> None:
    """Allow so many bytes of address space."""
    _set_soft_limit(resource.RLIMIT_AS, most)


def _set_soft_limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
