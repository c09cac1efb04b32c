"""Reading a compressed file by pieces, as if it were not compressed, in little memory whatever it holds."""

import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MAX_BYTES = 1024 * 1024 * 1024
"""So much is unpacked of one file: some seconds of computing. A few kilobytes can hold far more."""

_XZ_MEMORY = 128 * 1024 * 1024  # the strongest setting of xz needs 65 MB
_PIECE = 256 * 1024
SUFFIXES = (".gz", ".xz")


def is_compressed(path: Path) -> bool:
    """Say whether a file has one of the names that Autosubmit gives to compressed logs."""
    return path.suffix in SUFFIXES


def read_part(file: IO[bytes], suffix: str, offset: int, limit: int) -> tuple[bytes, int]:
    """Return at most `limit` bytes from `offset` of the unpacked content, and the size of the whole content.

    A negative offset counts from the end. What was written before a file was cut short is read. Raises OSError when it
    is broken, or larger than MAX_BYTES when unpacked.
    """
    wanted, position, longest = bytearray(), 0, max(0, limit)
    for piece in _pieces(file, suffix):
        if offset < 0:
            wanted = (wanted + piece)[offset:]
        elif position + len(piece) > offset and len(wanted) < longest:
            wanted += piece[max(0, offset - position) :][: longest - len(wanted)]
        position += len(piece)
        if position > MAX_BYTES:
            raise OSError(f"it holds more than {MAX_BYTES} bytes when unpacked: unpack it by hand")
    return bytes(wanted[:longest]), position


def _pieces(file: IO[bytes], suffix: str) -> Iterator[bytes]:
    """Yield the content in pieces of bounded size; a file may hold several streams one after the other."""
    data = file.read(_PIECE)
    while data:
        stream = _Gzip() if suffix == ".gz" else _Xz()
        while not stream.is_over and (data or stream.has_more):
            try:
                yield stream.unpack(data)
            except (zlib.error, lzma.LZMAError, EOFError) as error:
                raise OSError(f"it is broken: {error}") from error
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
