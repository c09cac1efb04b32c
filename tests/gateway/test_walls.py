"""What an experiment brings along reaches nothing of portal and gateway: real accounts, sudo, sshd and git."""

import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gateway.gateways import RunningGateway, gateway, reached
from tests.support.site_host import PYTHON, SiteHost, read_rule
from tests.support.waiting import wait_for

IN_ENVIRONMENT, IN_HOME, IN_KEY = "secret-of-the-environment", "secret-of-the-home", "OPENSSH PRIVATE KEY"
# Tries whatever somebody would try who may write in an experiment, and prints what it gets.
HOOK = """#!/bin/sh
exec 2>&1
id -un
env
for file in {files}; do cat "$file"; done
for process in {processes}; do tr '\\0' '\\n' <"/proc/$process/environ"; ls -l "/proc/$process/fd"; done
for place in {sockets}; do
    {python} -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print("connected")' "$place"
done
echo changed >>{known_hosts} && echo changed
sudo -n -u {portal} -- /bin/sh -c "echo became" </dev/null
sudo -n -u {gateway} -- /bin/sh -c "echo became" </dev/null
"""


@contextmanager
def portal(host: SiteHost) -> Iterator[int]:
    """Lend a process of the portal's account, with secrets in its home and its environment."""
    home = Path("/tmp") / host.portal
    (home / "secret_key").write_text(IN_HOME)
    (home / "secret_key").chmod(0o644)  # the home is closed
    environment = {"PORTAL_SECRET_KEY": IN_ENVIRONMENT}
    with subprocess.Popen(
        ["/bin/sleep", "600"], user=host.portal, group=host.portal, extra_groups=(), env=environment
    ) as process:
        yield process.pid
        process.kill()


def write_hook(host: SiteHost, made: RunningGateway, portal_process: int, file: Path) -> None:
    """Write the script that looks for everything."""
    secrets = Path("/tmp") / host.gateway / ".ssh"
    files = (f"/tmp/{host.portal}/secret_key", secrets / "key", made.reading.with_name("hosts.json"))
    text = HOOK.format(
        files=" ".join(map(str, files)),
        processes=f"{portal_process} {made.process.pid}",
        sockets=f"{made.reading} {made.acting}",
        python=PYTHON,
        known_hosts=secrets / "known_hosts",
        portal=host.portal,
        gateway=host.gateway,
    )
    file.write_text(text)
    file.chmod(0o755)


def clone_project(host: SiteHost, place: Path) -> Path:
    """Clone a project with git, as the account of the site; return the folder of the clone."""
    script = f"""
        export HOME={place}/home GIT_CONFIG_GLOBAL=/dev/null
        git init -q {place}/origin && cd {place}/origin
        git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first && git branch other
        git clone -q {place}/origin {place}/proj
    """
    subprocess.run(["/bin/sh", "-ec", script], check=True, user=host.site, group=host.site, extra_groups=(), cwd="/")
    return place / "proj"


@pytest.mark.parametrize("channel", ["sudo", "ssh", "websocket"])
def test_a_hook_of_a_cloned_project_gets_nothing_of_portal_and_gateway(
    host: SiteHost, place: Path, channel: str
) -> None:
    project = clone_project(host, place)
    with reached(host, place, channel, {"GATEWAY_TOKEN": IN_ENVIRONMENT}) as made, portal(host) as portal_process:
        (place / "hosts.json").chmod(0o600)
        write_hook(host, made, portal_process, project / ".git" / "hooks" / "post-checkout")
        found = run_at_site(made, f"git -C {project} checkout -q other")
        assert host.site in found.splitlines()
        for secret in (IN_ENVIRONMENT, IN_HOME, IN_KEY, "connected", "changed", "became", '"hosts"', "-> "):
            assert secret not in found


def test_the_same_hook_finds_all_where_it_may(host: SiteHost, place: Path) -> None:
    """Otherwise that it finds nothing would prove nothing."""
    environment = host.as_gateway()["env"] | {"GATEWAY_TOKEN": IN_ENVIRONMENT}
    with gateway(place, {}, PYTHON, **(host.as_gateway() | {"env": environment})) as made:
        with portal(host) as portal_process:
            write_hook(host, made, portal_process, place / "hook")
            found = subprocess.run([str(place / "hook")], check=False, capture_output=True, text=True).stdout
        for secret in (IN_ENVIRONMENT, IN_HOME, IN_KEY, "connected", "changed", "became", '"hosts"', "-> "):
            assert secret in found


