"""A portal on two hosts with one PostgreSQL and one Redis, and a site on a third host.

Each host has PIDs, a network and a name of its own. The commands are those of a stand-in for Autosubmit.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.namespace_host import namespace_host
from tests.support.portal_hosts import PortalHost, Shared, portal_host, site_door
from tests.support.postgres import Postgres
from tests.support.redis_server import RedisServer
from tests.support.services import kill_processes_of
from tests.support.stand_in import StandIn
from tests.support.waiting import wait_for

pytestmark = pytest.mark.system

ONE, TWO = "portal1", "portal2"


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    made = StandIn.install(tmp_path_factory.mktemp("site"))
    yield made
    kill_processes_of(made.home)


@pytest.fixture(scope="module")
def expid(stand_in: StandIn) -> str:
    return stand_in.make_experiment()


@pytest.fixture(scope="module")
def hosts(
    stand_in: StandIn,
    expid: str,
    postgres: Postgres,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, PortalHost]]:
    """The two, with all their processes."""
    folder = tmp_path_factory.mktemp("portals")
    with ExitStack() as stack:
        site = stack.enter_context(namespace_host("site1"))
        door = stack.enter_context(site_door(site, stand_in, folder / "site"))
        database_url = postgres.create_database()
        stack.callback(postgres.drop_database, database_url)
        shared = Shared(database_url, redis_server.url, {"local": door})
        made = {name: stack.enter_context(portal_host(name, folder / name, stand_in, shared)) for name in (ONE, TWO)}
        made[ONE].set_up()
        made[TWO].join(made[ONE])
        for host in made.values():
            host.start()
        has_jobs(made[TWO], expid)
        yield made


def has_jobs(host: PortalHost, expid: str) -> None:
    """Wait until a host shows the jobs of an experiment."""
    wait_for(lambda: host.http.get(f"/v4/experiments/{expid}/jobs").body.get("jobs"))


def ask(host: PortalHost, expid: str) -> Any:
    answer = host.http.post(f"/v4/experiments/{expid}?action=generate")
    assert answer.status == 202, answer.body
    return answer.body


def ends_well(host: PortalHost, action: Any) -> None:
    ended = wait_for(lambda: host.http.get(action["url"]).body, is_enough=lambda seen: bool(seen["ended_at"]))
    assert ended["state"] == "succeeded", ended["message"]


@pytest.mark.parametrize(("asked", "does"), [(ONE, TWO), (TWO, ONE)])
def test_what_is_asked_of_one_host_is_done_by_the_other(
    hosts: dict[str, PortalHost], expid: str, asked: str, does: str
) -> None:
    hosts[asked].stop("worker")
    action = ask(hosts[asked], expid)
    ends_well(hosts[does], action)
    assert hosts[asked].http.get(action["url"]).body["state"] == "succeeded"
    hosts[asked].start("worker")


def test_when_a_host_loses_power_the_other_goes_on_with_what_it_did(
    hosts: dict[str, PortalHost], stand_in: StandIn
) -> None:
    expids = [stand_in.make_experiment() for _ in range(6)]
    for expid in expids:
        has_jobs(hosts[TWO], expid)
    before = len(stand_in.started())
    stand_in.hold("create")
    actions = [ask(hosts[TWO], expid) for expid in expids]
    wait_for(lambda: len(stand_in.started()) > before)
    hosts[ONE].cut_power()
    stand_in.release()
    for action in actions:
        ends_well(hosts[TWO], action)
    assert len(stand_in.started()) == before + len(expids)
