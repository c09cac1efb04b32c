"""What the file of hosts says, as the program that reaches a host."""

from typing import Any

import pytest

from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.gateway.channels import make_command

SUDO = {"channel": "sudo", "account": "autosubmit", "agent": "/opt/agent.pyz"}
SSH = {
    "channel": "ssh",
    "destination": "climate@hpc.example.org",
    "port": 2222,
    "known_hosts": "/etc/portal/known_hosts",
    "identity_file": "/etc/portal/key",
    "agent": "/opt/agent.pyz",
}


def test_sudo_runs_one_program_as_one_account() -> None:
    assert make_command(SUDO) == [
        "/usr/bin/sudo",
        *("-n", "-H", "-u", "autosubmit", "--"),
        *("/usr/bin/python3", "-I", "/opt/agent.pyz"),
    ]


def test_ssh_asks_nobody_forwards_nothing_and_believes_one_key() -> None:
    command = make_command(SSH)
    options = {command[place + 1] for place, part in enumerate(command) if part == "-o"}
    assert {
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/etc/portal/known_hosts",
        "GlobalKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "ControlMaster=no",
        "Compression=yes",
        "ControlPath=none",
        "Port=2222",
    } <= options
    assert command[-3:] == ["--", "climate@hpc.example.org", "python3 -I /opt/agent.pyz"]


def test_what_the_login_shell_of_the_site_reads_is_quoted() -> None:
    command = make_command(SSH | {"agent": "/opt/a b/$(id).pyz", "site_file": "/etc/site's.json"})
    assert command[-1] == """python3 -I '/opt/a b/$(id).pyz' '/etc/site'"'"'s.json'"""


def test_another_program_is_run_as_it_is_named() -> None:
    argv = ["podman", "exec", "--interactive", "autosubmit", "python3", "-I", "/agent.pyz"]
    assert make_command({"channel": "command", "argv": argv}) == argv


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ({"channel": "telnet"}, "“channel” must be one of local, sudo, ssh, command, websocket"),
        ({"channel": "command", "argv": []}, "“argv” must have a program"),
        (SUDO | {"account": "-s"}, "“account” must be the name of a Unix account"),
        (SUDO | {"agent": "agent.pyz"}, "“agent” must be an absolute path"),
        (SUDO | {"python": "-c"}, "“python” must be an absolute path"),
        (SUDO | {"port": 22}, "'port' is unknown"),
        (SSH | {"destination": "-oProxyCommand=id"}, "“destination” must be"),
        (SSH | {"destination": "a b"}, "“destination” must be"),
        (SSH | {"port": 0}, "“port” must be"),
        (SSH | {"known_hosts": "/etc/${HOME}"}, "“known_hosts” must be a path of letters"),
        ({name: SSH[name] for name in SSH if name != "known_hosts"}, "“known_hosts” must be"),
    ],
)
def test_a_host_that_is_not_understood_is_refused(host: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        make_command(host)
