"""What it may cost to decode a pickled job list: those who only reckon need not load what decodes."""

LEAST_MEMORY = 1024 * 1024 * 1024
MEMORY_OF_A_BYTE = 8
"""Bytes of memory that a byte of a pickle may take: what Autosubmit writes takes about five."""


def compute_seconds(length: int) -> int:
    """Return how many seconds of computing a pickle of `length` bytes may take: a hundred times what is usual."""
    return 2 + length // 2_000_000


def compute_memory(length: int) -> int:
    """Return how many bytes of address space the decoder may have for a pickle of `length` bytes."""
    return LEAST_MEMORY + MEMORY_OF_A_BYTE * length
