"""What a request crosses of the product, from where Django calls the view to the rendered answer.

The middleware before the view is the same for all requests and is left out. A **jump** is a call, direct or through a
library, of a function whose file is another one than that of the innermost function of the product that is under way.
Comprehensions and lambdas belong to the function that they stand in. What a library calls by itself, such as the
authentication, is no jump: no function of the product is under way then.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.handlers.base import BaseHandler
from django.db import connection
from django.test.utils import CaptureQueriesContext

REPOSITORY = Path(__file__).resolve().parents[3]
PRODUCT = tuple(f"{REPOSITORY / room}/" for room in ("autosubmit_portal", "experiments", "jobs"))
# What agents do is no part of a request: elsewhere they are other processes.
AGENTS = str(REPOSITORY / "tests" / "support" / "in_process_host.py")
_HANDLER: Any = BaseHandler
CALLS_VIEW = _HANDLER._get_response.__code__
INNER = ("<module>", "<lambda>", "<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>")


@dataclass(slots=True)
class Crossing:
    """The calls of one request, as file and function, and what else is counted."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    jumps: int = 0
    queries: int = 0

    @property
    def files(self) -> list[str]:
        """The files, in the order in which they are entered."""
        return list(dict.fromkeys(file for file, _ in self.calls))

    @property
    def functions(self) -> int:
        """How many functions are called, however often."""
        return len(set(self.calls))

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a call; `sys.setprofile` tells it."""
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(PRODUCT) or frame.f_code.co_name in INNER:
            return
        callers = list(outer(frame))
        codes = [caller.f_code for caller in callers]
        if CALLS_VIEW not in codes or any(code.co_filename == AGENTS for code in codes):
            return
        self.calls.append((str(Path(file).relative_to(REPOSITORY)), frame.f_code.co_qualname))
        self.jumps += next((other for other in callers_inside(callers)), file) != file


def outer(frame: FrameType) -> Iterator[FrameType]:
    """Yield the frames that wait for this one, the innermost first."""
    caller = frame.f_back
    while caller:
        yield caller
        caller = caller.f_back


def callers_inside(callers: list[FrameType]) -> Iterator[str]:
    """Yield the files of the product among the callers, up to the view."""
    for caller in callers:
        if caller.f_code is CALLS_VIEW:
            return
        if caller.f_code.co_filename.startswith(PRODUCT):
            yield caller.f_code.co_filename


def crossing_of(ask: Callable[[], Any]) -> Crossing:
    """Return what one request crosses; an answer that is none of success is a RuntimeError."""
    crossing = Crossing()
    before = sys.getprofile()
    with CaptureQueriesContext(connection) as queries:
        sys.setprofile(crossing.note)
        try:
            answer = ask()
        finally:
            sys.setprofile(before)
    crossing.queries = len(queries)
    if answer.status_code >= 300:
        raise RuntimeError(f"{answer.status_code}: {answer.content[:300]!r}")
    return crossing
