"""What keeps a channel from opening, for people: ssh, sudo, Python and shells say it in their own words."""

import re
from dataclasses import dataclass

from autosubmit_portal.sentences import marked, say


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a host cannot be reached, and what to do; blank where nobody knows."""

    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """The form of the sentence for what a program prints, with what it `said`."""

    pattern: str
    text: str
    remedy: str


_KNOWN = (
    _Known(
        r"host key for .+ has changed|IDENTIFICATION HAS CHANGED",
        marked("The host shows another key than the one in known_hosts: {said}."),
        marked(
            "Ask the administrator of the host for the fingerprint of its new key. If that is what ssh-keyscan shows, "
            "replace the line in known_hosts; if not, somebody is in between."
        ),
    ),
    _Known(
        r"No \S+ host key is known for|Host key verification failed",
        marked("The key of the host is not in known_hosts: {said}."),
        marked("Compare what ssh-keyscan shows with what the administrator of the host says, and add it."),
    ),
    _Known(
        r"Identity file .+ not accessible|Load key .+|UNPROTECTED PRIVATE KEY FILE",
        marked("The gateway cannot use its key: {said}."),
        marked(
            "The file that identity_file names must be a private key without a passphrase, of the gateway's account, "
            "mode 0600."
        ),
    ),
    _Known(
        r"Permission denied \([a-z,-]+\)|Too many authentication failures",
        marked("The host does not take the gateway's key: {said}."),
        marked(
            "Put the public key into authorized_keys of the account at the host. Nobody else may write that file or "
            "its folders."
        ),
    ),
    _Known(
        r"Could not resolve hostname.*|Connection (timed out|refused|reset|closed).*|No route to host"
        r"|Network is unreachable|Operation timed out",
        marked("The host cannot be reached: {said}."),
        marked(
            "Look whether it is up, whether its name and port are right, and whether a firewall lets this host in. The "
            "gateway tries again by itself."
        ),
    ),
    _Known(
        r"sudo: .*(password is required|not allowed|not in the sudoers|unknown user|may not run|no tty present).*"
        r"|Sorry, user .+ is not allowed.*",
        marked("sudo does not let the gateway do this: {said}."),
        marked(
            "Install the rule of docs/operations.md, with account, python, agent and site_file as in the file of hosts."
        ),
    ),
    _Known(
        r"The agent needs Python .+",
        marked("The Python of the host is too old: {said}."),
        marked("Name a newer one as python of this host in the file of hosts."),
    ),
    _Known(
        r"can't open file .+|can't find '__main__' module in .+",
        marked("The agent's file is not there: {said}."),
        marked("Install it where the file of hosts says, readable by the account and written by root."),
    ),
    _Known(
        r".*python\S*: .*not found.*|.*No such file or directory: '\S*python\S*'|.*/python\S*: No such file.*",
        marked("There is no such Python: {said}."),
        marked("Name one that is there as python of this host in the file of hosts."),
    ),
    _Known(
        r"This account is (currently )?not available.*",
        marked("The account has no shell: {said}."),
        marked(
            "Give it a shell: usermod --shell /bin/sh. The key can still be held to the agent, by command= in "
            "authorized_keys."
        ),
    ),
    _Known(
        r"Its agent has not called yet",
        marked("The host has not opened its channel: {said}."),
        marked("Start the agent at the host with --to, --host and --token-file; it prints why it is not let in."),
    ),
    _Known(
        r"Somebody has called as this host with .+",
        marked("Its agent was not let in: {said}."),
        marked(
            "Make a token with agent --token and the name of the host: the digest goes into the file of hosts, the "
            "token into the file at the host."
        ),
    ),
    _Known(
        r"Its token was revoked",
        marked("Its agent is not let in any more: {said}."),
        marked("Give it a token that the file of hosts knows."),
    ),
    _Known(
        r"it speaks protocol .+",
        marked("Agent and portal have no common language: {said}."),
        marked("Build the agent with this portal (agent --build) and install it at the host."),
    ),
    _Known(
        r"\S+ cannot make the spool .+",
        marked("The agent has no place for what commands print: {said}."),
        marked("Make the folder at the host."),
    ),
    _Known(
        r"The agent cannot work: .+",
        marked("The agent refuses to work: {said}."),
        marked("Correct the file of the site at the host."),
    ),
    _Known(
        r"no hello, only .+|no frame in the first \d+ bytes.*|The stream ended, only .+",
        marked("Something else than an agent answers: {said}."),
        marked("Sign in by hand with the same options: the shell may print too much, ask something, or end."),
    ),
)


def explain(complaint: str) -> Trouble:
    """Return a sentence and the remedy for what a channel and its program said at their end."""
    for known in _KNOWN:
        if found := re.search(known.pattern, complaint, re.IGNORECASE):
            return Trouble(say(known.text, said=found[0].strip().rstrip(".")), known.remedy)
    return Trouble(complaint)
