"""What it may cost to decode a pickled job list: those who only reckon need not load what decodes."""

LEAST_MEMORY = 1024 * 1024 * 1024
MEMORY_OF_A_BYTE = 8
"""Bytes of memory that a byte of a pickle may take: what Autosubmit writes takes about five."""


def compute_memory(length: int) -> int:
    """Return how many bytes of address space whoever decodes a pickle may have of `length` bytes."""
    return LEAST_MEMORY + MEMORY_OF_A_BYTE * length
