"""A watcher's process. It has limits, and whatever the store makes of it ends with it."""

import mmap
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autosubmit_portal.agent.protocol import strict_json
from autosubmit_portal.agent.protocol.connection import make_reason
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers import limits
from autosubmit_portal.agent.readers.access import copy_named_database, open_named_database
from autosubmit_portal.agent.readers.messages import HEAD, pack
from autosubmit_portal.agent.watch.request import MARK_BYTES, understand, understand_place
from autosubmit_portal.agent.watch.watcher import Watcher
from experiments.autosubmit.store import BrokenStore
from jobs.autosubmit import postgres
from jobs.autosubmit.database import Access, change_access
from jobs.autosubmit.private_copy import NotCopied
from jobs.autosubmit.secrets import mask_text

# As long as Autosubmit itself may hold the database of all experiments.
LOCK_SECONDS = 2.0


def main(folder: str, mark: str) -> None:
    """Answer until the pipe is closed.

    Copies are made in `folder`. The descriptor `mark` is of memory where the experiment stands that is looked at.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limits.allow_memory(limits.USUAL_MEMORY)
    postgres.keep_connections()
    change_access(Access(open_named_database, lambda path: _lend(path, Path(folder))))
    _say(pack({"ready": True}))
    shared = mmap.mmap(int(mark), MARK_BYTES)
    place: Message = {}
    watcher: Watcher | None = None
    while head := sys.stdin.buffer.read(HEAD.size):
        length, _ = HEAD.unpack(head)
        request = strict_json.decode(sys.stdin.buffer.read(length))
        if watcher is None or request["place"] != place:
            watcher, place = _begin_anew(watcher, request["place"], shared), request["place"]
        _say(pack(*_answer(watcher, request)))


def _begin_anew(before: Watcher | None, place: Message, shared: mmap.mmap) -> Watcher:
    """Leave what was known of another store."""
    if before:
        before.close()

    def mark(expid: str) -> None:
        shared[:] = expid.encode().ljust(MARK_BYTES)

    return Watcher(understand_place(place), mark)


def _answer(watcher: Watcher, request: Message) -> tuple[Message, bytes]:
    try:
        value, data = watcher.answer(understand(request["asked"]), frozenset(request["left_out"]))
        return {"value": value}, data
    except BrokenStore as error:
        return {"failure": {"code": "broken", "reason": make_reason(mask_text(str(error)))}}, b""


def _say(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@contextmanager
def _lend(path: Path, folder: Path) -> Iterator[Path]:
    """Lend a copy of a database, which nobody else can touch."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"{os.getpid()}-") as made:
        copy, deadline = Path(made) / "copy.db", time.monotonic() + LOCK_SECONDS
        while True:
            try:
                copy_named_database(path, copy)
                break
            except NotCopied:
                if time.monotonic() > deadline:
                    raise
        yield copy
