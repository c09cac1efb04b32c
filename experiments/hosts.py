"""The hosts of sites, asked through the gateway of this host."""

import time
from collections.abc import Collection
from typing import Any

from django.conf import settings

from autosubmit_portal.agent.findings import Finding
from autosubmit_portal.gateway import caller, doctor
from autosubmit_portal.gateway.caller import NoGateway, Refused, Unanswered
from experiments import own_gateway
from experiments.models import Host, Site, Step

# What is asked is quick; what takes longer is unknown.
SECONDS = 20.0
# An agent of a host that is new in the file of hosts is there within so many seconds, if it comes.
_ARRIVAL_SECONDS = 5.0
_LOOK_SECONDS = 0.05


def ask(host: Host, name: str, arguments: dict[str, Any], seconds: float = SECONDS) -> tuple[dict[str, Any], bytes]:
    """Ask the agent of a host what changes nothing; return its answer and the bytes that came with it.

    Raises Refused, or Unanswered when there is no answer within `seconds`.
    """
    place = settings.GATEWAY_DIRECTORY / "reading"
    try:
        return caller.ask(place, host.name, name, arguments, seconds)
    except Refused as error:
        if error.code != "unknown" or not is_gateway_own():
            raise
    own_gateway.write_files()
    _await_arrival(host)
    return caller.ask(place, host.name, name, arguments, seconds)


def act(host: Host, name: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Have the agent of a host do something. For workers: only they may. Raises Refused and Unanswered.

    A host that is only just coming is waited for: nothing was asked of it yet.
    """
    place = settings.GATEWAY_DIRECTORY / "acting"
    try:
        return caller.ask(place, host.name, name, arguments, SECONDS)
    except Refused as error:
        if error.code not in ("away", "unknown"):
            raise
    explain_absence(host.site, host)
    return caller.ask(place, host.name, name, arguments, SECONDS)


def keep_gateway() -> None:
    """Start our own gateway, if it does not run and nobody else is to start it. For workers.

    Agents and commands come of it: they must not end with a web server.
    """
    if settings.STARTS_GATEWAY:
        own_gateway.start()


def is_gateway_own() -> bool:
    """Answer whether the gateway is our own: without walls, and with files that we write."""
    return bool(settings.GATEWAY_DIRECTORY == settings.OWN_GATEWAY_DIRECTORY)


def explain_absence(site: Site, host: Host | None = None) -> str:
    """Return why the host of a site cannot be asked to do anything now; blank if it can. For workers."""
    host = host or site.hosts.first()
    if host is None:
        return f"{site} has no host."
    if is_gateway_own():
        own_gateway.write_files()
    keep_gateway()
    try:
        return _await_arrival(host)
    except NoGateway as error:
        return str(error)


def explain_use(host: Host) -> str:
    """Return why a host cannot be removed; blank if it can."""
    kept = Step.objects.filter(host=host, is_forgotten=False).count()
    if not kept:
        return ""
    return (
        f"{kept} {'command is' if kept == 1 else 'commands are'} at {host} still: running, or with an end or an output "
        "that the portal has not got yet."
    )


def examine(host: Host) -> list[Finding]:
    """Return everything that an action at a host would need, and what is wrong with it."""
    if is_gateway_own():
        own_gateway.write_files()
    return doctor.examine(settings.GATEWAY_DIRECTORY / "reading", host.name)


def find_absences(names: Collection[str], seconds: float) -> dict[str, str]:
    """Return of each of these hosts why it is not connected, blank if it is.

    Raises NoGateway, and Unanswered when there is no answer within `seconds`.
    """
    known = caller.list_hosts(settings.GATEWAY_DIRECTORY / "reading", seconds)["hosts"]
    if is_gateway_own() and not known.keys() >= set(names):
        own_gateway.write_files()  # a site that is new in the console may not have been asked anything yet
    unknown = "The gateway does not know the host {}."
    return {name: _explain(name, known[name]) if name in known else unknown.format(name) for name in names}


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
