"""What the mirror and the workers ask the agent of a site, which opens its store as they never do."""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any

from autosubmit_portal.agent.watch.request import MOST_ATTENDED
from experiments import reads
from experiments.autosubmit import forms
from experiments.autosubmit.forms import ExperimentReading, FreshReading
from experiments.autosubmit.watched import Watched, understand_watched
from experiments.models import Experiment, Host, Site
from experiments.row_cache import Cached

Request = dict[str, Any]


def look_at(site: Site, expid: str) -> FreshReading:
    """Return what there is of one experiment now, without opening its files. Raises BrokenStore."""
    _, data = _read(reads.find_host(site), {"expid": expid, "what": "fresh"})
    with reads.understand(site):
        return forms.understand_fresh(data)


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
    site: Site, epoch: str, counter: int, *, attended: Iterable[str], pause_seconds: float, is_whole: bool
) -> Watched:
    """Have the agent look over the store once; return what is new since what it told last. Raises BrokenStore."""
    request = {
        "epoch": epoch,
        "counter": counter,
        "attend": [*islice(attended, MOST_ATTENDED)],  # the others have their turns
        "pause_seconds": pause_seconds,
        "is_whole": is_whole,
    }
    value, data = reads.ask(reads.find_host(site), "watch", request)
    with reads.understand(site):
        return understand_watched(value, data)


def _read(host: Host, request: Request) -> tuple[dict[str, Any], bytes]:
    try:
        return reads.ask(host, "read", request)
    except reads.Missing as error:  # it is there to be looked at, whatever there is
        raise reads.Unreadable(str(error)) from error
