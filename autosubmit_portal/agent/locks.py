"""Whether a run of an experiment lives, looked at right before a command that would destroy its work."""

from autosubmit_portal.agent.site_file import SiteFile
from autosubmit_portal.sentences import say
from experiments.autosubmit.liveness import check_liveness, read_locks


def explain_run(site: SiteFile, expid: str) -> str:
    """Return why a command that takes no lock must not start now: a run lives, or that cannot be seen; else blank."""
    # Only now: an agent that starts nothing loads nothing that could open a store.
    from experiments.autosubmit.store import BrokenStore, locate

    if site.home is None:
        return say("The file of the site names no “home” of a store, so that nobody can tell whether a run lives.")
    try:
        store = locate(site.home, site.configuration)
    except BrokenStore as problem:
        return str(problem)
    run = check_liveness(store.lock_file(expid), read_locks())
    return (
        say("{expid} is running ({evidence}). Stop it first.", expid=expid, evidence=run.evidence)
        if run.is_running
        else ""
    )
