"""Play the rest of a workflow through, as Autosubmit would send its jobs, to see which ends last and why."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from experiments.forecast.facts import Limit
from jobs.pictures.levels import list_children
from jobs.pictures.picture import Edge

NONE = -1


class Left(NamedTuple):
    """What is left of a job: how long it waits on its platform, and how long it runs then; in seconds.

    `is_sent` is of one that is on its platform already, `is_begun` of one that runs there.
    """

    platform: str
    wait: float
    run: float
    is_sent: bool = False
    is_begun: bool = False


@dataclass(slots=True)
class Ends:
    """When each job ends, in seconds from now; None of those that never begin, as they wait for each other.

    `after` is the job whose end it waited for last, its parent or one that had its place on the platform.
    """

    at: list[float | None]
    after: list[int]

    def find_path(self) -> list[int]:
        """Return the jobs of which the last end is made, in their order."""
        ended = [(at, place) for place, at in enumerate(self.at) if at is not None]
        path = [max(ended)[1]] if ended else []
        while path and self.after[path[-1]] != NONE:
            path.append(self.after[path[-1]])
        return path[::-1]


@dataclass(slots=True)
class _Platform:
    """A platform: how many more jobs it takes, how many more of them waiting, and those ready for it.

    `may_hold` says whether it takes fewer waiting jobs than others: only then it matters when a job begins.
    """

    free: float
    free_waiting: float
    may_hold: bool
    ready: deque[int] = field(default_factory=deque)


def play(left: Sequence[Left], edges: Sequence[Edge], limits: Mapping[str, Limit]) -> Ends:
    """Return when each of the jobs that are left ends. `edges` are between their places."""
    return _Player(left, edges, limits).play()


class _Player:
    """Goes from event to event: a job begins or ends, which frees a place on its platform or lets its children go."""

    def __init__(self, left: Sequence[Left], edges: Sequence[Edge], limits: Mapping[str, Limit]) -> None:
        self.left = left
        self.children = list_children(len(left), edges)
        self.missing = [0] * len(left)
        for _, child in edges:
            self.missing[child] += 1
        self.ends = Ends([None] * len(left), [NONE] * len(left))
        self.platforms = {job.platform: _make_platform(job.platform, limits) for job in set(left)}
        self.of_jobs = [self.platforms[job.platform] for job in left]
        # The instant of an event, and its job: as it is where it ends, inverted where it begins.
        self.events: list[tuple[float, int]] = []

    def play(self) -> Ends:
        self._begin()
        events = self.events  # a hundred thousand of them: what is looked up less often is sooner
        while events:
            at, job = heappop(events)
            if job < 0:
                self._start(at, ~job)
            else:
                self._end(at, job)
        return self.ends

    def _begin(self) -> None:
        for place, (job, platform) in enumerate(zip(self.left, self.of_jobs, strict=True)):
            if not job.is_sent:
                if not self.missing[place]:
                    platform.ready.append(place)
                continue
            platform.free -= 1
            platform.free_waiting -= not job.is_begun
            if job.is_begun:
                heappush(self.events, (job.run, place))
            elif not self.missing[place]:
                heappush(self.events, (job.wait, ~place))
        for platform in self.platforms.values():
            self._send(0.0, platform, NONE)

    def _send(self, at: float, platform: _Platform, after: int) -> None:
        """Send the jobs that are ready, as far as the limits of their platform let them."""
        ready = platform.ready
        while ready and platform.free > 0 and platform.free_waiting > 0:
            place = ready.popleft()
            job = self.left[place]
            platform.free -= 1
            self.ends.after[place] = after
            if platform.may_hold:
                platform.free_waiting -= 1
                heappush(self.events, (at + job.wait, ~place))
            else:
                heappush(self.events, (at + job.wait + job.run, place))

    def _start(self, at: float, place: int) -> None:
        platform = self.of_jobs[place]
        platform.free_waiting += 1
        heappush(self.events, (at + self.left[place].run, place))
        if platform.ready:
            self._send(at, platform, self.ends.after[place])

    def _end(self, at: float, place: int) -> None:
        self.ends.at[place] = at
        platform = self.of_jobs[place]
        platform.free += 1
        for child in self.children[place]:
            self.missing[child] -= 1
            if not self.missing[child]:
                self._release(at, child, place)
        if platform.ready:
            self._send(at, platform, place)

    def _release(self, at: float, place: int, after: int) -> None:
        """Let a job go whose last parent has ended; one that was sent in a wrapper begins at once."""
        job = self.left[place]
        if job.is_begun:
            return
        if job.is_sent:
            self.ends.after[place] = after
            heappush(self.events, (at, ~place))
            return
        platform = self.of_jobs[place]
        platform.ready.append(place)
        self._send(at, platform, after)


def _make_platform(name: str, limits: Mapping[str, Limit]) -> _Platform:
    limit = limits.get(name) or limits.get("") or Limit()
    total, waiting = (float("inf") if most is None else float(most) for most in limit)
    return _Platform(total, waiting, may_hold=waiting < total)
