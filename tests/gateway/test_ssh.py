"""What happens to sites that are reached by ssh: a real sshd, its keys and its shells."""

import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.gateways import RunningGateway, gateway
from tests.support.site_host import PYTHON, SiteHost, allow_key, make_key
from tests.support.unix_accounts import change_accounts, processes_of
from tests.support.waiting import wait_for


@contextmanager
def reach(host: SiteHost, place: Path, **changes: Any) -> Iterator[RunningGateway]:
    with gateway(place, {"here": host.reach("ssh", **changes)}, PYTHON, **host.as_gateway()) as made:
        yield made


def find_reason(host: SiteHost, place: Path, **changes: Any) -> tuple[str, str]:
    """Return why the host is not reached, and the remedy."""
    with reach(host, place, **changes) as made:
        known = wait_for(made.describe, is_enough=lambda known: "not been reached yet" not in known["reason"])
        assert not known["is_connected"]
        return known["reason"], known["remedy"]


def run_here(made: RunningGateway) -> int:
    """Run a command and return its exit status."""
    made.wait_for_host()
    key = str(uuid.uuid4())
    made.start("-c", "exit 88", key=key)
    return wait_for_end(made, key)


def wait_for_end(made: RunningGateway, key: str) -> int:
    """Return the exit status of a command when it has ended."""
    look = wait_for(lambda: made.look_if_there(key=key), is_enough=lambda look: look.get("state") == "ended")
    return int(look["exit_status"])


@contextmanager
def shell(host: SiteHost, program: str) -> Iterator[None]:
    """Let the account of the site have another login shell for a while."""
    try:
        change_accounts("usermod", "--shell", program, host.site)
        yield
    finally:
        change_accounts("usermod", "--shell", "/bin/sh", host.site)


@pytest.fixture
def noise(host: SiteHost) -> Iterator[Path]:
    """Lend the file that bash reads when sshd starts it."""
    file = Path("/tmp") / host.site / ".bashrc"
    with shell(host, "/bin/bash"):
        yield file
    file.unlink()


@pytest.fixture
def keys(host: SiteHost) -> Iterator[Path]:
    """Lend the folder of the gateway's keys; it is as it was afterwards."""
    folder, allowed = Path("/tmp") / host.gateway / ".ssh", host.folder / "authorized_keys" / host.site
    before = {file: file.read_text() for file in (folder / "known_hosts", folder / "key.pub", allowed)}
    yield folder
    for file, text in before.items():
        file.write_text(text)


def test_fifty_commands_need_one_session(host: SiteHost, place: Path) -> None:
    wait_for(lambda: not processes_of(host.gateway))  # an earlier one may be signing in
    before = host.count_sessions()
    with reach(host, place) as made:
        made.wait_for_host()
        keys = [str(uuid.uuid4()) for _ in range(50)]
        for number, key in enumerate(keys):
            made.start("-c", f"exit {number}", key=key)
        assert [wait_for_end(made, key) for key in keys] == list(range(50))
    assert host.count_sessions() == before + 1


def test_a_host_whose_key_has_changed_is_not_believed(host: SiteHost, place: Path, keys: Path) -> None:
    make_key(place / "another")
    another = (place / "another.pub").read_text()
    (keys / "known_hosts").write_text(f"[{host.address}]:{host.port} {another}")
    reason, remedy = find_reason(host, place)
    assert reason.startswith("The host shows another key than the one in known_hosts: ")
    assert "fingerprint" in remedy


def test_a_host_that_is_not_known_is_not_believed(host: SiteHost, place: Path, keys: Path) -> None:
    (keys / "known_hosts").write_text("")
    reason, remedy = find_reason(host, place)
    assert reason.startswith("The key of the host is not in known_hosts: ")
    assert "ssh-keyscan" in remedy


def test_a_key_that_the_host_does_not_take_is_told(host: SiteHost, place: Path, keys: Path) -> None:
    allow_key(host, "")
    reason, remedy = find_reason(host, place)
    assert reason == "The host does not take the gateway's key: Permission denied (publickey)."
    assert "authorized_keys" in remedy


