"""What commands ask about: an account, an action kind, and an experiment or a site."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target
from experiments.models import Experiment, Site
from experiments.models.experiment import choose_meant


def find_account(name: str) -> User:
    """Return the account with a name; raise CommandError if there is none."""
    user = User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"There is no account “{name}”.")
    return user


def add_subject(parser: ArgumentParser) -> None:
    """Declare the arguments that name the kind and what it is about."""
    parser.add_argument("kind", choices=list(CATALOGUE), help="the action")
    parser.add_argument("target", help="the expid; of “create” the site")
    parser.add_argument("--site", help="the site, where several have the expid")


def find_subject(options: dict[str, Any]) -> tuple[ActionKind, dict[str, Any]]:
    """Return the kind, and the site and experiment as the policy takes them; raise CommandError if there is none."""
    kind = CATALOGUE[options["kind"]]
    if kind.target is Target.SITE:
        site = Site.objects.filter(slug=options["target"]).first()
        if site is None:
            raise CommandError(f"There is no site {options['target']}.")
        return kind, {"site": site}
    experiment = _find_experiment(options["target"], options["site"])
    return kind, {"site": experiment.site, "experiment": experiment}


def _find_experiment(expid: str, site: str | None) -> Experiment:
    at = {"site__slug": site} if site else {}
    named = Experiment.objects.filter(expid=expid, **at).select_related("site").order_by("site__slug")
    found = choose_meant(list(named))
    if not found:
        raise CommandError(f"There is no experiment {expid}" + (f" at the site {site}." if site else "."))
    if len(found) > 1:
        sites = ", ".join(one.site.slug for one in found)
        raise CommandError(f"{expid} exists at several sites: {sites}. Choose one with --site.")
    return found[0]
