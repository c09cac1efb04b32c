"""What needs somebody, rule by rule with the least facts, and what does not: a healthy run that is slow."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from experiments.attention.alarm import read_alarms, tell_alarms
from experiments.attention.facts import ActiveJob, RunFacts
from experiments.attention.rules import RULES, TITLES, find_alarms
from experiments.catalogue.kinds import CATALOGUE

NOW = datetime(2026, 11, 29, 3, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def run(**facts: Any) -> RunFacts:
    """A run that gave a sign of life a moment ago."""
    usual: dict[str, Any] = {
        "is_running": True,
        "evidence": "process 7 on node holds the lock",
        "alive_at": NOW,
        "sleep_seconds": 10,
    }
    return RunFacts(now=NOW, **usual | facts)


def job(status: str = "RUNNING", since: datetime = NOW, wallclock: int | None = None) -> ActiveJob:
    """A job that is on a platform."""
    return ActiveJob("a000_SIM", status, since, wallclock)


# The smallest facts of which each rule has an alarm.
ALARMING = {
    "dead": run(is_running=False, is_dead=True, disagreement="No process was found."),
    "stopped": run(process_state="T", state_since=NOW - MINUTE),
    "disk_sleep": run(process_state="D", state_since=NOW - HOUR),
    "stalled": run(alive_at=NOW - HOUR),
    "unseen": run(is_unseen=True),
    "blocked": run(ready_job="a000_POST", ready_since=NOW - HOUR),
    "overdue": run(jobs=[job(since=NOW - 2 * HOUR, wallclock=3600)]),
    "still_queue": run(jobs=[job("QUEUING", NOW - 25 * HOUR)]),
    "contradictory": run(disagreement="Autosubmit's database says FAILED."),
    "unreadable": run(problem="The job list is cut off."),
}
SILENT = {
    "a healthy run": run(),
    "a run that has ended": run(is_running=False, alive_at=NOW - HOUR),
    "a quiet turn of its loop": run(alive_at=NOW - 40 * SECOND),
    "a loop that sleeps for long": run(alive_at=NOW - HOUR, sleep_seconds=1800),
    "an unknown loop": run(alive_at=NOW - 5 * MINUTE, sleep_seconds=None),
    "a run that was just found with old files": run(alive_at=NOW - HOUR, seen_since=NOW),
    "a run of which no sign is known": run(alive_at=None),
    "a moment in disk sleep": run(process_state="D", state_since=NOW - MINUTE),
    "a stop and a continuation": run(process_state="T", state_since=NOW - 5 * SECOND),
    "a long job within its wallclock": run(jobs=[job(since=NOW - 47 * HOUR, wallclock=48 * 3600)]),
    "a job that ends at its wallclock": run(jobs=[job(since=NOW - HOUR - MINUTE, wallclock=3600)]),
    "a job without a wallclock": run(jobs=[job(since=NOW - 1000 * HOUR)]),
    "a queue of a day where something ended": run(jobs=[job("QUEUING", NOW - 30 * HOUR)], ended_at=NOW - HOUR),
    "a long queue while a job runs": run(jobs=[job("QUEUING", NOW - 90 * HOUR), job(since=NOW - HOUR)]),
    "a job that becomes ready in the next turn": run(ready_job="a000_POST", ready_since=NOW - MINUTE),
    "the jobs of a run that was stopped": run(is_running=False, jobs=[job(since=NOW - 9 * HOUR, wallclock=60)]),
}


@pytest.mark.parametrize("rule", ALARMING)
def test_a_rule_finds_what_it_is_for_and_no_other_does(rule: str) -> None:
    assert [alarm.rule for alarm in find_alarms(ALARMING[rule])] == [rule]


@pytest.mark.parametrize("what", SILENT)
def test_there_is_no_false_alarm(what: str) -> None:
    assert find_alarms(SILENT[what]) == []


def test_each_rule_is_tried_and_has_a_title() -> None:
    assert [rule.name for rule in RULES] == [*ALARMING] == [*TITLES]


@pytest.mark.parametrize("rule", ALARMING)
def test_an_alarm_has_a_sentence_its_evidence_and_a_remedy_of_the_catalogue(rule: str) -> None:
    (alarm,) = find_alarms(ALARMING[rule])
    assert alarm.sentence.endswith(".")
    assert alarm.evidence
    assert alarm.remedy in {"", *CATALOGUE}


@pytest.mark.parametrize("rule", ALARMING)
def test_an_alarm_is_the_same_after_it_was_kept(rule: str) -> None:
    alarms = find_alarms(ALARMING[rule])
    assert read_alarms(tell_alarms(alarms)) == alarms


@pytest.mark.parametrize("rule", ALARMING)
def test_the_words_of_an_alarm_do_not_change_with_the_clock(rule: str) -> None:
    facts = ALARMING[rule]
    since = {"disagrees_since": NOW, "problem_since": NOW, "seen_since": NOW - 2 * HOUR}
    values = {name: getattr(facts, name) for name in RunFacts.__dataclass_fields__} | since
    (now,) = find_alarms(RunFacts(**values))
    assert now in find_alarms(RunFacts(**values | {"now": NOW + HOUR}))


def test_a_stopped_process_is_not_called_stalled_as_well() -> None:
    facts = run(process_state="T", state_since=NOW - HOUR, alive_at=NOW - HOUR)
    assert [alarm.rule for alarm in find_alarms(facts)] == ["stopped"]


def test_a_stalled_run_is_found_after_three_turns_of_its_loop() -> None:
    def is_found(quiet: timedelta) -> bool:
        return bool(find_alarms(run(alive_at=NOW - quiet, sleep_seconds=300)))

    assert not is_found(15 * MINUTE)
    assert is_found(16 * MINUTE)


def test_the_sentence_of_a_stalled_run_says_since_when() -> None:
    (alarm,) = find_alarms(ALARMING["stalled"])
    assert alarm.sentence == "The run gives no sign of life since 2026-11-29 02:00 UTC."


def test_several_overdue_jobs_are_one_alarm_of_the_oldest() -> None:
    late = [ActiveJob(f"a000_{number}", "RUNNING", NOW - number * HOUR, 60) for number in (1, 3, 2)]
    (alarm,) = find_alarms(run(jobs=late))
    assert alarm.sentence == "a000_3 is RUNNING for longer than its wallclock, and so are 2 more."
    assert alarm.job == "a000_3"


def test_the_most_urgent_comes_first() -> None:
    facts = run(problem="The job list is cut off.", process_state="T", state_since=NOW - HOUR)
    assert [alarm.rule for alarm in find_alarms(facts)] == ["stopped", "unreadable"]
