"""What the database says of a site, which a mirror needs in each pass: read of all sites at once, and not each time."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from experiments.models import Action, Host, Site


@dataclass(frozen=True, slots=True)
class Standing:
    """A site, its hosts, and the experiments that something is done to, which the agents look at each time."""

    site: Site
    hosts: list[Host]
    acted_on: list[str]


def read_standings(**among: Any) -> list[Standing]:
    """Return what the database says now, of all sites or of those."""
    sites = [*Site.objects.filter(**among).prefetch_related("hosts")]
    acted_on = _find_acted_on(sites)
    return [Standing(site, [*site.hosts.all()], acted_on.get(site.pk, [])) for site in sites]


def _find_acted_on(sites: Iterable[Site]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    active = Action.objects.active().filter(site__in=sites).exclude(expid="").order_by()
    for site, expid in active.values_list("site", "expid").distinct():
        found.setdefault(site, []).append(expid)
    return found
