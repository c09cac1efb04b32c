"""Operational experiments, whose expids begin with `o`: what is not pushed of their projects must not go unnoticed."""

from collections.abc import Sequence

from autosubmit_portal.agent.protocol.errors import ProtocolError
from autosubmit_portal.agent.protocol.fields import take_texts
from autosubmit_portal.sentences import marked, say
from experiments import reads
from experiments.autosubmit.store import BrokenStore
from experiments.catalogue.facts import join_names
from experiments.catalogue.kinds import ActionKind
from experiments.models import Experiment
from experiments.models.site import Unpushed

_OPERATIONAL = "o"
_MOST_COMMITS = 3
_BOTH = marked(
    "The project of {expid} has files that are not committed ({files}) and commits that are not pushed ({commits})."
)
_MORE = marked("{names} and {number} or more others")  # the agent names some of many


def find_unpushed(kind: ActionKind, experiment: Experiment | None) -> str:
    """Return what a run would use that is not committed or not pushed; blank if nothing, or if the site does not ask.

    Its agent looks, now. What cannot be looked at is said as well.
    """
    if experiment is None or not kind.is_run or not experiment.expid.startswith(_OPERATIONAL):
        return ""
    if experiment.site.unpushed == Unpushed.IGNORE:
        return ""
    try:
        answer, _ = reads.read(experiment, "project", {})
        with reads.understand(experiment.site):
            return _say(experiment.expid, take_texts(answer, "changed"), take_texts(answer, "commits"))
    except (BrokenStore, reads.Missing, reads.Unreadable, ProtocolError) as error:
        return say(
            "Whether the project of {expid} is pushed cannot be told: {error}", expid=experiment.expid, error=error
        )


def find_refusal(kind: ActionKind, experiment: Experiment | None) -> str:
    """Return why a run of an experiment may not start because of its project; blank if it may."""
    if experiment is None or experiment.site.unpushed != Unpushed.REFUSE:
        return ""
    found = find_unpushed(kind, experiment)
    return found and say(
        "{found} The site {site} refuses to run that: commit and push it first.", found=found, site=experiment.site
    )


def _say(expid: str, changed: Sequence[str], commits: Sequence[str]) -> str:
    values = {
        "expid": expid,
        "files": join_names(changed, form=_MORE),
        "commits": join_names(commits, most=_MOST_COMMITS, form=_MORE),
    }
    if changed and commits:
        return say(_BOTH, **values)
    if changed:
        return say("The project of {expid} has files that are not committed ({files}).", **values)
    return say("The project of {expid} has commits that are not pushed ({commits}).", **values) if commits else ""
