"""The hosts of sites, asked through the gateway of this host."""

import time
from typing import Any

from django.conf import settings

from autosubmit_portal.agent.findings import Finding
from autosubmit_portal.gateway import caller, doctor
from autosubmit_portal.gateway.caller import NoGateway, Refused, Unanswered
from experiments import own_gateway
from experiments.models import Host, Site

# What is asked is quick; what takes longer is unknown.
SECONDS = 20.0
# An agent of a host that is new in the file of hosts is there within so many seconds, if it comes.
_ARRIVAL_SECONDS = 5.0
_LOOK_SECONDS = 0.05


def ask(host: Host, name: str, arguments: dict[str, Any], seconds: float = SECONDS) -> tuple[dict[str, Any], bytes]:
    """Ask the agent of a host what changes nothing; return its answer and the bytes that came with it.

    Raises Refused, or Unanswered when there is no answer within `seconds`.
    """
    return _ask("reading", host, name, arguments, seconds)


def act(host: Host, name: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Have the agent of a host do something. For workers: only they may. Raises Refused and Unanswered."""
    return _ask("acting", host, name, arguments, SECONDS)


def _ask(socket: str, host: Host, name: str, arguments: dict[str, Any], seconds: float) -> tuple[dict[str, Any], bytes]:
    """Ask at a socket of the gateway; our own one is started if it does not run, and told of a host that is new."""
    place = settings.GATEWAY_DIRECTORY / socket
    try:
        return caller.ask(place, host.name, name, arguments, seconds)
    except Refused as error:
        if isinstance(error, NoGateway) and settings.STARTS_GATEWAY:
            own_gateway.start()
        elif error.code == "unknown" and is_gateway_own():
            own_gateway.write_files()
        else:
            raise
    _await_arrival(host)
    return caller.ask(place, host.name, name, arguments, seconds)


def is_gateway_own() -> bool:
    """Answer whether the gateway is our own: without walls, and with files that we write."""
    return bool(settings.GATEWAY_DIRECTORY == settings.OWN_GATEWAY_DIRECTORY)


def explain_absence(site: Site) -> str:
    """Return why the host of a site cannot be asked to do anything now; blank if it can. For workers."""
    host = site.hosts.first()
    if host is None:
        return f"{site} has no host."
    if is_gateway_own():
        own_gateway.write_files()
    try:
        return _await_arrival(host)
    except NoGateway as error:
        if not settings.STARTS_GATEWAY:
            return str(error)
    own_gateway.start()
    try:
        return _await_arrival(host)
    except NoGateway as error:
        return str(error)


def examine(host: Host) -> list[Finding]:
    """Return everything that an action at a host would need, and what is wrong with it."""
    if settings.STARTS_GATEWAY:
        explain_absence(host.site)  # our own gateway may be idle
    return doctor.examine(settings.GATEWAY_DIRECTORY / "reading", host.name)


def find_absences(seconds: float) -> dict[str, str]:
    """Return of each host of the gateway why it is not connected, blank if it is.

    Raises NoGateway, and Unanswered when there is no answer within `seconds`.
    """
    if is_gateway_own():
        own_gateway.write_files()  # a site that is new in the console may not have been asked anything yet
    known = caller.list_hosts(settings.GATEWAY_DIRECTORY / "reading", seconds)["hosts"]
    return {name: _explain(name, host) for name, host in known.items()}


def _explain(name: str, known: dict[str, Any]) -> str:
    if known["is_connected"]:
        return ""
    return f"The host {name} has been away for {known['for_seconds']} s. {known['reason']}"


def _await_arrival(host: Host) -> str:
    """Return why a host is not connected, after it has had the time that a new one needs; blank if it is."""
    deadline = time.monotonic() + _ARRIVAL_SECONDS
    while True:
        reason, is_new = _look_for(host)
        if not reason or not is_new or time.monotonic() > deadline:
            return reason
        time.sleep(_LOOK_SECONDS)


def _look_for(host: Host) -> tuple[str, bool]:
    """Return why a host is not connected, blank if it is, and whether it may just be coming."""
    try:
        known = caller.list_hosts(settings.GATEWAY_DIRECTORY / "reading", SECONDS)["hosts"].get(host.name)
    except Unanswered as error:
        return str(error), False
    if known is None:
        return f"The gateway does not know the host {host}.", True
    return _explain(host.name, known), known["for_seconds"] < _ARRIVAL_SECONDS
