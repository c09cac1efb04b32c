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
from autosubmit_portal.sentences import marked, say

# Longer than a gateway waits for an agent.
SECONDS = 50.0
MOST_CLOCK_SECONDS = 5.0
_AS_PORTAL = marked("Commands run as {account}, as the portal does: what experiments bring along reads its secrets.")
_AS_GATEWAY = marked("Commands run as {account}, as the gateway does: what experiments bring along reads its secrets.")


def examine(place: Path, host: str, seconds: float = SECONDS) -> list[Finding]:
    """Return all that an action at a host would need, asked on a socket of the gateway; what is wrong says so."""
    try:
        answer = list_hosts(place, seconds)
    except (Refused, Unanswered) as error:
        return [Finding(Level.FAIL, "gateway", str(error), say("Start it: systemctl start autosubmit-portal-gateway."))]
    known = answer["hosts"].get(host)
    if known is None:
        text = say("The gateway knows no host {host}.", host=host)
        return [Finding(Level.FAIL, "channel", text, say("Name it in the file of hosts."))]
    if not known["is_connected"]:
        text = say(
            "There has been no connection for {seconds} s. {reason}",
            seconds=known["for_seconds"],
            reason=known["reason"],
        )
        return [Finding(Level.FAIL, "channel", text, known["remedy"])]
    facts = known["facts"]
    text = say("Open for {seconds} s, as {account}.", seconds=known["for_seconds"], account=facts.get("account", "?"))
    return [
        Finding(Level.OK, "channel", text),
        _look_at_walls(facts, answer["account"]),
        *_ask_agent(place, host, seconds),
    ]


def _look_at_walls(facts: Message, gateway: str) -> Finding:
    """Tell whether what an experiment brings along runs as an account of ours, on this host."""
    ours = {accounts.get_name(os.getuid()): _AS_PORTAL, gateway: _AS_GATEWAY}
    form = ours.get(str(facts.get("account")))
    if facts.get("machine") != read_identity().machine or not form:
        return Finding(Level.OK, "walls", say("Commands run as an account that neither portal nor gateway has."))
    text = say(form, account=facts["account"])
    return Finding(
        Level.WARN, "walls", text, say("Reach the host by sudo or ssh, with the accounts of docs/operations.md.")
    )


def _ask_agent(place: Path, host: str, seconds: float) -> list[Finding]:
    asked = time.time()
    try:
        answer, _ = ask(place, host, "doctor", {"clock": int(1000 * asked)}, seconds)
        return [*decode(answer), _compare_clocks(answer.get("clock"), time.time() - asked)]
    except (Refused, Unanswered) as error:
        return [Finding(Level.FAIL, "agent", str(error))]
    except ProtocolError as error:
        text = say("What the agent says is not understood: {error}.", error=error)
        return [Finding(Level.FAIL, "agent", text, say("Install the agent of this portal there."))]


def _compare_clocks(clocks: object, took: float) -> Finding:
    """Tell how far the clock of the host is from ours: its time was taken at some moment of `took` seconds."""
    if not isinstance(clocks, list) or len(clocks) != 2 or not all(type(clock) is int for clock in clocks):
        raise ProtocolError("“clock” must be two numbers")
    ahead = (clocks[1] - clocks[0]) / 1000
    surely = min(ahead, 0) + max(ahead - took, 0)
    if abs(surely) <= MOST_CLOCK_SECONDS:
        return Finding(Level.OK, "clock", say("It agrees with that of the portal."))
    seconds = f"{abs(surely):.0f}"
    before = say("It is {seconds} s ahead of that of the portal: times in logs and rows do not agree.", seconds=seconds)
    behind = say("It is {seconds} s behind that of the portal: times in logs and rows do not agree.", seconds=seconds)
    text = before if surely > 0 else behind
    return Finding(Level.WARN, "clock", text, say("Let both hosts keep the time, with chrony or systemd-timesyncd."))
