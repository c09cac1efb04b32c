"""Which Autosubmit of a site the commands of an experiment are of, by the names that the files at its hosts have."""

from collections.abc import Mapping
from dataclasses import dataclass

from autosubmit_portal.sentences import say
from experiments.models import Action, Experiment, Host, Site

USUAL = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The name of a program, blank for the usual one, and why it is that."""

    name: str
    why: str


def choose_for(action: Action, host: Host) -> str:
    """Return the name of the program for a command of an action at a host.

    A stop finds a run of any version, and not every version can stop one: it has the default. A new experiment has the
    program that was asked for.
    """
    if action.catalogue_kind.stops_run:
        return action.site.program
    if action.experiment is None:
        return str(action.parameters.get("program", "")) or action.site.program
    return choose(action.experiment, host.programs).name


def choose(experiment: Experiment, programs: Mapping[str, str]) -> Choice:
    """Return the program for an experiment: the chosen one, else one of its version, else the default of its site."""
    site, version = experiment.site, experiment.version
    if experiment.program:
        return Choice(experiment.program, "chosen")
    exact = [name for name, of in programs.items() if of == version]
    if exact and version:
        return Choice(min(exact), say("of version {version}", version=version))
    if version and version == site.autosubmit_version:
        return Choice(USUAL, say("of version {version}", version=version))
    longest = max((of for of in programs.values() if version.startswith(f"{of}.")), key=len, default="")
    if longest:
        return Choice(
            min(name for name, of in programs.items() if of == longest), say("of version {longest}", longest=longest)
        )
    return Choice(site.program, say("default of the site"))


def list_programs(site: Site) -> dict[str, str]:
    """Return the versions of the programs of a site by their names: those that all its hosts have said they have."""
    told = [host.programs for host in site.hosts.all() if host.rules_asked_at]
    common = set.intersection(*(set(one) for one in told)) if told else set()
    return {name: version for name, version in sorted(told[0].items()) if name in common} if told else {}


def explain_unknown(name: str, site: Site) -> str:
    """Return why a site has no program of a name; blank if it has, and for none."""
    programs = list_programs(site)
    if not name or name in programs:
        return ""
    named = ", ".join(f"{known} ({version})" for known, version in programs.items())
    return say(
        "The site {site} has no program “{name}”. There are: {named}.",
        site=site,
        name=name,
        named=named or say("none with a name"),
    )
