"""The examination of a host, from the portal: the way to it, what its agent finds, its clock."""

import time
from pathlib import Path

from autosubmit_portal.agent.findings import Finding, Level, decode
from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.gateway.caller import Refused, Unanswered, ask, list_hosts

# Longer than a gateway waits for an agent.
SECONDS = 50.0
MOST_CLOCK_SECONDS = 5.0


def examine(place: Path, host: str, seconds: float = SECONDS) -> list[Finding]:
    """Return all that an action at a host would need, asked on a socket of the gateway; what is wrong says so."""
    try:
        known = list_hosts(place, seconds)["hosts"].get(host)
    except (Refused, Unanswered) as error:
        return [Finding("gateway", Level.FAIL, str(error), "Start it: systemctl start autosubmit-portal-gateway.")]
    if known is None:
        text = f"The gateway knows no host {host}."
        return [Finding("channel", Level.FAIL, text, "Name it in the file of hosts.")]
    if not known["is_connected"]:
        text = f"There has been no connection for {known['for_seconds']} s. {known['reason']}"
        return [Finding("channel", Level.FAIL, text, known["remedy"])]
    return [_describe_channel(known), *_ask_agent(place, host, seconds)]


def _describe_channel(known: Message) -> Finding:
    account, python = (known["facts"].get(name, "?") for name in ("account", "python"))
    return Finding("channel", Level.OK, f"Open for {known['for_seconds']} s, as {account}, with Python {python}.")


def _ask_agent(place: Path, host: str, seconds: float) -> list[Finding]:
    asked = time.time()
    try:
        answer, _ = ask(place, host, "doctor", {"clock": int(1000 * asked)}, seconds)
        return [*decode(answer), _compare_clocks(answer.get("clock"), time.time() - asked)]
    except (Refused, Unanswered) as error:
        return [Finding("agent", Level.FAIL, str(error))]
    except ProtocolError as error:
        text = f"What the agent says is not understood: {error}."
        return [Finding("agent", Level.FAIL, text, "Install the agent of this portal there.")]


def _compare_clocks(clocks: object, took: float) -> Finding:
    """Tell how far the clock of the host is from ours: its time was taken at some moment of `took` seconds."""
    if not isinstance(clocks, list) or len(clocks) != 2 or not all(type(clock) is int for clock in clocks):
        raise ProtocolError("“clock” must be two numbers")
    ahead = (clocks[1] - clocks[0]) / 1000
    surely = min(ahead, 0) + max(ahead - took, 0)
    if abs(surely) <= MOST_CLOCK_SECONDS:
        return Finding("clock", Level.OK, "It agrees with that of the portal.")
    direction = "ahead of" if surely > 0 else "behind"
    text = f"It is {abs(surely):.0f} s {direction} that of the portal: times in logs and rows do not agree."
    return Finding("clock", Level.WARN, text, "Let both hosts keep the time, with chrony or systemd-timesyncd.")
