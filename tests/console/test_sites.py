"""What is executed at a site, and as whom, is for superusers to say."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.models import AuditEntry
from experiments.models import Host, Site, Step
from tests.support import factories
from tests.support.in_process_host import InProcessHosts

pytestmark = pytest.mark.django_db

AsRole = Callable[[Role], Client]


@pytest.fixture
def admin() -> Client:
    """A browser of a superuser."""
    client = Client()
    client.force_login(factories.create_user(is_superuser=True))
    return client


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site whose program and home are ours."""
    program, home = tmp_path / "bin" / "autosubmit", tmp_path / "home"
    program.parent.mkdir()
    program.touch(mode=0o755)
    home.mkdir()
    return factories.create_site(autosubmit=str(program), home=str(home))


def form_of(site: Site, **values: Any) -> dict[str, Any]:
    names = ("name", "slug", "autosubmit", "home", "configuration", "queue", "run_as", "unpushed", "refresh_seconds")
    others = {"approval_hours": 24, "hosts-TOTAL_FORMS": 0, "hosts-INITIAL_FORMS": 0}
    return {name: getattr(site, name) for name in names} | others | values


def save(client: Client, site: Site, **values: Any) -> Any:
    return client.post(reverse("admin:experiments_site_change", args=[site.pk]), form_of(site, **values), secure=True)


