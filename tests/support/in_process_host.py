"""The agents of all sites in the process of a test: the real ones, without the gateway and the channels between.

For fast tests. The real gateway runs in the tests of tests/gateway and in each portal of tests/system.
"""

import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from django.db import connection

from autosubmit_portal.agent.protocol import strict_json
from autosubmit_portal.agent.protocol.limits import USUAL_CREDIT
from autosubmit_portal.agent.readers import reader
from autosubmit_portal.agent.readers.memory import Memory
from autosubmit_portal.agent.readers.place import Means
from autosubmit_portal.agent.reading import make_request
from autosubmit_portal.agent.requests import Commands
from autosubmit_portal.agent.site_file import BadSiteFileError, read_site_file
from autosubmit_portal.agent.watch import request
from autosubmit_portal.agent.watch import watcher as watcher_module
from autosubmit_portal.agent.watch.request import Place
from autosubmit_portal.agent.watch.watcher import Watcher
from autosubmit_portal.gateway import caller
from autosubmit_portal.gateway.service import ACTING, READING
from experiments import own_gateway
from experiments.autosubmit.store import BrokenStore
from experiments.models import Host
from tests.support.job_lists import decode_here
from tests.support.waiting import PATIENCE, wait_for

Answer = tuple[dict[str, Any], bytes]

EVERY_EXPERIMENT = 1_000_000


class InProcessHosts:
    """Takes the place of what asks the gateway.

    `away` are hosts that are not there, with the reason; `unlisted` are those that the gateway was not told of yet.
    `unanswered` are requests that are done and not answered. `nodes` says what hosts call themselves that are not this
    one; `asked` are the hosts that commands were sent to. `blind` ones see no locks, as from another host.
    """

    def __init__(self) -> None:
        self.away: dict[str, str] = {}
        self.unlisted: set[str] = set()
        self.unanswered: set[str] = set()
        self.nodes: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.blind: set[str] = set()
        self._watchers: dict[tuple[str, Place], Watcher] = {}

    def list_hosts(self, _place: Path, _seconds: float) -> dict[str, Any]:
        """Say of each host that it is connected, unless it is away."""
        with _uncounted():
            names = [*Host.objects.values_list("name", flat=True)]
        return {
            "portal": own_gateway.read_portal_id(),
            "hosts": {name: self._describe(name) for name in names if name not in self.unlisted},
        }

    def ask(
        self,
        place: Path,
        host: str,
        name: str,
        arguments: dict[str, Any],
        _seconds: float,
        *,
        is_for_page: bool = False,
    ) -> Answer:
        """Ask the agent of a host."""
        if host in self.away:
            raise caller.Refused("away", self.away[host])
        if name == "start":
            self.asked.append((host, arguments["words"][0]))
        if name not in (ACTING if place.name == "acting" else READING):
            raise caller.Refused("forbidden", f"This socket is not for {name}.")
        try:
            with _uncounted(), self._seeing_as(host):
                answer, data = self._answer(Host.objects.select_related("site").get(name=host), name, _send(arguments))
        except (OSError, BadSiteFileError) as error:
            raise caller.Refused("failed", str(error)) from error
        except BrokenStore as error:
            raise caller.Refused("broken", str(error)) from error
        except ValueError as error:  # a ProtocolError is one
            raise caller.Refused("invalid", str(error)) from error
        if name in self.unanswered:
            raise caller.Unanswered("The host has not answered.")
        return _send(answer), data

    def close(self) -> None:
        """End what goes on."""
        for watcher in self._watchers.values():
            watcher.close()

    @contextmanager
    def _seeing_as(self, host: str) -> Iterator[None]:
        """Have this process be a host, as far as it tells its name and sees locks."""
        with ExitStack() as stack:
            stack.enter_context(patch("platform.node", return_value=self.nodes.get(host, platform.node())))
            if host in self.blind:
                stack.enter_context(patch("experiments.autosubmit.liveness._LOCK_TABLE", Path("/dev/null")))
            yield

    def _answer(self, host: Host, name: str, arguments: dict[str, Any]) -> Answer:
        if name == "read":
            return _read(own_gateway.write_site_file(host), arguments)
        if name == "watch":
            return self._watch(host, arguments)
        commands = Commands(own_gateway.write_site_file(host), own_gateway.read_portal_id())
        if name != "look":
            return commands.answers[name](arguments), b""
        waiting = commands.wait_for(arguments, time.monotonic())
        return cast(Answer, wait_for(lambda: waiting.look(USUAL_CREDIT)))

    def _watch(self, host: Host, arguments: dict[str, Any]) -> Answer:
        """Look at the store in this process, and in place: at all of it each time, however busy the machine is."""
        place = request.find_place(read_site_file(own_gateway.write_site_file(host)))
        assert place
        watcher = self._watchers.setdefault((host.name, place), Watcher(place))
        with patch.multiple(watcher_module, LEAST_LOOKS=EVERY_EXPERIMENT, LONGEST_SECONDS=PATIENCE):
            return watcher.answer(request.understand(arguments))

    def _describe(self, name: str) -> dict[str, Any]:
        is_connected, reason = name not in self.away, self.away.get(name, "")
        return {"channel": "local", "is_connected": is_connected, "for_seconds": 60, "reason": reason}


class AtOnce(Executor):
    """Does in this thread, which has the database of the test, what is given to it."""

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
        """Do it now."""
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*arguments, **named))
        except Exception as error:
            done.set_exception(error)
        return done


@contextmanager
def _uncounted() -> Iterator[None]:
    """Keep what is asked of the database here from those who count: the real agents ask it nothing."""
    is_counted, connection.force_debug_cursor = connection.force_debug_cursor, False
    try:
        yield
    finally:
        connection.force_debug_cursor = is_counted


def _read(site_file: Path, arguments: dict[str, Any]) -> Answer:
    """Read in this process, and in place: what tests change of the code holds here."""
    site = read_site_file(site_file)
    message, data = reader.answer(make_request(site, arguments), Means(Memory(site.spool / "told"), decode_here))
    if "failure" in message:
        raise caller.Refused(message["failure"]["code"], message["failure"]["reason"])
    return message["value"], data


def _send(message: dict[str, Any]) -> dict[str, Any]:
    return strict_json.decode(strict_json.encode(message))
