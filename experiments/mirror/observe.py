"""What the mirror and the workers ask the agent of a site, which opens its store as they never do."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from autosubmit_portal.agent.watch.request import MOST_ATTENDED
from experiments import hosts, reads
from experiments.autosubmit import forms
from experiments.autosubmit.forms import ExperimentReading, FreshReading, Owner
from experiments.autosubmit.store import ExperimentRecord
from experiments.autosubmit.watched import Watched, understand_watched
from experiments.hosts import Absence
from experiments.mirror.sightings import Sighting, choose, lose_sight, sight
from experiments.models import Experiment, Host, Site
from experiments.row_cache import Cached

Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """What there is of an experiment now, as `FreshReading` says; its run is what any host of the site sees."""

    records: list[ExperimentRecord]
    owner: Owner | None
    absence: str
    alive: Sighting


def look_at(site: Site, expid: str) -> Look:
    """Return what there is of one experiment now, without opening its files. Raises BrokenStore."""
    host = reads.find_host(site)
    fresh = _look_from(host, expid)
    others = [*site.hosts.exclude(pk=host.pk).select_related("site")]
    alive = choose([sight(fresh.alive, host), *_look_elsewhere(others, expid)])
    return Look(fresh.records, fresh.owner, fresh.absence, alive)


def _look_from(host: Host, expid: str) -> FreshReading:
    _, data = _read(host, {"expid": expid, "what": "fresh"})
    with reads.understand(host.site):
        return forms.understand_fresh(data)


def _look_elsewhere(others: Sequence[Host], expid: str) -> Iterator[Sighting]:
    """Yield what other hosts see of a run, or what was seen there while they were not silent."""
    away = reads.find_away(others) if others else {}
    for host in others:
        try:
            if host.pk in away:
                raise reads.HostAway(away[host.pk].reason)
            yield sight(_look_from(host, expid).alive, host)
        except (reads.HostAway, reads.HostBusy, reads.Unreadable) as silence:
            absence = away.get(host.pk, Absence(str(silence)))
            known = Experiment.objects.filter(site=host.site_id, expid=expid, gone_at=None, is_running=True)
            evidence = known.filter(run_host=host).values_list("evidence", flat=True).first()
            if evidence is not None and hosts.may_hide_run(host, absence):
                yield lose_sight(host, evidence)


def make_request(experiment: Experiment, cached: Cached | None = None) -> Request:
    """Return what the agent is asked to read of an experiment, which it may leave out of what is cached."""
    return {
        "expid": experiment.expid,
        "what": "experiment",
        "revision": cached.revision if cached else "",
        "edges": cached.edges_mark if cached else "",
        "plans_source": experiment.plans_source,
    }


def read(host: Host, request: Request) -> ExperimentReading:
    """Return what is read of one experiment. Asks the database nothing. Raises BrokenStore and reads.Unreadable."""
    value, data = _read(host, request)
    with reads.understand(host.site):
        return forms.understand_experiment(value, data)


def find_last_stop(site: Site, expid: str) -> datetime | None:
    """Return when a command last stopped the run of an experiment; None where nothing tells of one."""
    value, _ = _read(reads.find_host(site), {"expid": expid, "what": "stops"})
    with reads.understand(site):
        return forms.understand_stops(value)


def watch(
    host: Host, epoch: str, counter: int, *, attended: Iterable[str], pause_seconds: float, is_whole: bool
) -> Watched:
    """Have a host look over the store once; return what is new since what it told last. Raises BrokenStore."""
    request = {
        "epoch": epoch,
        "counter": counter,
        "attend": [*islice(attended, MOST_ATTENDED)],  # the others have their turns
        "pause_seconds": pause_seconds,
        "is_whole": is_whole,
    }
    value, data = reads.ask(host, "watch", request)
    with reads.understand(host.site):
        return understand_watched(value, data)


def _read(host: Host, request: Request) -> tuple[dict[str, Any], bytes]:
    try:
        return reads.ask(host, "read", request)
    except reads.Missing as error:  # it is there to be looked at, whatever there is
        raise reads.Unreadable(str(error)) from error