@pytest.mark.parametrize(
    "change",
    [
        {"autosubmit": "/bin/sh"},
        {"home": "/tmp"},
        {"configuration": "/tmp/rc"},
        {"queue": "other"},
        {"run_as": "actor"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_manager_does_not_change_what_is_executed(change: dict[str, str], as_role: AsRole, site: Site) -> None:
    save(as_role(Role.MANAGER), site, name="Renamed", **change)
    changed = Site.objects.get()
    assert changed.name == "Renamed"
    assert all(getattr(changed, name) == getattr(site, name) for name in Site.EXECUTION)


def test_a_manager_adds_no_site(as_role: AsRole, site: Site) -> None:
    add = reverse("admin:experiments_site_add")
    assert as_role(Role.MANAGER).post(add, form_of(site, slug="other"), secure=True).status_code == 403
    assert Site.objects.count() == 1


def test_a_superuser_changes_it(admin: Client, site: Site) -> None:
    assert save(admin, site, run_as="actor", queue="other").status_code == 302
    assert (Site.objects.get().run_as, Site.objects.get().queue) == ("actor", "other")


@pytest.mark.parametrize("name", ["autosubmit", "home", "configuration"])
def test_what_others_can_write_is_refused_with_the_remedy(name: str, admin: Client, site: Site, tmp_path: Path) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o777)
    answer = save(admin, site, **{name: str(place / "autosubmit")})
    assert f"{place} can be written by everybody" in answer.content.decode()
    assert "chmod go-w" in answer.content.decode()


def test_behind_the_gateway_of_somebody_else_the_home_may_belong_to_another_account(
    admin: Client, site: Site, tmp_path: Path, settings: Any
) -> None:
    settings.STARTS_GATEWAY = False
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs").chmod(0o777)
    save(admin, site, home=str(tmp_path / "theirs"))
    assert Site.objects.get().home == str(tmp_path / "theirs")


def test_a_home_whose_configuration_others_can_write_is_refused(admin: Client, site: Site) -> None:
    rc = Path(site.home) / ".autosubmitrc"
    rc.touch()
    rc.chmod(0o666)
    assert f"{rc} can be written by everybody" in save(admin, site).content.decode()


# --- Its hosts


def save_hosts(client: Client, site: Site, *rows: dict[str, Any]) -> Any:
    """Save the page with these rows of hosts, the known ones first."""
    known = [*site.hosts.order_by("pk")]
    values = {"hosts-TOTAL_FORMS": max(len(known), len(rows)), "hosts-INITIAL_FORMS": len(known)}
    for number, host in enumerate(known):
        values |= {f"hosts-{number}-{key}": getattr(host, key) for key in ("id", "name", "position")}
    for number, row in enumerate(rows):
        values |= {f"hosts-{number}-{key}": value for key, value in row.items()}
    return save(client, site, **values)


def list_hosts(site: Site) -> list[str]:
    return [host.name for host in site.hosts.all()]


def test_a_manager_orders_the_hosts_and_names_none(as_role: AsRole, site: Site) -> None:
    first, second = site.hosts.get(), Host.objects.create(site=site, name="second", position=1)
    save_hosts(as_role(Role.MANAGER), site, {"position": 2, "name": "renamed", "remove": "on"}, {}, {"name": "third"})
    assert list_hosts(site) == [second.name, first.name]


def test_a_superuser_adds_renames_and_removes_hosts(admin: Client, site: Site) -> None:
    save_hosts(admin, site, {"name": "renamed"}, {"name": "second", "position": 1})
    assert list_hosts(site) == ["renamed", "second"]
    save_hosts(admin, site, {"remove": "on"})
    assert list_hosts(site) == ["second"]
    assert AuditEntry.objects.filter(event="host.changed", subject="host renamed").count() == 2


def test_the_name_of_a_removed_host_is_free(admin: Client, site: Site) -> None:
    save_hosts(admin, site, {"name": "one", "remove": "on"}, {"name": "two", "position": 0})
    save_hosts(admin, site, {}, {"name": "one", "position": 1})
    assert list_hosts(site) == ["two", "one"]


def test_the_last_host_is_not_removed(admin: Client, site: Site) -> None:
    answer = save_hosts(admin, site, {"remove": "on"})
    assert "A site needs a host" in answer.content.decode()
    assert site.hosts.exists()


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_host_that_keeps_something_of_a_command_is_not_removed(admin: Client, site: Site, is_forgotten: bool) -> None:
    host = site.hosts.get()
    action = factories.create_action(factories.create_experiment(site))
    Step.objects.create(action=action, number=0, key=str(uuid.uuid4()), host=host, is_forgotten=is_forgotten)
    answer = save_hosts(admin, site, {"remove": "on"}, {"name": "other", "position": 1})
    assert (host.name in list_hosts(site)) is not is_forgotten
    assert ("1 command is at" in answer.content.decode()) is not is_forgotten
    assert Step.objects.get().host == host


def test_the_page_says_what_a_host_does_not_run(as_manager: Client, site: Site) -> None:
    site.hosts.update(refused=["create", "run"], rules_asked_at=timezone.now())
    assert "create, run" in as_manager.get(f"/sites/{site.pk}/change/").content.decode()


# --- Silent hosts


@pytest.fixture
def silent(site: Site, hosts_here: InProcessHosts) -> Host:
    host = Host.objects.create(site=site, name="second", position=1)
    hosts_here.away[host.name] = "The link is down."
    return host


def see(client: Client, site: Site) -> str:
    return client.get(f"/sites/{site.pk}/change/").content.decode()


def test_a_manager_says_on_the_page_that_nothing_runs_at_a_silent_host(
    site: Site, silent: Host, as_manager: Client
) -> None:
    address = f"/sites/{site.pk}/call-empty/"
    assert f'action="{address}"' in see(as_manager, site)
    as_manager.post(address, {"host": silent.pk, "reason": "It has no power."})
    silent.refresh_from_db()
    assert f"{silent.called_empty_by} said" in see(as_manager, site)


def test_an_operator_sees_that_a_host_is_silent_and_says_nothing_of_it(
    site: Site, silent: Host, as_operator: Client
) -> None:
    assert "<b>second is silent.</b>" in see(as_operator, site)
    assert "Nothing runs there" not in see(as_operator, site)
    as_operator.post(f"/sites/{site.pk}/call-empty/", {"host": silent.pk, "reason": "Hm."})
    silent.refresh_from_db()
    assert silent.called_empty_at is None


# --- The connection to its hosts


def test_a_manager_tests_the_connection_to_the_hosts_of_a_site(
    site: Site, as_manager: Client, tmp_path: Path, settings: Any
) -> None:
    settings.GATEWAY_DIRECTORY, settings.STARTS_GATEWAY = tmp_path, False
    address = f"/sites/{site.pk}/connection/"
    assert "The gateway cannot be reached" in as_manager.get(address).content.decode()
    assert f'href="{address}"' in as_manager.get(f"/sites/{site.pk}/change/").content.decode()


def test_who_may_not_change_a_site_does_not_test_its_connection(site: Site, as_operator: Client) -> None:
    assert as_operator.get(f"/sites/{site.pk}/connection/").status_code == 403


def test_a_manager_chooses_which_kinds_start_quickly_but_never_a_run(as_role: AsRole, site: Site) -> None:
    manager = as_role(Role.MANAGER)
    save(manager, site, package_kinds=["set_status", "restart"])
    site.refresh_from_db()
    assert site.package_kinds == ["set_status", "restart"]
    save(manager, site, package_kinds=["run"])
    site.refresh_from_db()
    assert site.package_kinds == ["set_status", "restart"]
