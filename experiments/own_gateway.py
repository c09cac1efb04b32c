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
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from autosubmit_portal.access.models import SiteAccount
from autosubmit_portal.agent import files
from autosubmit_portal.gateway import caller
from autosubmit_portal.gateway.agent_archive import write_archive
from experiments.autosubmit.environment import make_environment
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import ACTIVE_STATES, Action, Host

PROFILE = "usual"
START_SECONDS = 20.0
_LOOK_SECONDS = 0.05


def write_files() -> Path:
    """Write the file of hosts, and for each host that of its site, where they are not so already; return the first."""
    folder = settings.OWN_GATEWAY_DIRECTORY
    accounts = _find_accounts()
    hosts = {
        host.name: {"channel": "local", "agent": _write_agent(), "site_file": str(_write_site_file(host, accounts))}
        for host in Host.objects.select_related("site")
    }
    sockets = {name: str(folder / name) for name in ("reading", "acting")}
    return _write(folder / "hosts.json", {"portal": read_portal_id(), **sockets, "hosts": hosts})


def write_site_file(host: Host) -> Path:
    """Write what the agent of a host may do: whatever the row of its site says."""
    return _write_site_file(host, _find_accounts(site=host.site_id))


def _write_site_file(host: Host, accounts: Mapping[int, Collection[str]]) -> Path:
    site = host.site
    program = Path(site.autosubmit)
    variables = make_environment(program, site.home_folder, settings.CACHES_DIRECTORY, site.configuration)
    allowed = {
        "program": site.autosubmit,
        "spool": str(settings.SPOOL_DIRECTORY),
        "legacy": str(settings.ACTIONS_DIRECTORY),
        "umask": f"{settings.COMMANDS_UMASK:04o}",
        "kinds": {kind.name: kind.first_words for kind in CATALOGUE.values()},
        "accounts": sorted(accounts.get(host.site_id, ())),
        "profiles": {PROFILE: variables},
        "home": site.home,
        **({"configuration": site.configuration} if site.configuration else {}),
    }
    return _write(settings.OWN_GATEWAY_DIRECTORY / f"site-{host.pk}.json", allowed)


def make_command(*, until_idle: bool) -> list[str]:
    """Return the command that is our gateway; its files are there after."""
    options = ["--until-idle"] if until_idle else []
    return [sys.executable, "-P", "-m", "autosubmit_portal.gateway", str(write_files()), *options]


def make_process_environment() -> dict[str, str]:
    """Return the variables of a gateway: none of the portal's, because agents and commands come of it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "PYTHONPATH": str(settings.BASE_DIR)}


def start() -> None:
    """Start our gateway in a session of its own, unless one listens; it ends when nobody has asked for some minutes."""
    place = settings.OWN_GATEWAY_DIRECTORY
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(place / "lock"), (place / "log").open("ab") as log:
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
        )
        deadline = time.monotonic() + START_SECONDS
        while not _is_listening() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)


def read_portal_id() -> str:
    """Return what tells this portal from others that use the same spool; made once, and in no copy of the database."""
    file = settings.PORTAL_HOME / "portal_id"
    if not file.exists():
        files.link_new(file, str(uuid.uuid4()))
    return files.read_text(file)


@cache
def _write_agent() -> str:
    return str(write_archive(settings.PORTAL_HOME / "agents"))


def _is_listening() -> bool:
    try:
        caller.list_hosts(settings.OWN_GATEWAY_DIRECTORY / "reading", START_SECONDS)
    except caller.Refused:
        return False
    except caller.Unanswered:  # it is only slow
        return True
    return True


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    with file.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


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
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = json.dumps(content, indent=1, ensure_ascii=False).encode()
    if not file.exists() or file.read_bytes() != data:
        files.replace(file, data)
    return file