def run_at_site(made: RunningGateway, script: str) -> str:
    """Run a script at the site to its end, and return what it has printed."""
    made.wait_for_host()
    key = str(uuid.uuid4())
    made.start("-c", script, key=key)
    wait_for(lambda: made.look(key=key), is_enough=lambda look: look["state"] == "ended")
    return made.read_output(key).decode()


def test_sudo_takes_the_rule_of_the_document(tmp_path: Path) -> None:
    """A line that sudo does not take would close sudo to everybody."""
    if not Path("/usr/sbin/visudo").exists():
        pytest.skip("needs the package sudo")
    file = tmp_path / "rule"
    file.write_text(read_rule())
    checked = subprocess.run(["/usr/sbin/visudo", "-c", "-f", str(file)], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_the_rule_is_for_the_gateways_account_only() -> None:
    lines = read_rule().splitlines()
    assert all(re.match(r"(Defaults:)?autosubmit-gateway\b", line) for line in lines)


REFUSED = {
    "another program": ["-u", "{site}", "--", "/bin/sh", "-c", "id"],
    "Python without isolation": ["-u", "{site}", "--", PYTHON, "{agent}", "{site_file}"],
    "another site file": ["-u", "{site}", "--", PYTHON, "-I", "{agent}", "/tmp/other.json"],
    "one argument more": ["-u", "{site}", "--", PYTHON, "-I", "{agent}", "{site_file}", "x"],
    "another account": ["-u", "{portal}", "--", PYTHON, "-I", "{agent}", "{site_file}"],
    "the superuser": ["--", PYTHON, "-I", "{agent}", "{site_file}"],
    "its variables": ["-E", "-u", "{site}", "--", PYTHON, "-I", "{agent}", "{site_file}"],
    "a variable": ["-u", "{site}", "LD_PRELOAD=/tmp/x.so", PYTHON, "-I", "{agent}", "{site_file}"],
    "another folder": ["-D", "/tmp", "-u", "{site}", "--", PYTHON, "-I", "{agent}", "{site_file}"],
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_gateway_gets_nothing_else_from_sudo(host: SiteHost, what: str) -> None:
    names = {"site": host.site, "portal": host.portal, "agent": host.agent, "site_file": host.site_file}
    command = ["/usr/bin/sudo", "-n", *(part.format(**names) for part in REFUSED[what])]
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, **host.as_gateway()
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"^sudo: |not allowed", done.stderr, re.MULTILINE)


def test_no_variable_of_the_gateway_reaches_the_agent(host: SiteHost, place: Path) -> None:
    mine = {"LD_PRELOAD": "", "PYTHONSTARTUP": "/tmp/x", "BASH_ENV": "/tmp/x", "PORTAL_SECRET_KEY": IN_ENVIRONMENT}
    how = host.as_gateway() | {"env": host.as_gateway()["env"] | mine}
    with gateway(place, {"here": host.reach("sudo")}, PYTHON, **how) as made:
        made.wait_for_host()
        agent = host.find_agent()
        names = {line.partition("=")[0] for line in Path(f"/proc/{agent}/environ").read_text().split("\0")}
    # Python itself sets LC_CTYPE where there is no LANG.
    usual = {"", "HOME", "LANG", "LC_CTYPE", "LOGNAME", "MAIL", "PATH", "SHELL", "TERM", "USER"}
    assert {name for name in names if not name.startswith("SUDO_")} <= usual


def test_who_is_in_no_group_of_the_folders_reaches_neither_socket(host: SiteHost, place: Path) -> None:
    """The folders and links are those of docs/systemd/autosubmit-portal-gateway.conf, with groups of this host."""
    for name, group in (("readers", host.portal), ("actors", host.gateway)):
        (place / name).mkdir()
        shutil.chown(place / name, host.gateway, group)
        (place / name).chmod(0o2750)
    (place / "reading").symlink_to("readers/socket")
    (place / "acting").symlink_to("actors/socket")
    with gateway(place, {}, PYTHON, **host.as_gateway()):
        reached = {
            (account, name)
            for account in (host.portal, host.site)
            for name in ("reading", "acting")
            if can_connect(account, place / name)
        }
    assert reached == {(host.portal, "reading")}


def can_connect(account: str, socket: Path) -> bool:
    """Return whether an account without further groups reaches a socket."""
    code = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    command = [PYTHON, "-c", code, str(socket)]
    done = subprocess.run(
        command, check=False, capture_output=True, user=account, group=account, extra_groups=(), cwd="/"
    )
    return not done.returncode
