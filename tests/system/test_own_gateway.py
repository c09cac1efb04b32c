"""Our own gateway, as a worker starts it where nobody else does."""

from pathlib import Path

import pytest

from tests.support.services import Portal
from tests.support.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.system, pytest.mark.parametrize("portal", ["sqlite"], indirect=True)]

KEEP = ("shell", "--no-imports", "-c", "from experiments import hosts; hosts.keep_gateway()")
ASK = "from experiments import hosts; from experiments.models import Host; hosts.ask(Host.objects.first(), 'look', {})"
ABSENCES = f"from experiments import hosts; print(hosts.find_absences(['north'], {PATIENCE}))"


def test_it_is_started_once_and_told_of_new_sites_and_holds_nobodys_output(portal: Portal) -> None:
    """`manage` waits for the end of the output, which the gateway that it has started must not hold."""
    portal.manage(*KEEP)
    portal.manage(*KEEP)
    (gateway,) = portal.find_gateways()
    site = "from experiments.models import Site; Site.objects.create(slug='north', autosubmit='/bin/true', home='/')"
    portal.manage("shell", "--no-imports", "-c", site)
    told = wait_for(
        lambda: portal.manage("shell", "--no-imports", "-c", ABSENCES), is_enough=lambda text: "'north': ''" in text
    )
    assert "'north': ''" in told
    assert portal.find_gateways() == [gateway]
    assert Path(f"/proc/{gateway}/environ").read_bytes().count(b"PORTAL_") == 0


def test_reading_does_not_start_it(portal: Portal) -> None:
    portal.kill("worker", "mirror")
    portal.kill_gateway()
    wait_for(lambda: not portal.find_gateways())
    with pytest.raises(AssertionError, match="cannot be reached"):
        portal.manage("shell", "--no-imports", "-c", ASK)
    assert not portal.find_gateways()
