"""The rules: each looks at the facts of one experiment, and finds something that needs somebody, or nothing.

A rule is patient where a healthy run may look like that for a while. A healthy run of Autosubmit 4.1.17 that waits for
its jobs writes its log and its history in each turn of its loop, so every SAFETYSLEEPTIME. Sentences have no ages,
which would change all the time, but since when it is so.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from autosubmit_portal.sentences import say
from experiments.attention.alarm import Alarm
from experiments.attention.facts import ActiveJob, RunFacts

TURNS = 3
"""A run that gives no sign of life for so many times its SAFETYSLEEPTIME is stalled."""

LEAST_QUIET, USUAL_QUIET = timedelta(seconds=60), timedelta(minutes=10)
"""But not before: a turn with many jobs takes longer. And where SAFETYSLEEPTIME is not known."""

SIGNS_APART = timedelta(seconds=30)
"""A sign of life is told that late."""

STOPPED_FOR, DISK_FOR = timedelta(seconds=10), timedelta(minutes=2)
BLOCKED_FOR = timedelta(minutes=10)
OVERDUE_SHARE, OVERDUE_LEAST = 0.1, timedelta(minutes=5)
QUEUE_FOR = timedelta(hours=24)

STOPPED_STATES, DISK_STATE = frozenset("Tt"), "D"
QUEUED_STATUSES = ("QUEUING", "SUBMITTED")

Find = Callable[[RunFacts], Alarm | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its name, what people call what it finds, and how it finds it."""

    name: str
    title: str
    find: Find


def find_dead(facts: RunFacts) -> Alarm | None:
    """Find a run whose process is gone although it has not ended."""
    if facts.is_running or not facts.is_dead:
        return None
    return Alarm(
        rule="dead",
        sentence=say("The process of the run is gone, but the run has not ended."),
        evidence=facts.disagreement,
        since=facts.disagrees_since or facts.now,
        advice=say("When it is started again, the jobs that were sent are taken up again."),
        remedy="run",
    )


def find_stopped(facts: RunFacts) -> Alarm | None:
    """Find a run whose process was stopped by a signal, as SIGSTOP or a debugger does."""
    since = _get_state_since(facts, STOPPED_STATES, STOPPED_FOR)
    if since is None:
        return None
    return Alarm(
        rule="stopped",
        sentence=say(
            "The process of the run is stopped by a signal since {since}: it does nothing.", since=_tell(since)
        ),
        evidence=say("{evidence}; its state is {state}.", evidence=_begin(facts), state=facts.process_state),
        since=since,
        advice=say("Continue it on its host with `kill -CONT` and the number of the process, or stop it with force."),
        remedy="stop",
    )


def find_disk_sleep(facts: RunFacts) -> Alarm | None:
    """Find a run whose process waits for a disk for long."""
    since = _get_state_since(facts, frozenset(DISK_STATE), DISK_FOR)
    if since is None:
        return None
    return Alarm(
        rule="disk_sleep",
        sentence=say(
            "The process of the run waits for a disk or a network file system since {since}.", since=_tell(since)
        ),
        evidence=say("{evidence}; its state is D, in which no signal reaches it.", evidence=_begin(facts)),
        since=since,
        advice=say("See whether the file system of its host answers; the run goes on when it does."),
    )


def find_stalled(facts: RunFacts) -> Alarm | None:
    """Find a run that lives but gives no sign of life."""
    if not facts.is_running or facts.is_unseen or facts.process_state in {*STOPPED_STATES, DISK_STATE}:
        return None
    signs = [at for at in (facts.alive_at, facts.seen_since) if at]
    if facts.alive_at is None or facts.now - max(signs) <= get_longest_quiet(facts.sleep_seconds):
        return None
    evidence = say("{evidence}, but neither its log nor its history was written since.", evidence=_begin(facts))
    if facts.sleep_seconds is not None:
        evidence = say(
            "{evidence} Its loop comes around every {number} s.", evidence=evidence, number=facts.sleep_seconds
        )
    return Alarm(
        rule="stalled",
        sentence=say("The run gives no sign of life since {since}.", since=_tell(facts.alive_at)),
        evidence=evidence,
        since=facts.alive_at,
        advice=say("Read the end of its log; then stop it and start it again."),
        remedy="stop",
    )


def get_longest_quiet(sleep_seconds: int | None) -> timedelta:
    """Return how long a healthy run may give no sign of life."""
    if sleep_seconds is None:
        return USUAL_QUIET + SIGNS_APART
    return max(TURNS * timedelta(seconds=sleep_seconds), LEAST_QUIET) + SIGNS_APART


def find_blocked(facts: RunFacts) -> Alarm | None:
    """Find a job that a live run leaves WAITING although nothing is left to wait for."""
    if not facts.is_running or not facts.ready_job or facts.ready_since is None:
        return None
    if facts.now - facts.ready_since < max(BLOCKED_FOR, get_longest_quiet(facts.sleep_seconds)):
        return None
    return Alarm(
        rule="blocked",
        sentence=say("{job} is WAITING although all jobs that it waits for are done.", job=facts.ready_job),
        evidence=say(
            "That is seen since {since}, and the run lives: {evidence}.",
            since=_tell(facts.ready_since),
            evidence=facts.evidence,
        ),
        since=facts.ready_since,
        advice=say("A run of only some members leaves the others WAITING. Else stop it and start it again."),
        job=facts.ready_job,
    )


