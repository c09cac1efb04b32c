"""The examination of a host, from the portal: the way to it, what its agent finds, its clock."""

import os
import time
from pathlib import Path

from autosubmit_portal.agent import accounts
from autosubmit_portal.agent.findings import Finding, Level, decode
from autosubmit_portal.agent.host import read_identity
from autosubmit_portal.agent.protocol import ProtocolError
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.gateway.caller import Refused, Unanswered, ask, list_hosts

# Longer than a gateway waits for an agent.
SECONDS = 50.0
MOST_CLOCK_SECONDS = 5.0


def examine(place: Path, host: str, seconds: float = SECONDS) -> list[Finding]:
    """Return all that an action at a host would need, asked on a socket of the gateway; what is wrong says so."""
    try:
        answer = list_hosts(place, seconds)
    except (Refused, Unanswered) as error:
        return [Finding(Level.FAIL, "gateway", str(error), "Start it: systemctl start autosubmit-portal-gateway.")]
    known = answer["hosts"].get(host)
    if known is None:
        text = f"The gateway knows no host {host}."
        return [Finding(Level.FAIL, "channel", text, "Name it in the file of hosts.")]
    if not known["is_connected"]:
        text = f"There has been no connection for {known['for_seconds']} s. {known['reason']}"
        return [Finding(Level.FAIL, "channel", text, known["remedy"])]
    facts = known["facts"]
    text = f"Open for {known['for_seconds']} s, as {facts.get('account', '?')}."
    return [
        Finding(Level.OK, "channel", text),
        _look_at_walls(facts, answer["account"]),
        *_ask_agent(place, host, seconds),
    ]


def _look_at_walls(facts: Message, gateway: str) -> Finding:
    """Tell whether what an experiment brings along runs as an account of ours, on this host."""
    ours = {accounts.get_name(os.getuid()): "portal", gateway: "gateway"}
    whose = ours.get(str(facts.get("account")))
    if facts.get("machine") != read_identity().machine or not whose:
        return Finding(Level.OK, "walls", "Commands run as an account that neither portal nor gateway has.")
    text = f"Commands run as {facts['account']}, as the {whose} does: what experiments bring along reads its secrets."
    return Finding(Level.WARN, "walls", text, "Reach the host by sudo or ssh, with the accounts of docs/operations.md.")


def _ask_agent(place: Path, host: str, seconds: float) -> list[Finding]:
    asked = time.time()
    try:
        answer, _ = ask(place, host, "doctor", {"clock": int(1000 * asked)}, seconds)
        return [*decode(answer), _compare_clocks(answer.get("clock"), time.time() - asked)]
    except (Refused, Unanswered) as error:
        return [Finding(Level.FAIL, "agent", str(error))]
    except ProtocolError as error:
        text = f"What the agent says is not understood: {error}."
        return [Finding(Level.FAIL, "agent", text, "Install the agent of this portal there.")]


def _compare_clocks(clocks: object, took: float) -> Finding:
    """Tell how far the clock of the host is from ours: its time was taken at some moment of `took` seconds."""
    if not isinstance(clocks, list) or len(clocks) != 2 or not all(type(clock) is int for clock in clocks):
        raise ProtocolError("“clock” must be two numbers")
    ahead = (clocks[1] - clocks[0]) / 1000
    surely = min(ahead, 0) + max(ahead - took, 0)
    if abs(surely) <= MOST_CLOCK_SECONDS:
        return Finding(Level.OK, "clock", "It agrees with that of the portal.")
    direction = "ahead of" if surely > 0 else "behind"
    text = f"It is {abs(surely):.0f} s {direction} that of the portal: times in logs and rows do not agree."
    return Finding(Level.WARN, "clock", text, "Let both hosts keep the time, with chrony or systemd-timesyncd.")
