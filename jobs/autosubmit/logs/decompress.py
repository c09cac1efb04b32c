"""Read a compressed file as if it were not compressed, in little memory.

To read a part, everything before it must be unpacked: a part near the end costs as much as the whole file, about 3 s
for MAX_BYTES. The unpacked size is measured once and remembered.
"""

import lzma
import os
import zlib
from collections.abc import Iterator
from typing import IO

from autosubmit_portal.sentences import say

MAX_BYTES = 1024 * 1024 * 1024
"""So much is unpacked of one file: some seconds of computing. A few kilobytes can hold far more."""

_XZ_MEMORY = 128 * 1024 * 1024  # the strongest setting of xz needs 65 MB
_PIECE = 256 * 1024
_MOST_SIZES = 1024
_sizes: dict[tuple[int, int, int, int], int] = {}
SUFFIXES = (".gz", ".xz")


def measure_unpacked(file: IO[bytes], suffix: str) -> int:
    """Return how many bytes an open file holds when it is unpacked; OSError as `unpacked` raises."""
    status = os.fstat(file.fileno())
    version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    size = _sizes.get(version)
    if size is None:
        size = sum(map(len, unpack(file, suffix)))
        if len(_sizes) >= _MOST_SIZES:
            _sizes.clear()
        _sizes[version] = size
    return size


def unpack(file: IO[bytes], suffix: str) -> Iterator[bytes]:
    """Yield the whole content of an open file in pieces of bounded size.

    What was written before a file was cut short is read. Raises OSError when it is broken, or larger than MAX_BYTES.
    """
    file.seek(0)
    position = 0
    for piece in _unpack_pieces(file, suffix):
        position += len(piece)
        if position > MAX_BYTES:
            raise OSError(
                say("it holds more than {most} bytes when unpacked: unpack it by hand", most=f"{MAX_BYTES:,}")
            )
        yield piece


def _unpack_pieces(file: IO[bytes], suffix: str) -> Iterator[bytes]:
    """Yield the content in pieces of bounded size; a file may hold several streams one after the other."""
    data = file.read(_PIECE)
    while data:
        stream = _Gzip() if suffix == ".gz" else _Xz()
        while not stream.is_over and (data or stream.has_more):
            try:
                yield stream.unpack(data)
            except (zlib.error, lzma.LZMAError, EOFError) as error:
                raise OSError(say("it is broken: {error}", error=error)) from error
            data = b"" if stream.has_more or stream.is_over else file.read(_PIECE)
        data = stream.rest.lstrip(b"\0") or file.read(_PIECE)


class _Gzip:
    """One stream of gzip."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    def unpack(self, data: bytes) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, _PIECE)

    @property
    def has_more(self) -> bool:
        return bool(self._stream.unconsumed_tail)

    @property
    def is_over(self) -> bool:
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data


class _Xz:
    """One stream of xz."""

    def __init__(self) -> None:
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def unpack(self, data: bytes) -> bytes:
        return self._stream.decompress(data, _PIECE)

    @property
    def has_more(self) -> bool:
        return not self._stream.needs_input

    @property
    def is_over(self) -> bool:
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data if self._stream.eof else b""
