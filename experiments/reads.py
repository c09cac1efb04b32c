"""What stands in the files of an experiment, read by the agent of its site: the portal opens none of them.

What an agent says is believed no more than what a browser says: its form is checked, and secrets are masked again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from autosubmit_portal.agent.protocol import ProtocolError, strict_json
from autosubmit_portal.gateway.caller import NoGateway, Refused, Unanswered
from autosubmit_portal.sentences import say
from experiments import hosts, own_gateway
from experiments.autosubmit.store import BrokenStore
from experiments.hosts import Absence
from experiments.models import Experiment, Host, Site

SECONDS = 15.0
"""So long somebody waits for what takes long to read; that an agent is away is known at once."""
EXPERIMENT_SECONDS = 240.0
"""So long a gateway waits: a large list takes longer than anybody waits at a page."""


_LOOK_SECONDS = 1.0


class HostAway(BrokenStore):
    """The host that would read does not answer; the text says since when and why."""


class HostBusy(BrokenStore):
    """The host that would read has too much to read; the text says so."""


class Missing(Exception):
    """There is no such thing to read; the text says which."""


class Unreadable(Exception):
    """It cannot be read now; the text says why."""


def read(experiment: Experiment, what: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return what the agent answers. Raises BrokenStore, of which HostAway is one, Missing and Unreadable."""
    asked = {"expid": experiment.expid, "what": what, **arguments}
    return ask(find_host(experiment.site), "read", asked, is_for_page=True)


def find_host(site: Site, at_site: Sequence[Host] = ()) -> Host:
    """Return who reads the files of a site: the first of its hosts that is there. Raises HostAway.

    `at_site` are those hosts, where they are known already.
    """
    at_site = at_site or [*site.hosts.select_related("site")]
    if not at_site:
        raise HostAway(f"{site} has no host.")
    away = find_away(at_site) if len(at_site) > 1 else {}
    host = next((host for host in at_site if host.pk not in away), at_site[0])
    if hosts.is_gateway_own():
        own_gateway.refresh_site_file(host)  # where the store is may have been changed in the console
    return host


def find_away(at_site: Sequence[Host]) -> dict[int, Absence]:
    """Return the hosts that are not connected, by their keys; none while the gateway does not say."""
    try:
        return hosts.look_for(at_site, _LOOK_SECONDS)
    except (NoGateway, Unanswered):
        return {}


def ask(host: Host, name: str, arguments: dict[str, Any], *, is_for_page: bool = False) -> tuple[dict[str, Any], bytes]:
    """Return what the agent of a host answers. Raises as `read` does."""
    seconds = EXPERIMENT_SECONDS if arguments.get("what") == "experiment" else SECONDS
    try:
        return hosts.ask(host, name, arguments, seconds, is_for_page=is_for_page)
    except Unanswered as error:
        raise HostAway(
            say("The files are read by the host {host}, which does not answer. {error}", host=host, error=error)
        ) from error
    except Refused as error:
        raise _make_error(host, error) from error


def read_document(experiment: Experiment, what: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object that the agent answers. Raises as `read` does."""
    _, data = read(experiment, what, arguments)
    with understand(experiment.site):
        return strict_json.decode_document(data)


@contextmanager
def understand(site: Site) -> Iterator[None]:
    """Turn a ProtocolError about an answer that no agent of ours gives into BrokenStore."""
    try:
        yield
    except ProtocolError as error:
        raise BrokenStore(
            say("What the agent of {site} answers is not understood: {error}.", site=site, error=error)
        ) from error


def _make_error(host: Host, error: Refused) -> Exception:
    if error.code == "missing":
        return Missing(str(error))
    if error.code == "unreadable":
        return Unreadable(str(error))
    if error.code == "away":
        return HostAway(say("The files are read by the host {host}, which is away. {error}", host=host, error=error))
    return HostBusy(str(error)) if error.code == "busy" else BrokenStore(str(error))
