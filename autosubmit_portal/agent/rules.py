"""Which commands the rc file of Autosubmit does not let this host run, looked at right before one."""

import platform

from autosubmit_portal.agent.site_file import SiteFile
from autosubmit_portal.sentences import say


def explain_rule(site: SiteFile, command: str) -> str:
    """Return why this host does not run a command of Autosubmit; blank if it does, or if only Autosubmit can tell."""
    # Only now: an agent that starts nothing loads nothing that could open a store.
    from experiments.autosubmit.host_rules import BadRules, list_refused
    from experiments.autosubmit.store import BrokenStore, read_rc

    try:
        rc = read_rc(site.home, site.configuration) if site.home else None
        is_refused = rc is not None and command in list_refused(rc, platform.node())
    except (BadRules, BrokenStore):
        return ""
    return (
        say(
            "[hosts] in the rc file of Autosubmit does not let {host} run {command}.",
            host=platform.node(),
            command=ascii(command),
        )
        if is_refused
        else ""
    )
