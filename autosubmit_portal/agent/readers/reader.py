"""A reader: a process with limits, which opens the files of a store as the agent's own never does.

It answers one request after the other and knows nothing that is worth stealing: no environment and no file but its
pipes. Whatever a file makes of it ends with it.
"""

import gc
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import IO

from autosubmit_portal.agent.protocol import ProtocolError, fields, strict_json
from autosubmit_portal.agent.protocol.connection import make_reason
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers import limits
from autosubmit_portal.agent.readers.access import PrivateAccess
from autosubmit_portal.agent.readers.memory import Memory
from autosubmit_portal.agent.readers.messages import HEAD, MOST_DATA_BYTES, PUT_OFF, pack
from autosubmit_portal.agent.readers.place import Answer, Means, Place
from autosubmit_portal.agent.readers.readings import READINGS
from autosubmit_portal.sentences import say
from experiments.autosubmit.shown_configuration import MissingConfiguration, UnreadableConfiguration
from experiments.autosubmit.store import BrokenStore, locate, read_rc
from jobs.autosubmit.database import change_access
from jobs.autosubmit.history import UnreadableHistory
from jobs.autosubmit.job_list import UnreadableJobList
from jobs.autosubmit.logs.reader import NoSuchLog
from jobs.autosubmit.pickles.costs import compute_memory
from jobs.autosubmit.pickles.formats import Rows, decode
from jobs.autosubmit.secrets import mask_text
from jobs.autosubmit.user_metrics import UnreadableMetrics

_OF_THE_AGENT = ("expid", "what", "home", "configuration", "is_slow")
_MISSING = (MissingConfiguration, NoSuchLog, FileNotFoundError)
_UNREADABLE = (UnreadableConfiguration, UnreadableHistory, UnreadableJobList, UnreadableMetrics, OSError)


class _PutOffError(Exception):
    """What is to be read takes longer than there is time for in the fast lane."""


def main(copies: str, memory: str) -> None:
    """Answer until the pipe is closed. These are folders for copies of databases, and for what was told before."""
    remembered = Memory(Path(memory))
    gc.disable()  # it would look again and again for what can go, while a list is made of which all stays
    limits.limit_for_good()
    _say(pack({"ready": True}))
    while head := sys.stdin.buffer.read(HEAD.size):
        length, _ = HEAD.unpack(head)
        limits.allow_one_reading()
        request = strict_json.decode(sys.stdin.buffer.read(length))
        means = Means(remembered, _decode_here, partial(_allow, is_slow=request["is_slow"]))
        with tempfile.TemporaryDirectory(dir=copies, prefix=f"{os.getpid()}-") as folder:
            message, data = _answer(request, Path(folder), means)
        _say(pack(message, data))
        gc.collect()


def _say(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _answer(request: Message, copies: Path, means: Means) -> Answer:
    """Return the same as `answer`, read from copies."""
    try:
        store = locate(*_take_home(request))
        change_access(PrivateAccess(store, fields.take_text(request, "expid"), copies).make_access())
    except BrokenStore as error:
        return _tell_failure("broken", str(error))
    try:
        return answer(request, means)
    except _PutOffError:
        return PUT_OFF, b""


def answer(request: Message, means: Means) -> Answer:
    """Return what is read, or why it is not."""
    try:
        value, data = _read(request, means)
        if len(data) > MOST_DATA_BYTES:
            raise OSError(say("it is longer than {most} bytes", most=f"{MOST_DATA_BYTES:,}"))
        return {"value": value}, data
    except ProtocolError as error:
        return _tell_failure("invalid", say("The request is not understood: {error}.", error=error))
    except BrokenStore as error:
        return _tell_failure("broken", str(error))
    except _MISSING as error:
        return _tell_failure("missing", str(error))
    except _UNREADABLE as error:
        strerror = error.strerror if isinstance(error, OSError) else None
        return _tell_failure(
            "unreadable", say("It cannot be read: {error}.", error=strerror) if strerror else str(error)
        )
    except (MemoryError, RecursionError):
        return _tell_failure("unreadable", say("It takes too much memory to read."))


def _take_home(request: Message) -> tuple[Path, Path | None]:
    """Return where the store is, as the agent has it from the file of the site."""
    configuration = request["configuration"]
    return Path(request["home"]), Path(configuration) if configuration else None


def _read(request: Message, means: Means) -> Answer:
    expid, what = fields.take_text(request, "expid"), fields.take_text(request, "what")
    if what not in READINGS:
        raise ProtocolError(say("{what}, which nobody can read", what=ascii(what)))
    home = _take_home(request)
    arguments = {name: value for name, value in request.items() if name not in _OF_THE_AGENT}
    return READINGS[what](Place(locate(*home), read_rc(*home), expid, means), arguments)


def _allow(count: int, *, is_slow: bool) -> None:
    """Allow what it takes to read so many bytes, and tell the agent if it is long; put it off in the fast lane."""
    if count > limits.FAST_BYTES and not is_slow:
        raise _PutOffError
    seconds = limits.compute_seconds(count)
    limits.allow_reading_of(count)
    if seconds > limits.READING_SECONDS:
        _say(pack({"seconds": seconds}))


def _decode_here(pickle: IO[bytes], length: int) -> Rows:
    """Decode in this process, which has limits itself."""
    limits.allow_at_least(compute_memory(length))
    return decode(pickle.read(length))


def _tell_failure(code: str, reason: str) -> Answer:
    return {"failure": {"code": code, "reason": make_reason(mask_text(reason))}}, b""
