"""Our own gateway and agents on this host: without walls, as the account of the worker that starts them.

Their files say what the rows of sites say, so that what is changed in the console holds at once. A gateway that an
administrator has set up (PORTAL_GATEWAY) has files of its own, in which no row has a say.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from autosubmit_portal.access.models import SiteAccount
from autosubmit_portal.agent import files
from autosubmit_portal.gateway import caller
from autosubmit_portal.gateway.agent_archive import write_archive
from experiments.autosubmit.environment import make_environment
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import ACTIVE_STATES, Action, Host, Site

PROFILE = "usual"
START_SECONDS = 20.0
_LOOK_SECONDS = 0.05


def write_files() -> Path:
    """Write the file of hosts, and for each host that of its site, where they are not so already; return the first.

    What belongs to hosts or agents that are gone is removed.
    """
    folder = settings.OWN_GATEWAY_DIRECTORY
    with _writing():
        accounts, agent = _find_accounts(), _keep_agent()
        hosts = {
            host.name: {"channel": "local", "agent": str(agent), "site_file": str(_write_site_file(host, accounts))}
            for host in Host.objects.select_related("site")
        }
        sockets = {name: str(folder / name) for name in ("reading", "acting")}
        file = _write(folder / "hosts.json", {"portal": read_portal_id(), **sockets, "hosts": hosts})
        for other in {*folder.glob("site-*.json")} - {Path(host["site_file"]) for host in hosts.values()}:
            other.unlink(missing_ok=True)
        _remove_old_agents(agent)
    return file


def write_site_file(host: Host) -> Path:
    """Write what the agent of a host may do: whatever the row of its site says."""
    with _writing():
        fresh = Host.objects.select_related("site").get(pk=host.pk)
        return _write_site_file(fresh, _find_accounts(site=fresh.site_id))


def refresh_site_file(host: Host) -> None:
    """Write what the agent of a host may do, unless its file names the place of the store as the row of the site does.

    It asks the database nothing then. What else is in the file is for commands, before which it is written anyway.
    """
    if _read_place(_find_site_file(host)) != _tell_place(host.site):
        write_site_file(host)


def _write_site_file(host: Host, accounts: Mapping[int, Collection[str]]) -> Path:
    site = host.site
    program = Path(site.autosubmit)
    variables = make_environment(program, site.home_folder, settings.CACHES_DIRECTORY, site.configuration)
    allowed = {
        **_tell_place(site),
        "spool": str(settings.SPOOL_DIRECTORY),
        "legacy": str(settings.ACTIONS_DIRECTORY),
        "umask": f"{settings.COMMANDS_UMASK:04o}",
        "kinds": {kind.name: kind.first_words for kind in CATALOGUE.values()},
        "accounts": sorted(accounts.get(host.site_id, ())),
        "profiles": {PROFILE: variables},
    }
    return _write(_find_site_file(host), allowed)


def _find_site_file(host: Host) -> Path:
    return Path(settings.OWN_GATEWAY_DIRECTORY, f"site-{host.pk}.json")


def _tell_place(site: Site) -> dict[str, str]:
    """Return what the file says of the place of a store."""
    place = {"program": site.autosubmit, "home": site.home}
    return place | ({"configuration": site.configuration} if site.configuration else {})


def _read_place(file: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        told = json.loads(file.read_bytes())
        return {name: told[name] for name in ("program", "home", "configuration") if name in told}
    return {}


def _keep_agent() -> Path:
    """Return the agent of this version, which another version may have removed."""
    folder = settings.PORTAL_HOME / "agents"
    if not _write_agent(folder).exists():
        _write_agent.cache_clear()
    return _write_agent(folder)


def _remove_old_agents(agent: Path) -> None:
    """Remove the agents of other versions, unless one of their processes goes on."""
    old = {*agent.parent.glob("agent-*.pyz")} - {agent}
    running = _read_command_lines() if old else b""
    for file in old:
        if os.fsencode(file) not in running:
            file.unlink(missing_ok=True)


def _read_command_lines() -> bytes:
    """Return the command lines of all processes that we see."""
    lines = b""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            lines += file.read_bytes() + b"\0"
    return lines


def make_command(*, until_idle: bool) -> list[str]:
    """Return the command that is our gateway; its files are there after."""
    options = ["--until-idle"] if until_idle else []
    return [sys.executable, "-P", "-m", "autosubmit_portal.gateway", str(write_files()), *options]


def make_process_environment() -> dict[str, str]:
    """Return the variables of a gateway: none of the portal's, because agents and commands come of it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "PYTHONPATH": str(settings.BASE_DIR)}


