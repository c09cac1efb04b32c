"""`manage.py doctor`."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from autosubmit_portal.health import CHECKS
from autosubmit_portal.workers.models import Worker
from experiments.models import Site
from tests.gateway.gateways import gateway, make_local
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def site() -> Site:
    """A site that is well."""
    factories.create_worker()
    return factories.create_site(autosubmit="/bin/true", mirrored_at=timezone.now())


def doctor(*arguments: str) -> tuple[int, str]:
    """Return the exit status and what was printed."""
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out, no_color=True)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_it_says_a_line_for_each_part_and_ends_with_0_when_all_is_well() -> None:
    status, text = doctor()
    assert status == 0
    assert [line.split()[:2] for line in text.splitlines()] == [["ok", part] for part in CHECKS]


def test_it_says_the_remedy_and_ends_with_1_when_something_fails() -> None:
    Worker.objects.all().delete()
    status, text = doctor()
    assert status == 1
    assert "fail  workers     No worker serves the queue “portal”" in text
    assert "→ Start one: `manage.py qcluster`.\n" in text


def test_a_warning_is_no_failure() -> None:
    factories.create_worker(queue="protal")
    status, text = doctor()
    assert status == 0
    assert "warn  workers" in text


@pytest.mark.parametrize(("workers", "status"), [(1, 0), (0, 1)])
def test_it_speaks_json(workers: int, status: int) -> None:
    if not workers:
        Worker.objects.all().delete()
    ended, text = doctor("--json")
    findings: list[dict[str, Any]] = json.loads(text)
    assert ended == status
    assert findings[0] == {"level": "ok", "word": "ok", "text": findings[0]["text"], "remedy": "", "part": "database"}
    assert {finding["level"] for finding in findings if finding["part"] == "workers"} == {"ok" if workers else "fail"}


def test_it_examines_the_hosts_of_a_site_through_the_gateway(site: Site, tmp_path: Path, settings: Any) -> None:
    settings.GATEWAY_DIRECTORY, settings.STARTS_GATEWAY = tmp_path, False
    host = site.hosts.get()
    with gateway(tmp_path, {host.name: make_local(tmp_path / "site")}) as made:
        made.wait_for_host(host.name)
        status, text = doctor("--site", site.slug)
    assert status == 1
    assert f"ok    {host.name:10}  spool: {tmp_path}/site/spool" in text
    assert f"fail  {host.name:10}  program: The Autosubmit program /bin/sh is broken" in text  # which is a shell


def test_it_says_that_a_site_cannot_be_examined_without_a_gateway(site: Site, tmp_path: Path, settings: Any) -> None:
    settings.GATEWAY_DIRECTORY, settings.STARTS_GATEWAY = tmp_path, False
    status, text = doctor("--site", site.slug)
    assert (status, "gateway: The gateway cannot be reached" in text) == (1, True)


def test_it_knows_no_other_site() -> None:
    with pytest.raises(CommandError, match="There is no site elsewhere"):
        doctor("--site", "elsewhere")
