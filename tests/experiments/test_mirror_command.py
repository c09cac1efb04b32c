"""`manage.py mirror`: what it asks the database, and when that is away."""

from math import inf
from pathlib import Path

import pytest
from django.db import Error, InterfaceError, OperationalError
from pytest_django import DjangoAssertNumQueries

from experiments.management.commands import mirror
from experiments.management.commands.mirror import AFTER_TROUBLE_SECONDS, Command
from experiments.mirror import lease, site_mirror
from experiments.models import Host, Site
from tests.support import factories
from tests.support.in_process_host import InProcessHosts
from tests.support.small_stores import make_store


@pytest.mark.django_db(transaction=True)  # it closes the connections
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_the_mirror_waits_for_a_database_that_is_away(error: type[Error], monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> float:
        raise error

    monkeypatch.setattr(Command, "_make_pass", away)
    assert Command()._pass_carefully(None) == AFTER_TROUBLE_SECONDS


@pytest.mark.django_db
@pytest.mark.usefixtures("hosts_here")
def test_a_mirror_asks_what_the_database_says_of_a_site_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(mirror, "STANDING_SECONDS", inf)
    monkeypatch.setattr(lease, "RENEW_SECONDS", inf)
    monkeypatch.setattr(site_mirror, "HEARTBEAT_SECONDS", inf)
    factories.create_store_site(make_store(tmp_path, ["a000"]))
    command = Command()
    for _ in range(3):  # until the store has been read
        command._make_pass(None)
    with django_assert_num_queries(0):
        command._make_pass(None)


@pytest.mark.django_db
@pytest.mark.usefixtures("hosts_here")
def test_a_mirror_sees_what_is_changed_in_the_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "STANDING_SECONDS", -1.0)
    site = factories.create_store_site(make_store(tmp_path, ["a000"]))
    command = Command()
    command._make_pass(None)
    Site.objects.filter(pk=site.pk).update(refresh_seconds=3_000)
    assert command._make_pass(None) > 1_000


@pytest.mark.django_db
@pytest.mark.parametrize("silent", [["reads"], ["runs"], ["reads", "runs"]])
def test_workers_are_told_once_when_a_host_is_gone_and_once_when_it_is_back(
    silent: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hosts_here: InProcessHosts
) -> None:
    site = factories.create_store_site(make_store(tmp_path, ["a000"]))
    site.hosts.update(name="reads")
    Host.objects.create(site=site, name="runs", position=1)
    told: list[Site] = []
    monkeypatch.setattr(mirror, "ring", told.append)
    command = Command()
    for away, expected in (([], []), (silent, [site]), ([], [site, site])):
        hosts_here.away = dict.fromkeys(away, "The link is down.")
        command._make_pass(None)
        command._make_pass(None)
        assert told == expected
