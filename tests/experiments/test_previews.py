"""What an action would change, worked out from the rows of the mirror."""

from datetime import UTC, datetime
from typing import Any

import pytest

from experiments.catalogue import previews, selection
from experiments.catalogue.previews import Change, Effect
from jobs.workflow import JobRow, Workflow

DATE = datetime(2000, 1, 1, tzinfo=UTC)
WORKFLOW = Workflow(
    [
        JobRow("SETUP", "COMPLETED", "SETUP"),
        JobRow("SIM_1", "FAILED", "SIM", DATE, "fc0", 1),
        JobRow("SIM_2", "WAITING", "SIM", DATE, "fc0", 2),
        JobRow("POST_2", "WAITING", "POST", DATE, "fc0", 2),
        JobRow("LONG", "RUNNING", "LONG"),
    ],
    [("SETUP", "SIM_1"), ("SIM_1", "SIM_2"), ("SIM_2", "POST_2"), ("SETUP", "LONG")],
)


def effect(**parameters: Any) -> Effect:
    return previews.preview_set_status(WORKFLOW, parameters)


def changed(found: Effect) -> list[str]:
    return [change.job for change in found.changes]


@pytest.mark.parametrize(
    ("way", "jobs"),
    [
        ({"jobs": ["SIM_2", "SIM_1"]}, ["SIM_1", "SIM_2"]),
        ({"filter_status": ["FAILED", "COMPLETED"]}, ["SETUP", "SIM_1"]),
        ({"filter_section": ["sim", "POST"]}, ["SIM_1", "SIM_2", "POST_2"]),
        ({"filter_section": ["Any"]}, ["SETUP", "SIM_1", "SIM_2", "POST_2", "LONG"]),
        ({"filter_chunks": "[ 20000101 [ fc0 [2-9] ] ]"}, ["SIM_2", "POST_2"]),
        ({"filter_chunks": "1,2-9"}, ["SIM_1", "SIM_2", "POST_2"]),
        ({"filter_member": ["FC0"]}, ["SIM_1", "SIM_2", "POST_2"]),
        ({"filter_member": ["fc0"], "filter_status": ["WAITING", "RUNNING"]}, ["SIM_2", "POST_2"]),
        ({"filter_section": ["SIM"], "filter_status": ["RUNNING"]}, []),
    ],
    ids=str,
)
def test_each_way_to_choose_finds_its_jobs(way: dict[str, Any], jobs: list[str]) -> None:
    assert changed(effect(status="SUSPENDED", **way)) == jobs


def test_a_job_that_has_the_status_already_does_not_change() -> None:
    found = effect(status="WAITING", filter_section=["SIM"])
    assert found.changes == [Change("SIM_1", "FAILED", "WAITING")]


def test_what_loading_the_job_list_changes_is_told_apart_from_what_was_asked_for() -> None:
    workflow = Workflow([JobRow("A", "READY", "SETUP"), JobRow("B", "FAILED", "SIM")])
    found = previews.preview_set_status(workflow, {"status": "COMPLETED", "jobs": ["B"]})
    assert (found.wanted, found.besides) == ([Change("B", "FAILED", "COMPLETED")], [Change("A", "READY", "WAITING")])
    assert changed(found) == ["A", "B"]


def test_all_that_waits_for_a_change_follows() -> None:
    assert [row.name for row in effect(status="READY", jobs=["SIM_1"]).children] == ["SIM_2", "POST_2"]


def test_ready_before_its_parents_is_warned_about_with_the_parents() -> None:
    assert effect(status="READY", jobs=["POST_2"]).warnings == [
        "POST_2: READY does not let it start before its parents have completed, SIM_2 (WAITING)."
    ]


def test_ready_after_its_parents_is_not_warned_about() -> None:
    assert effect(status="READY", jobs=["SIM_1"]).warnings == []


def test_a_parent_that_is_to_run_again_is_unfinished_too() -> None:
    warnings = effect(status="READY", jobs=["SETUP", "SIM_1"]).warnings
    assert warnings[0].startswith("SIM_1: READY does not let it start")


def test_the_run_itself_starts_what_is_ready_and_that_is_warned_about() -> None:
    found = previews.preview_live_change(WORKFLOW, {"status": "READY", "jobs": ["POST_2"]})
    assert found.changes == [Change("POST_2", "WAITING", "READY")]
    assert found.warnings == ["POST_2: it would start before its parents have completed, SIM_2 (WAITING)."]


LOADED = Workflow([JobRow("A", "READY"), JobRow("B", "DELAYED"), JobRow("C", "WAITING"), JobRow("D", "FAILED")])


def test_a_command_resets_what_is_ready_and_that_is_told() -> None:
    found = previews.preview_set_status(LOADED, {"status": "SUSPENDED", "jobs": ["D"]})
    changes = {change.job: change.new for change in found.changes}
    assert changes == {"A": "WAITING", "B": "WAITING", "D": "SUSPENDED"}
    assert found.warnings == ["2 jobs (A, B) READY or DELAYED: Autosubmit loads these as WAITING, as each start does."]


def test_a_run_resets_nothing() -> None:
    found = previews.preview_live_change(LOADED, {"status": "SUSPENDED", "jobs": ["D"]})
    assert [change.job for change in found.changes] == ["D"]


@pytest.mark.parametrize(("status", "job"), [("READY", "A"), ("WAITING", "C")])
def test_jobs_are_chosen_by_the_status_that_is_shown(status: str, job: str) -> None:
    assert selection.choose(LOADED, {"filter_status": [status]}) == ([job], [])


