"""Runs at the hosts of a site: what each of them sees, put together. A run lives where any host sees it.

Nothing is called ended because nobody can see it: what was seen at a host that is silent now stays, as not seen since
then, until that host is back or a manager says that nothing runs there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from django.utils import timezone

from experiments.autosubmit.forms import RunState
from experiments.models import Host

UNSEEN = "not seen since"
NOBODY = RunState(is_running=False, pid=None, evidence="nobody holds the lock")


@dataclass(frozen=True, slots=True)
class Sighting(RunState):
    """What a host sees of the lock of an experiment; `host` is its key."""

    host: int | None = None


def sight(alive: RunState, host: Host | None) -> Sighting:
    """Return what a host sees; without one, of a site that nobody was asked about."""
    return Sighting(**asdict(alive), host=host.pk if host else None)


def lose_sight(host: Host, evidence: str) -> Sighting:
    """Return what is known of a run that was seen at a host which is silent now, by the evidence of before."""
    since = f"{UNSEEN} {timezone.now():%Y-%m-%d %H:%M} UTC: the host {host} is silent"
    return Sighting(True, None, evidence if evidence.startswith(UNSEEN) else since, host=host.pk)


def choose(seen: Iterable[Sighting]) -> Sighting:
    """Return what counts of what several hosts see: a run, or who holds the lock without being one, or the first."""
    found = [*seen]
    runs = (one for one in found if one.is_running)
    holders = (one for one in found if one.locked_by)
    return next(runs, None) or next(holders, found[0])


class Sightings:
    """What the hosts of a site see of its runs, as long as they say nothing else."""

    def __init__(self) -> None:
        self._of_hosts: dict[int, dict[str, Sighting]] = {}

    @property
    def hosts(self) -> set[int]:
        """The keys of the hosts that have told something."""
        return {*self._of_hosts}

    @property
    def has_any(self) -> bool:
        """Whether there is a run, or somebody else who holds a lock."""
        return any(self._of_hosts.values())

    def note(self, host: Host, told: Mapping[str, RunState]) -> set[str]:
        """Remember what a host tells of experiments; return those of which it has told something else before."""
        known = self._of_hosts.setdefault(host.pk, {})
        changed = set()
        for expid, alive in told.items():
            new = sight(alive, host) if alive.is_running or alive.locked_by else None
            if known.get(expid) != new:
                changed.add(expid)
                known.pop(expid, None)
                known |= {expid: new} if new else {}
        return changed

    def recall(self, host: int, expid: str, evidence: str) -> None:
        """Remember a run that was mirrored before."""
        known = self._of_hosts.setdefault(host, {})
        known[expid] = Sighting(True, None, evidence, host=host)

    def lose(self, host: Host) -> set[str]:
        """Keep the runs of a host that is silent as not seen; return those of which that is news."""
        known = self._of_hosts.setdefault(host.pk, {})
        unseen = {expid: lose_sight(host, seen.evidence) for expid, seen in known.items() if seen.is_running}
        changed = {expid for expid, seen in known.items() if unseen.get(expid) != seen}
        self._of_hosts[host.pk] = unseen
        return changed

    def forget(self, host: int) -> set[str]:
        """Forget the runs of a host; return them."""
        return {*self._of_hosts.pop(host, {})}

    def judge(self, expid: str, alive: RunState = NOBODY) -> Sighting:
        """Return what counts of an experiment; `alive` is what the host that reads sees where nobody holds the lock."""
        held = (known[expid] for known in self._of_hosts.values() if expid in known)
        return choose([*held, sight(alive, None)])
