"""The hosts of sites, asked through the gateway of this host."""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from autosubmit_portal.agent.findings import Finding
from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.agent.protocol.fields import take_object, take_text, take_texts
from autosubmit_portal.gateway import caller, doctor
from autosubmit_portal.gateway.caller import NoGateway, Refused, Unanswered
from autosubmit_portal.sentences import marked, say
from experiments import own_gateway
from experiments.models import Host, Step

# What is asked is quick; what takes longer is unknown.
SECONDS = 20.0
# An agent of a host that is new in the file of hosts is there within so many seconds, if it comes.
ARRIVAL_SECONDS = 5.0
_LOOK_SECONDS = 0.05
# What a host may run is asked again when it was asked longer ago; somebody may wait for the answer.
_RULES_AGE = timedelta(minutes=1)
_MOST_NODE = 255
_RUN = "run"
_MOST_COMMANDS = 100
_MOST_PORTAL = 36
_MOST_PROGRAMS, _MOST_PROGRAM = 100, 50


@dataclass(frozen=True, slots=True)
class Absence:
    """Why a host is not connected, and since when; None where nobody knows. One that `is_new` may just be coming."""

    reason: str
    since: datetime | None = None
    is_new: bool = False


def ask(
    host: Host, name: str, arguments: dict[str, Any], seconds: float = SECONDS, *, is_for_page: bool = False
) -> tuple[dict[str, Any], bytes]:
    """Ask the agent of a host what changes nothing; return its answer and the bytes that came with it.

    Raises Refused, or Unanswered when there is no answer within `seconds`; for a page, soon when the agent is silent.
    """
    place = settings.GATEWAY_DIRECTORY / "reading"
    try:
        return caller.ask(place, host.name, name, arguments, seconds, is_for_page=is_for_page)
    except Refused as error:
        if error.code != "unknown" or not is_gateway_own():
            raise
    own_gateway.write_files()
    _await([host])
    return caller.ask(place, host.name, name, arguments, seconds, is_for_page=is_for_page)


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
    await_hosts([host])
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


def await_hosts(wanted: Sequence[Host]) -> dict[int, Absence]:
    """Return those of these hosts that cannot be asked to do anything now, by their keys. For workers.

    Those that are only just coming are waited for.
    """
    if is_gateway_own():
        own_gateway.write_files()
    keep_gateway()
    return _await(wanted)


def _await(wanted: Sequence[Host]) -> dict[int, Absence]:
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while True:
        try:
            away = look_for(wanted, SECONDS)
        except (NoGateway, Unanswered) as error:
            return dict.fromkeys((host.pk for host in wanted), Absence(str(error)))
        if not any(absence.is_new for absence in away.values()) or time.monotonic() > deadline:
            return away
        time.sleep(_LOOK_SECONDS)


def look_for(wanted: Sequence[Host], seconds: float) -> dict[int, Absence]:
    """Return those of these hosts that are not connected, by their keys.

    Raises NoGateway, and Unanswered when there is no answer within `seconds`.
    """
    return look_at(wanted, seconds)[1]


def read_spool() -> str:
    """Return which spool commands go to at each host: that of the portal that the gateway names. Raises Unanswered.

    It is blank for a gateway of before, which does not say it.
    """
    try:
        told = caller.list_hosts(settings.GATEWAY_DIRECTORY / "reading", SECONDS)
        return take_text(told, "portal", most=_MOST_PORTAL) if "portal" in told else ""
    except (NoGateway, ProtocolError) as error:
        raise Unanswered(str(error)) from error


def look_at(wanted: Sequence[Host], seconds: float) -> tuple[dict[int, str], dict[int, Absence]]:
    """Return the channels of those of these hosts that the gateway knows, and those that are not connected, by keys.

    Raises as `look_for` does.
    """
    known = caller.list_hosts(settings.GATEWAY_DIRECTORY / "reading", seconds)["hosts"]
    absences = {host.pk: _find_absence(host.name, known) for host in wanted}
    channels = {host.pk: str(known[host.name].get("channel", "")) for host in wanted if host.name in known}
    return channels, {key: absence for key, absence in absences.items() if absence}


def may_hide_run(host: Host, absence: Absence) -> bool:
    """Answer whether a run may live at a silent host, as far as its rules and managers say."""
    if _RUN in host.refused:
        return False
    return host.called_empty_at is None or (absence.since is not None and host.called_empty_at < absence.since)


def refresh_rules(asked: Iterable[Host], seconds: float = SECONDS) -> None:
    """Ask these hosts which commands they refuse, unless they were asked a moment ago.

    Of one that does not answer within `seconds`, or cannot tell, it holds what it has said before.
    """
    for host in asked:
        if host.rules_asked_at and timezone.now() - host.rules_asked_at < _RULES_AGE:
            continue
        try:
            _ask_rules(host, seconds)
        except Unanswered:
            continue
        except (Refused, ProtocolError) as error:
            if isinstance(error, Refused) and error.code == "away":
                continue
        host.rules_asked_at = timezone.now()
        Host.objects.filter(pk=host.pk).update(**{name: getattr(host, name) for name in Host.ASKED})


def forget_rules(host: Host) -> None:
    """Have a host asked again what it refuses, whenever that is needed next."""
    Host.objects.filter(pk=host.pk).update(rules_asked_at=None)


def _ask_rules(host: Host, seconds: float) -> None:
    if is_gateway_own():
        own_gateway.refresh_site_file(host)  # where the rc file is may have been changed in the console
    answer, _ = caller.ask(settings.GATEWAY_DIRECTORY / "reading", host.name, "read", {"what": "rules"}, seconds)
    host.node = take_text(answer, "node", most=_MOST_NODE)
    host.refused = take_texts(answer, "refused")[:_MOST_COMMANDS]
    host.programs = _take_programs(answer)


def _take_programs(answer: dict[str, Any]) -> dict[str, str]:
    """Return the versions of programs by their names; an agent of before tells none."""
    told = take_object(answer, "programs") if "programs" in answer else {}
    names = sorted(told)[:_MOST_PROGRAMS]
    return {name[:_MOST_PROGRAM]: take_text(told, name, most=_MOST_PROGRAM) for name in names}


_ONE_KEPT = marked(
    "{count} command is at {host} still: running, or with an end or an output that the portal has not got yet."
)
_SEVERAL_KEPT = marked(
    "{count} commands are at {host} still: running, or with an end or an output that the portal has not got yet."
)


def explain_use(host: Host) -> str:
    """Return why a host cannot be removed; blank if it can."""
    kept = Step.objects.filter(host=host, is_forgotten=False).count()
    if not kept:
        return ""
    return say(_ONE_KEPT if kept == 1 else _SEVERAL_KEPT, count=kept, host=host)


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
    found = {name: _find_absence(name, known) for name in names}
    return {name: absence.reason if absence else "" for name, absence in found.items()}


def _find_absence(name: str, known: dict[str, Any]) -> Absence | None:
    """Return the absence of a host, by what the gateway says of those that it knows; None if it is connected."""
    if name not in known:
        return Absence(say("The gateway does not know the host {name}.", name=name), is_new=True)
    told = known[name]
    if told["is_connected"]:
        return None
    seconds = told["for_seconds"]
    reason = say(
        "The host {host} has been away for {seconds} s. {reason}", host=name, seconds=seconds, reason=told["reason"]
    )
    return Absence(reason, timezone.now() - timedelta(seconds=seconds), is_new=seconds < ARRIVAL_SECONDS)