def start() -> None:
    """Start our gateway in a session of its own, unless one listens; it ends when nobody has asked for some minutes."""
    with _alone("lock"), _open("log") as log:
        if _is_listening():
            return
        subprocess.Popen(
            make_command(until_idle=True),
            cwd="/",
            env=make_process_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,  # of its own: who waits for the end of our output must not wait for the gateway
            start_new_session=True,
            **_become_owner(),
        )
        deadline = time.monotonic() + START_SECONDS
        while not _is_listening() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)


def read_portal_id() -> str:
    """Return what tells this portal from others that use the same spool; made once, and in no copy of the database."""
    file = settings.PORTAL_HOME / "portal_id"
    if not file.exists():
        with _as_owner():
            files.link_new(file, str(uuid.uuid4()))
    return files.read_text(file)


@cache
def _write_agent(folder: Path) -> Path:
    return write_archive(folder)


def _is_listening() -> bool:
    try:
        caller.list_hosts(settings.OWN_GATEWAY_DIRECTORY / "reading", START_SECONDS)
    except caller.Refused:
        return False
    except caller.Unanswered:  # it is only slow
        return True
    return True


@contextmanager
def _writing() -> Iterator[None]:
    """Write as the only one, so that rows that were read earlier are not written later."""
    with _alone("writing"), _as_owner():
        yield


@contextmanager
def _alone(name: str) -> Iterator[None]:
    with _open(name) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _open(name: str) -> IO[bytes]:
    """Open a file of the gateway to write to its end."""
    place = settings.OWN_GATEWAY_DIRECTORY
    with _as_owner():
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (place / name).open("ab")


@contextmanager
def _as_owner() -> Iterator[None]:
    """Be the account of the portal where we are root, as an administrator is: it must be able to read what we write."""
    owner = find_owner()
    if not owner:
        yield
        return
    os.setegid(owner[1])
    os.seteuid(owner[0])
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _become_owner() -> dict[str, Any]:
    """Return how root starts what belongs to the account of the portal."""
    owner = find_owner()
    return {"user": owner[0], "group": owner[1], "extra_groups": ()} if owner else {}


def find_owner() -> tuple[int, int] | None:
    """Return the account and the group that the portal's home is of, if we are root and it is not root's."""
    status = settings.PORTAL_HOME.stat()
    return None if os.geteuid() or not status.st_uid else (status.st_uid, status.st_gid)


def _find_accounts(**among: Any) -> Mapping[int, Collection[str]]:
    """Return the accounts by site: those that are entered, and those of commands that go on, to end them."""
    entered = SiteAccount.objects.filter(**among).values_list("site", "unix_name")
    active = Action.objects.filter(**among, state__in=ACTIVE_STATES).exclude(unix_name="")
    found: dict[int, set[str]] = {}
    for site, name in [*entered, *active.order_by().values_list("site", "unix_name").distinct()]:
        found.setdefault(site, set()).add(name)
    return found


def _write(file: Path, content: dict[str, Any]) -> Path:
    """Write a file, unless it says this already: who watches it need not look."""
    data = json.dumps(content, indent=1, ensure_ascii=False).encode()
    if not file.exists() or file.read_bytes() != data:
        files.replace(file, data)
    return file
