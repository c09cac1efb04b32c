"""Settings that do harm together stop the start, or are warned about."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django_q.conf import Conf

from autosubmit_portal.access.sign_in.providers import LDAP, GitHub, OpenIDConnect
from autosubmit_portal.checks import check_failure_reasons, check_queue, check_search, check_sign_in, check_walls
from tests.support.factories import drop_index_of_names


def complaints(settings: Any, **values: Any) -> list[str]:
    """Return the ids of what the checks say of a queue with these settings."""
    settings.Q_CLUSTER = settings.Q_CLUSTER | values
    return [str(message.id) for message in check_queue()]


def test_the_settings_as_they_come_are_fine(settings: Any) -> None:
    assert complaints(settings) == []


@pytest.mark.parametrize(("retry", "found"), [(601, []), (600, ["portal.E001"])])
def test_a_task_must_not_be_sent_again_while_it_runs(settings: Any, retry: int, found: list[str]) -> None:
    assert complaints(settings, retry=retry, timeout=600) == found


@pytest.mark.parametrize(
    ("poll", "found"), [(0.009, ["portal.E002"]), (0.01, []), (10, []), (10.1, ["portal.E002"]), (0, ["portal.E002"])]
)
def test_a_worker_must_look_neither_all_the_time_nor_hardly_ever(settings: Any, poll: float, found: list[str]) -> None:
    assert complaints(settings, poll=poll) == found


@pytest.mark.parametrize(("name", "found"), [("north-1", []), ("no such", ["portal.E003"]), ("", ["portal.E003"])])
def test_the_queue_of_a_worker_must_be_one_that_a_site_can_have(
    settings: Any, monkeypatch: pytest.MonkeyPatch, name: str, found: list[str]
) -> None:
    monkeypatch.setattr(Conf, "CLUSTER_NAME", name)
    assert complaints(settings) == found


@pytest.mark.parametrize(("engine", "found"), [("sqlite3", ["portal.W001"]), ("postgresql", [])])
def test_redis_beside_sqlite_is_warned_about(
    settings: Any, monkeypatch: pytest.MonkeyPatch, engine: str, found: list[str]
) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", f"django.db.backends.{engine}")
    assert complaints(settings, redis="redis://localhost") == found


def test_each_complaint_says_what_to_do(settings: Any) -> None:
    settings.Q_CLUSTER = settings.Q_CLUSTER | {"poll": 0}
    assert all(message.hint for message in check_queue())


GITHUB = GitHub(
    key="github",
    prefix="PORTAL_GITHUB",
    name="GitHub",
    address="https://github.com",
    client_id="portal",
    client_secret="secret",
    organisations=frozenset({"climate-dt"}),
)


def make_issuer(address: str, client_id: str = "portal") -> OpenIDConnect:
    return OpenIDConnect(key="sso", prefix="PORTAL_OIDC", name="SSO", address=address, client_id=client_id)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"PROVIDERS": (make_issuer("https://sso.example.org", client_id=""),)}, ["portal.E004"]),
        ({"PROVIDERS": (make_issuer("https://sso.example.org"),)}, []),
        ({"PROVIDERS": (make_issuer("https://sso.example.org"),), "PASSWORD_LOGIN": False}, []),
        ({"PROVIDERS": (replace(GITHUB, organisations=frozenset(), client_secret=""),)}, ["portal.E004"] * 2),
        (
            {"PROVIDERS": (LDAP(key="ldap", prefix="PORTAL_LDAP", name="L", address="ldap://a", person=""),)},
            ["portal.E004"],
        ),
        ({"PROVIDERS_HALF_SET": ("PORTAL_CAS_URL",)}, ["portal.E008"]),
        ({"PASSWORD_LOGIN": False}, ["portal.E005"]),
        ({"REQUIRE_SECOND_FACTOR": "some"}, ["portal.E006"]),
        ({"AXES_FAILURE_LIMIT": 0}, ["portal.E007"]),
        ({"PROVIDERS": (make_issuer("http://sso.example.org"),)}, ["portal.W002"]),
        ({"PROVIDERS": (make_issuer("http://localhost:8080"),)}, []),
    ],
)
def test_sign_in_that_cannot_work_is_complained_about(settings: Any, changes: dict[str, Any], found: list[str]) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)
    assert [message.id for message in check_sign_in()] == found


def test_what_finds_names_of_jobs_is_asked_for_in_the_database(db: None) -> None:
    assert check_search() == []
    drop_index_of_names()
    assert [message.id for message in check_search()] == ["portal.W004"]


WITHOUT_PAGES = """
import sys
from pathlib import Path
import django
from django.core.management import load_command_class
django.setup()
for app, name in (("experiments", "mirror"), ("autosubmit_portal", "qcluster")):
    command = load_command_class(app, name)
    command.check(tags=command.requires_system_checks)
print("autosubmit_portal.urls" in sys.modules)
"""


def test_mirror_and_worker_load_no_pages_to_be_checked() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT_PAGES], check=True, capture_output=True, text=True)
    assert run.stdout == "False\n"


def test_a_gateway_of_our_own_is_told_before_deployment(settings: Any, tmp_path: Path) -> None:
    assert [message.id for message in check_walls()] == ["portal.W005"]
    settings.GATEWAY_DIRECTORY = tmp_path
    assert check_walls() == []


def test_a_catalogue_of_failure_reasons_that_is_wrong_is_told_with_its_entry(settings: Any, tmp_path: Path) -> None:
    settings.FAILURE_REASONS = tmp_path / "reasons.yml"
    settings.FAILURE_REASONS.write_text("odd: {title: Odd}\n")
    (found,) = check_failure_reasons()
    assert "reasons.yml: odd: “meaning” must be a text that is not blank." in found.msg
