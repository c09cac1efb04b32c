"""At which host of its site a command of an action runs: the first that may run it and is there.

A stop goes where the run lives. What `[hosts]` of Autosubmit's rc file does not let a host run, its row says; what no
host may run is refused when it is asked for.
"""

from collections.abc import Collection, Mapping, Sequence

from autosubmit_portal.sentences import marked, say
from experiments import hosts
from experiments.actions.refusals import Conflict
from experiments.autosubmit.command import Command
from experiments.catalogue.facts import join_names
from experiments.catalogue.kinds import RUN_COMMAND, RUN_KINDS, ActionKind
from experiments.hosts import Absence
from experiments.models import Action, Experiment, Host, State, Step


def choose(action: Action, step: int) -> tuple[Host, str]:
    """Return the host for the command of a step, and why it cannot be asked now, blank if it can.

    Raises Conflict when no host may run it.
    """
    at_site = list_hosts(action)
    away = hosts.await_hosts(at_site)
    able = _list_able(action.catalogue_kind, _get_command(action, step), at_site, action.experiment)
    present = next((host for host in able if host.pk not in away), None)
    return (present, "") if present else (able[0], away[able[0].pk].reason)


def list_hosts(action: Action) -> list[Host]:
    """Return the hosts of the site of an action in their order, with what they refuse by now. Raises Conflict."""
    at_site = [*action.site.hosts.all()]
    if not at_site:
        raise Conflict(say("{site} has no host.", site=action.site))
    hosts.refresh_rules(at_site)
    return at_site


def explain_wait(action: Action, at_site: Sequence[Host], away: Mapping[int, Absence]) -> str:
    """Return why the first command of a waiting action has no host to go to now; blank if it has, or never will."""
    try:
        able = _list_able(action.catalogue_kind, action.catalogue_kind.steps[0], at_site, action.experiment)
    except Conflict:  # which ends it when its turn comes
        return ""
    if any(host.pk not in away for host in able):
        return ""
    return say("Waits for its host. {why}", why=" ".join(away[host.pk].reason for host in able))


def explain_rules(kind: ActionKind, experiment: Experiment | None, at_site: Sequence[Host]) -> str:
    """Return why no host may run a command of this kind, and which refuse it; blank if each command has a host."""
    if not any(host.refused for host in at_site):
        return ""
    try:
        for command in kind.steps:
            _list_able(kind, command, at_site, experiment)
    except Conflict as refusal:
        return str(refusal)
    return ""


def explain_silence(
    kind: ActionKind, experiment: Experiment, at_site: Sequence[Host], away: Mapping[int, Absence]
) -> str:
    """Return why what a run forbids must not be done: one may live at a host that is silent; blank if none can.

    What waits for a host is not refused: things may be otherwise when that is back.
    """
    able = _list_able(kind, kind.steps[0], at_site, experiment)
    if not kind.excludes_run or all(host.pk in away for host in able):
        return ""
    silent = [host for host in at_site if host.pk in away and hosts.may_hide_run(host, away[host.pk])]
    if not silent:
        return ""
    since = away[silent[0].pk].since
    seen = f"since {since:%Y-%m-%d %H:%M} UTC" if since else "yet"
    return say(
        "The host {silent} has not been seen {seen}, and a run of {expid} may live there. "
        "Wait until it is back, or have a manager say on the page of the site {site} that "
        "nothing runs there.",
        silent=silent[0],
        seen=seen,
        expid=experiment.expid,
        site=experiment.site,
    )


def find_reason(action: Action, experiment: Experiment | None) -> str:
    """Return why no host of its site may start an action now, by what they say at this moment; blank if one may."""
    try:
        at_site = list_hosts(action)
    except Conflict as refusal:
        return str(refusal)
    kind = action.catalogue_kind
    refused = explain_rules(kind, experiment, at_site)
    if refused or experiment is None or len(at_site) == 1:
        return refused
    return explain_silence(kind, experiment, at_site, hosts.await_hosts(at_site))


def find_run_host(experiment: Experiment, at_site: Sequence[Host]) -> Host:
    """Return the host where the run of an experiment lives: that of our own command, or where it was seen."""
    if len(at_site) == 1:
        return at_site[0]
    ours = Step.objects.filter(
        action__experiment=experiment.pk, action__state=State.RUNNING, action__kind__in=RUN_KINDS
    )
    for step in ours.select_related("action", "host").order_by("-number"):
        if _get_command(step.action, step.number) is RUN_COMMAND:
            return step.host
    return next((host for host in at_site if host.pk == experiment.run_host_id), at_site[0])


def _list_able(
    kind: ActionKind, command: Command, at_site: Sequence[Host], experiment: Experiment | None
) -> Sequence[Host]:
    """Return the hosts that may run a command, the best first. Raises Conflict when there is none."""
    if kind.stops_run and experiment:
        at_site = [find_run_host(experiment, at_site)]
    able = [host for host in at_site if command.name not in host.refused]
    if not able:
        raise Conflict(_say_refused(kind, command, at_site))
    return able


_AT_RUN = marked(
    "`autosubmit {name}` cannot run here: [hosts] in the rc file of Autosubmit does not allow it on {named}, "
    "where the run lives."
)
_ANYWHERE = marked(
    "`autosubmit {name}` cannot run here: [hosts] in the rc file of Autosubmit does not allow it on {named}, "
    "and there is no other host."
)


def _say_refused(kind: ActionKind, command: Command, refusing: Collection[Host]) -> str:
    named = [f"{host} ({host.node})" if host.node not in ("", host.name) else host.name for host in refusing]
    return say(_AT_RUN if kind.stops_run else _ANYWHERE, name=command.name, named=join_names(named))


def _get_command(action: Action, step: int) -> Command:
    return action.catalogue_kind.get_command(step, len(action.command))