def test_a_key_that_is_not_there_is_told(host: SiteHost, place: Path) -> None:
    reason, _ = find_reason(host, place, identity_file="/nonexistent/key")
    assert reason.startswith("The gateway cannot use its key: Identity file /nonexistent/key not accessible")


def test_a_port_where_nobody_listens_is_told(host: SiteHost, place: Path) -> None:
    reason, _ = find_reason(host, place, port=9)
    assert reason.startswith("The host cannot be reached: ")


def test_an_agent_that_is_not_installed_is_told(host: SiteHost, place: Path) -> None:
    reason, remedy = find_reason(host, place, agent="/opt/nowhere/agent.pyz")
    assert reason.startswith("The agent's file is not there: can't open file '/opt/nowhere/agent.pyz'")
    assert "Install it" in remedy


@pytest.mark.parametrize("program", ["/bin/bash", "/bin/dash"])
def test_a_python_that_is_not_there_is_told(host: SiteHost, place: Path, program: str) -> None:
    with shell(host, program):
        reason, _ = find_reason(host, place, python="python3.99")
    assert reason.startswith("There is no such Python: ")


def test_a_python_that_is_too_old_is_told(host: SiteHost, place: Path) -> None:
    """No old one can be counted on to be here, so that this one takes itself for old."""
    old = place / "python"
    code = "import runpy, sys; sys.version_info = (3, 9); runpy.run_path(sys.argv[2], run_name='__main__')"
    old.write_text(f'#!/bin/sh\nexec {PYTHON} -c "{code}" "$@"\n')
    old.chmod(0o755)
    reason, remedy = find_reason(host, place, python=str(old))
    assert reason.startswith("The Python of the host is too old: The agent needs Python 3.10 or newer")
    assert "python of this host" in remedy


def test_an_agent_of_another_version_is_told(host: SiteHost, place: Path) -> None:
    """It speaks what nobody speaks yet."""
    agent = place / "agent.pyz"
    code = "oldest=(1, 0), newest=(1, 0)"
    with zipfile.ZipFile(host.agent) as ours, zipfile.ZipFile(agent, "w") as theirs:
        for name in ours.namelist():
            theirs.writestr(name, ours.read(name).decode().replace(code, code.replace("1", "7")))
    reason, remedy = find_reason(host, place, agent=str(agent))
    assert reason.startswith("Agent and portal have no common language: it speaks protocol ")
    assert "agent --build" in remedy


@pytest.mark.parametrize("program", ["/bin/dash", "/bin/rbash"])
def test_any_login_shell_will_do(host: SiteHost, place: Path, program: str) -> None:
    with shell(host, program), reach(host, place) as made:
        assert run_here(made) == 88


def test_an_account_without_a_shell_is_told(host: SiteHost, place: Path) -> None:
    with shell(host, "/usr/sbin/nologin"):
        reason, remedy = find_reason(host, place)
    assert reason.startswith("The account has no shell: ")
    assert "usermod" in remedy


def test_what_a_shell_prints_before_is_skipped(host: SiteHost, place: Path, noise: Path) -> None:
    noise.write_text('echo "Welcome to the cluster"; head -c 50000 /dev/urandom; echo "quota exceeded" >&2\n')
    with reach(host, place) as made:
        assert run_here(made) == 88


def test_a_shell_that_prints_too_much_is_told(host: SiteHost, place: Path, noise: Path) -> None:
    noise.write_text("yes Welcome to the cluster | head -c 200000\n")
    reason, _ = find_reason(host, place)
    assert reason.startswith("Something else than an agent answers: no frame in the first 65536 bytes, only 'Welcome")


def test_a_key_that_is_held_to_the_agent_opens_nothing_else(host: SiteHost, place: Path, keys: Path) -> None:
    agent = f"python3 -I {host.agent} {host.site_file}"
    allow_key(host, f'restrict,command="{agent}" {(keys / "key.pub").read_text()}')
    with reach(host, place, agent="/nonexistent/other.pyz") as made:
        assert run_here(made) == 88
