"""What a site that is reached by ssh costs: sessions for many commands, and bytes while nothing happens."""

import shutil
import sys
import time
import uuid
from contextlib import ExitStack
from json import dumps, loads
from pathlib import Path

import pytest

from autosubmit_portal.gateway import caller
from experiments.autosubmit.watched import Watched, understand_watched
from tests.gateway.gateways import RunningGateway, gateway
from tests.support.site_host import PYTHON, SiteHost, site_host
from tests.support.small_stores import make_store
from tests.support.waiting import wait_for
from tests.tools.bench.judgement import Verdict, at_most

COMMANDS, MOST_SESSIONS = 50, 1
SECONDS, PAUSE_SECONDS, MOST_KILOBYTES = 30.0, 0.25, 2.0
COLUMN = "result"


def measure(experiments: int, commands: int = COMMANDS, seconds: float = SECONDS) -> list[Verdict]:
    """Measure it at a host that is made for that; nothing where none can be made, and say why."""
    with ExitStack() as stack:
        try:
            host = stack.enter_context(site_host())
        except pytest.skip.Exception as reason:
            print(f"No host that is reached by ssh: it {reason}.", file=sys.stderr)
            return []
        place = _make_place(host)
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        _add_store(host, experiments)
        made = stack.enter_context(gateway(place, {"here": host.reach("ssh")}, PYTHON, **host.as_gateway()))
        made.wait_for_host()
        _run_commands(made, commands)
        what = f"{commands} commands at an SSH host: sessions"
        found = [at_most(what, COLUMN, MOST_SESSIONS, host.count_sessions())]
        if not host.namespace:
            print("The bytes of a channel cannot be counted: no network namespace can be made.", file=sys.stderr)
            return found
        what = f"watch of {experiments:,} quiet experiments over SSH, kB/s"
        return [*found, at_most(what, COLUMN, MOST_KILOBYTES, _count_bytes(host, made, seconds) / 1000)]


def _make_place(host: SiteHost) -> Path:
    """Make a folder for the gateway's sockets."""
    place = host.folder / "place"
    place.mkdir()
    shutil.chown(place, host.gateway, host.gateway)
    return place


def _add_store(host: SiteHost, experiments: int) -> None:
    """Have a store at the site, which its account may read."""
    home = host.folder / "home"
    home.mkdir()
    make_store(home, [f"q{number:04d}" for number in range(experiments)])
    allowed = loads(host.site_file.read_text())
    host.site_file.write_text(dumps({**allowed, "home": str(home)}))


def _run_commands(made: RunningGateway, number: int) -> None:
    keys = [str(uuid.uuid4()) for _ in range(number)]
    for key in keys:
        made.start("-c", "exit 0", key=key)
    for key in keys:
        wait_for(lambda key=key: made.look_if_there(key=key).get("state") == "ended")  # type: ignore[misc]


def _count_bytes(host: SiteHost, made: RunningGateway, seconds: float) -> float:
    """Return the bytes per second on the link in both directions, with all that ssh and TCP add."""
    seen = _watch(made, "", 0)
    while seen.more or not seen.is_complete:
        seen = _watch(made, seen.epoch, seen.counter)
    before, began = _read_bytes(host), time.monotonic()
    while time.monotonic() < began + seconds:
        _watch(made, seen.epoch, seen.counter)
        time.sleep(PAUSE_SECONDS)
    return (_read_bytes(host) - before) / (time.monotonic() - began)


def _watch(made: RunningGateway, epoch: str, counter: int) -> Watched:
    asked = {"epoch": epoch, "counter": counter, "attend": [], "pause_seconds": PAUSE_SECONDS, "is_whole": False}
    return understand_watched(*caller.ask(made.reading, "here", "watch", asked, 60))


def _read_bytes(host: SiteHost) -> int:
    link = Path("/sys/class/net", host.namespace, "statistics")
    return sum(int((link / name).read_text()) for name in ("rx_bytes", "tx_bytes"))
