"""The files of our own gateway: they say what the rows say, cost little, and are of the portal's account."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import DjangoAssertNumQueries

from experiments import own_gateway, reads
from experiments.autosubmit.store import BrokenStore
from experiments.models import Experiment, Host, Site
from tests.support import factories

pytestmark = pytest.mark.django_db

NOBODY = pwd.getpwnam("nobody")
needs_root = pytest.mark.skipif(bool(os.geteuid()), reason="needs root")


@pytest.fixture
def home(settings: Any, tmp_path: Path) -> Path:
    """The home of a portal whose gateway is its own."""
    settings.PORTAL_HOME = tmp_path
    settings.GATEWAY_DIRECTORY = settings.OWN_GATEWAY_DIRECTORY = tmp_path / "gateway"
    return tmp_path


@pytest.fixture
def home_of_nobody(settings: Any) -> Iterator[Path]:
    """The home of a portal that runs as another account, which reaches it."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    shutil.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    settings.PORTAL_HOME = folder
    settings.GATEWAY_DIRECTORY = settings.OWN_GATEWAY_DIRECTORY = folder / "gateway"
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def experiment() -> Experiment:
    return factories.create_experiment(factories.create_site(home="/home/before"))


def read(experiment: Experiment) -> None:
    """Ask for something of an experiment that no store has."""
    found = Experiment.objects.select_related("site").get(pk=experiment.pk)
    with pytest.raises(BrokenStore):
        reads.read(found, "configuration", {})


def told(experiment: Experiment, home: Path) -> Any:
    host = Host.objects.get(site=experiment.site)
    return json.loads((home / "gateway" / f"site-{host.pk}.json").read_text())


def test_a_read_asks_for_the_host_and_no_more_when_nothing_has_changed(
    experiment: Experiment, home: Path, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    read(experiment)
    with django_assert_num_queries(2):  # the experiment with its site, the host
        read(experiment)


def test_a_read_after_a_change_of_the_site_finds_the_new_place(experiment: Experiment, home: Path) -> None:
    read(experiment)
    Site.objects.update(home="/home/after")
    read(experiment)
    assert told(experiment, home)["home"] == "/home/after"


def test_a_read_that_began_before_a_change_of_the_site_does_not_undo_it(experiment: Experiment, home: Path) -> None:
    begun = Experiment.objects.select_related("site").get(pk=experiment.pk)
    Site.objects.update(home="/home/after")
    with pytest.raises(BrokenStore):
        reads.read(begun, "configuration", {})
    assert told(experiment, home)["home"] == "/home/after"


def test_what_another_process_has_written_is_written_anew(experiment: Experiment, home: Path) -> None:
    read(experiment)
    host = Host.objects.get(site=experiment.site)
    (home / "gateway" / f"site-{host.pk}.json").write_text("{}")
    read(experiment)
    assert told(experiment, home)["home"] == "/home/before"


def test_the_file_of_a_site_that_is_gone_is_removed(home: Path) -> None:
    gone, kept = factories.create_site(), factories.create_site()
    own_gateway.write_files()
    gone.delete()
    own_gateway.write_files()
    assert [file.name for file in (home / "gateway").glob("site-*")] == [f"site-{kept.hosts.get().pk}.json"]


def test_an_agent_of_another_version_is_removed_when_it_does_not_run(home: Path) -> None:
    (home / "agents").mkdir()
    old = home / "agents" / "agent-0.pyz"
    old.touch()
    with subprocess.Popen([sys.executable, "-c", "input()", str(old)], stdin=subprocess.PIPE) as running:
        own_gateway.write_files()
        assert old.exists()
        running.communicate(b"\n")
    own_gateway.write_files()
    assert [file.name for file in (home / "agents").iterdir()] == [own_gateway._write_agent(home / "agents").name]


def test_an_agent_that_another_version_has_removed_is_written_again(home: Path) -> None:
    own_gateway.write_files()
    (agent,) = (home / "agents").iterdir()
    agent.unlink()
    own_gateway.write_files()
    assert agent.exists()


@needs_root
def test_what_root_writes_is_of_the_account_of_the_portal(experiment: Experiment, home_of_nobody: Path) -> None:
    own_gateway.write_files()
    assert {path.stat().st_uid for path in home_of_nobody.rglob("*")} == {NOBODY.pw_uid}
    assert told(experiment, home_of_nobody)["profiles"]["usual"]["USER"] == "nobody"
    assert os.geteuid() == 0


@needs_root
def test_root_does_not_become_the_gateway_of_another_account(home_of_nobody: Path) -> None:
    with pytest.raises(CommandError, match="is not root's"):
        call_command("gateway")