def find_overdue(facts: RunFacts) -> Alarm | None:
    """Find the job that is RUNNING longest beyond its wallclock."""
    late = [job for job in facts.jobs if facts.is_running and job.status == "RUNNING" and _is_overdue(job, facts.now)]
    if not late:
        return None
    first, others = min(late, key=_get_due), len(late) - 1
    return Alarm(
        rule="overdue",
        sentence=say(
            "{job} is RUNNING for longer than its wallclock, and so are {number} more.",
            job=first.name,
            number=f"{others:,}",
        )
        if others
        else say("{job} is RUNNING for longer than its wallclock.", job=first.name),
        evidence=say(
            "It is RUNNING since {since} and should have ended by {due}.",
            since=_tell(first.since),
            due=_tell(_get_due(first)),
        ),
        since=_get_due(first),
        advice=say("See whether it is still on its platform, and read the end of its log."),
        job=first.name,
    )


def _get_due(job: ActiveJob) -> datetime:
    return job.since + timedelta(seconds=job.wallclock_seconds or 0)


def _is_overdue(job: ActiveJob, now: datetime) -> bool:
    """Answer whether a job is beyond its wallclock by more than a platform and Autosubmit need to notice its end."""
    if not job.wallclock_seconds:
        return False
    margin = max(OVERDUE_LEAST, OVERDUE_SHARE * timedelta(seconds=job.wallclock_seconds))
    return now > _get_due(job) + margin


def find_still_queue(facts: RunFacts) -> Alarm | None:
    """Find jobs that are in a queue for very long, while no job runs or ends."""
    queued = [job for job in facts.jobs if job.status in QUEUED_STATUSES]
    if not facts.is_running or not queued or any(job.status == "RUNNING" for job in facts.jobs):
        return None
    first = min(queued, key=lambda job: job.since)
    since = max(first.since, facts.ended_at or first.since)
    if facts.now - since < QUEUE_FOR:
        return None
    return Alarm(
        rule="still_queue",
        sentence=say(
            "The queue does not move: {number} jobs wait on their platform, and none runs or ended since {since}.",
            number=f"{len(queued):,}",
            since=_tell(since),
        ),
        evidence=say("{job} is {status} since {since}.", job=first.name, status=first.status, since=_tell(first.since)),
        since=since,
        advice=say("Ask the platform why it waits: a limit, a reservation or a maintenance."),
        job=first.name,
    )


def find_unseen(facts: RunFacts) -> Alarm | None:
    """Find a run at a host that is silent."""
    if not facts.is_running or not facts.is_unseen:
        return None
    return Alarm(
        rule="unseen",
        sentence=say("Nobody sees whether it still runs, because the host of its run is silent."),
        evidence=f"{_begin(facts)}.",
        since=facts.seen_since or facts.now,
        advice=say("Bring the host back, or say on the page of the site that nothing runs there."),
    )


def find_contradiction(facts: RunFacts) -> Alarm | None:
    """Find what contradicts the evidence otherwise than by a run that is gone."""
    if not facts.disagreement or (facts.is_dead and not facts.is_running):
        return None
    return Alarm(
        rule="contradictory",
        sentence=facts.disagreement,
        evidence=f"{_begin(facts)}.",
        since=facts.disagrees_since or facts.now,
    )


def find_unreadable(facts: RunFacts) -> Alarm | None:
    """Find files that cannot be read."""
    if not facts.problem:
        return None
    return Alarm(
        rule="unreadable",
        sentence=say("Its files cannot be read, so that nothing new is known of it."),
        evidence=facts.problem,
        since=facts.problem_since or facts.now,
        advice=say("Repair the file; it is tried again by itself."),
    )


def _tell(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _begin(facts: RunFacts) -> str:
    """Return the evidence as the beginning of a sentence."""
    return facts.evidence[:1].upper() + facts.evidence[1:]


def _get_state_since(facts: RunFacts, states: frozenset[str], least: timedelta) -> datetime | None:
    """Return since when the process of a run is in one of these states; None if it is not, or not for long."""
    if not facts.is_running or facts.process_state not in states or facts.state_since is None:
        return None
    return facts.state_since if facts.now - facts.state_since >= least else None


RULES: Sequence[Rule] = (
    Rule("dead", "Dead", find_dead),
    Rule("stopped", "Stopped by a signal", find_stopped),
    Rule("disk_sleep", "Waits for a disk", find_disk_sleep),
    Rule("stalled", "Stalled", find_stalled),
    Rule("unseen", "Not seen", find_unseen),
    Rule("blocked", "Blocked", find_blocked),
    Rule("overdue", "Overdue job", find_overdue),
    Rule("still_queue", "Queue does not move", find_still_queue),
    Rule("contradictory", "Contradictory", find_contradiction),
    Rule("unreadable", "Unreadable", find_unreadable),
)
"""The most urgent first."""

TITLES = {rule.name: rule.title for rule in RULES}


def find_alarms(facts: RunFacts) -> list[Alarm]:
    """Return everything that needs somebody, the most urgent first."""
    return [*_find_each(facts)]


def _find_each(facts: RunFacts) -> Iterator[Alarm]:
    for rule in RULES:
        if alarm := rule.find(facts):
            yield alarm
