"""Which commands the rc file does not let a host run: `[hosts]`, read as Autosubmit 4.1.17 reads it.

`authorized` and `forbidden` name commands and hosts, such as `[run host1,host2] [stats,clean all]`. A command that is
not named may run anywhere; one that Autosubmit refuses ends with exit status 159, after seconds.
"""

from collections.abc import Mapping
from configparser import InterpolationError, RawConfigParser

from autosubmit_portal.sentences import say

_ANY = "all"


class BadRules(Exception):
    """Autosubmit cannot read the rules, and then runs nothing; the text says why."""


def list_refused(rc: RawConfigParser, node: str) -> list[str]:
    """Return the commands that a host of this name may not run. Raises BadRules."""
    names = {node, _shorten(node)}
    forbidden = {command for command, hosts in _read(rc, "forbidden").items() if names & {*hosts} or _ANY in hosts}
    elsewhere = {
        command for command, hosts in _read(rc, "authorized").items() if not names & {*hosts} and _ANY not in hosts
    }
    return sorted(forbidden | elsewhere)


def _shorten(node: str) -> str:
    return node.partition("." if "." in node else ",")[0]


def _read(rc: RawConfigParser, option: str) -> Mapping[str, list[str]]:
    """Return the hosts that a rule names for each command; of two rules for one command the last counts."""
    rules = {}
    try:
        text = rc.get("hosts", option) if rc.has_option("hosts", option) else None
    except InterpolationError as error:
        raise BadRules(say("“{option}” of [hosts] cannot be read: {error}", option=option, error=error)) from error
    for group in [] if text is None else text.split("] "):
        words = group.strip("[]").split(" ")
        if len(words) < 2:
            raise BadRules(
                say("“{option}” of [hosts] has {group} in it, which names no hosts", option=option, group=ascii(group))
            )
        rules.update(dict.fromkeys(words[0].split(","), words[1].split(",")))
    return rules
