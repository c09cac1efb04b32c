"""A log that grows at a site, followed through the API over SSH while the link is cut."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from autosubmit_portal.gateway import caller
from tests.api.conftest import as_viewer  # noqa: F401
from tests.gateway.gateways import gateway
from tests.support import factories
from tests.support.site_host import PYTHON, SiteHost
from tests.support.stores.written import write_store
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db

RUN = "20261125_100000_run.log"
LINES = [f"line {number}" for number in range(400)]


@pytest.fixture
def log(host: SiteHost, place: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The log of a run that goes on, at a site that is reached by ssh."""
    home = place / "home"
    home.mkdir()
    folder = write_store(home, "a000")
    site = factories.create_site(slug="local", is_default=True, home=str(home))
    site.hosts.update(name="here")
    factories.create_experiment(site, expid="a000", is_running=True)
    site_file = place / "site.json"
    site_file.write_text(json.dumps(json.loads(host.site_file.read_text()) | {"home": str(home)}))
    monkeypatch.setattr("experiments.hosts.caller", caller)
    settings.GATEWAY_DIRECTORY, settings.STARTS_GATEWAY = place, False
    reached = host.reach("ssh", site_file=str(site_file))
    with gateway(place, {"here": reached}, PYTHON, **host.as_gateway()) as made:
        made.wait_for_host()
        yield folder / "tmp" / "ASLOGS" / RUN


def write_lines(log: Path, is_cut: threading.Event) -> None:
    """Write the first half and, when the link is cut, the other."""
    with log.open("w", buffering=1) as file:
        for number, line in enumerate(LINES):
            if number == len(LINES) // 2:
                is_cut.wait()
            print(line, file=file)
            time.sleep(0.01)


class Follower:
    """A client that asks again from where the last part ended, whether it was answered or not."""

    def __init__(self, client: APIClient) -> None:
        self.client, self.text = client, ""
        self.query: dict[str, Any] = {"offset": 0}

    def ask(self) -> int:
        """Ask once; return the status of the answer."""
        address = f"/v4/experiments/a000/logs/{RUN}"
        answer = self.client.get(address, {"format": "json", **self.query}, headers={"prefer": "wait=1"})
        if answer.status_code == 200:
            part = answer.json()
            self.text += part["text"]
            self.query = {"offset": part["next_offset"], "file": part["file"]}
        return int(answer.status_code)


def test_a_log_that_grows_while_the_link_is_cut_is_followed_without_a_gap_or_a_line_twice(
    host: SiteHost,
    log: Path,
    as_viewer: APIClient,  # noqa: F811
) -> None:
    log.touch()
    follower, is_cut = Follower(as_viewer), threading.Event()
    writer = threading.Thread(target=write_lines, args=[log, is_cut], daemon=True)
    writer.start()
    wait_for(lambda: follower.ask() == 200 and LINES[5] in follower.text)
    host.use_link(up=False)
    try:
        wait_for(follower.ask, is_enough=(503).__eq__)
        is_cut.set()
        writer.join()
        had = len(follower.text)
    finally:
        host.use_link(up=True)
    wait_for(lambda: follower.ask() == 200 and LINES[-1] in follower.text)
    assert follower.text.splitlines() == LINES
    assert had < len(follower.text)