def test_of_a_list_for_several_commands_only_the_last_keeps_what_the_next_would_reset() -> None:
    names = [f"a000_{'x' * 90}_{number}" for number in range(1500)]
    workflow = Workflow([JobRow(name, "FAILED") for name in names])
    found = previews.preview_set_status(workflow, {"status": "READY", "jobs": names})
    news = [change.new for change in found.changes]
    assert (news[0], news[-1], len(news)) == ("WAITING", "READY", 1500)
    assert "need several commands" in found.warnings[0]


def test_an_active_job_is_said_to_be_cancelled() -> None:
    assert "1 job (LONG) active: cancelled" in effect(status="COMPLETED", jobs=["LONG"]).warnings[0]


def test_a_completed_job_is_said_to_run_again() -> None:
    assert effect(status="WAITING", jobs=["SETUP"]).warnings == ["1 job (SETUP) COMPLETED already: to run again."]


def test_a_choice_that_changes_nothing_says_so() -> None:
    found = effect(status="FAILED", filter_status=["FAILED"])
    assert (found.changes, found.warnings) == (
        [],
        ["None of the chosen jobs would change: 1 job chosen, all FAILED already."],
    )


def test_a_status_that_no_job_has_is_named() -> None:
    assert effect(status="READY", filter_status=["UNKNOWN"]).warnings == ["filter_status: no job is UNKNOWN."]


def test_a_section_that_no_job_has_is_named() -> None:
    warnings = effect(status="READY", filter_section=["SIMM"]).warnings
    assert warnings == ["filter_section: no job is of section SIMM."]


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("[ 20000101 [ fc0 [1-2 9] ] ]", "chunk 9"),
        ("[ 20010101 [ fc7 [1] ] 20000101 [ fc0 [20-30] ] ]", "date 20010101, member FC7, chunk 20-30"),
    ],
)
def test_dates_members_and_chunks_that_no_job_has_are_named(text: str, unknown: str) -> None:
    assert f"filter_chunks: no job has {unknown}." in effect(status="SUSPENDED", filter_chunks=text).warnings


def test_known_dates_members_and_chunks_that_never_come_together_are_told() -> None:
    rows = [JobRow("A", "WAITING", "SIM", DATE, "fc0", 1), JobRow("B", "WAITING", "SIM", DATE, "fc1", 2)]
    found = previews.preview_set_status(
        Workflow(rows), {"status": "READY", "filter_chunks": "[ 20000101 [ fc0 [2] ] ]"}
    )
    assert found.warnings == ["filter_chunks: no job has these dates, members and chunks together."]


def test_ten_thousand_early_jobs_are_counted_not_listed() -> None:
    rows = [JobRow(f"J{number}", "WAITING") for number in range(10_001)]
    chain = Workflow(rows, [(f"J{number}", f"J{number + 1}") for number in range(10_000)])
    found = previews.preview_set_status(chain, {"status": "READY", "jobs": [row.name for row in rows]})
    assert found.warnings[-1] == "9995 jobs more with unfinished parents."
    assert len(found.warnings) == previews.NAMED + 1


def test_a_restart_readies_what_can_start_and_keeps_what_completed() -> None:
    found = previews.preview_restart(WORKFLOW, {"force": True})
    assert found.changes == [Change("SIM_1", "FAILED", "READY"), Change("LONG", "RUNNING", "READY")]
    assert [row.name for row in found.children] == ["SIM_2", "POST_2"]


def test_a_restart_with_active_jobs_is_said_to_be_refused_without_force() -> None:
    assert "Autosubmit refuses that unless force" in previews.preview_restart(WORKFLOW, {}).warnings[0]


@pytest.mark.parametrize("status", ["UNKNOWN", "HELD", "QUEUING"])
def test_a_restart_is_refused_for_all_that_autosubmit_takes_for_active(status: str) -> None:
    found = previews.preview_restart(Workflow([JobRow("A", status)]), {})
    assert "1 job (A) still active" in found.warnings[0]


def test_a_restart_leaves_what_is_suspended() -> None:
    assert previews.preview_restart(Workflow([JobRow("A", "SUSPENDED")]), {}).changes == []


def test_a_restart_undoes_what_was_completed_before_its_parents_and_says_so() -> None:
    rows = [JobRow("A", "FAILED"), JobRow("B", "COMPLETED"), JobRow("C", "COMPLETED")]
    found = previews.preview_restart(Workflow(rows, [("A", "B"), ("B", "C")]), {})
    assert [change.new for change in found.changes] == ["READY", "WAITING", "WAITING"]
    assert found.warnings[0] == "2 jobs (B, C) would lose COMPLETED."


def test_a_set_status_takes_the_changes_that_autosubmit_reports() -> None:
    found = previews.preview_set_status(WORKFLOW, {"status": "READY", "jobs": ["SIM_1", "LONG"]}, {"SIM_1": "READY"})
    assert found.changes == [Change("SIM_1", "FAILED", "READY")]


def test_a_restart_takes_the_completed_jobs_that_autosubmit_reports() -> None:
    reported = {"SETUP": "WAITING", "SIM_1": "WAITING", "SIM_2": "WAITING", "POST_2": "WAITING", "LONG": "WAITING"}
    found = previews.preview_restart(WORKFLOW, {}, reported)
    assert found.changes[0] == Change("SETUP", "COMPLETED", "READY")
