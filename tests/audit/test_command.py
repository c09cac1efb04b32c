"""`manage.py audit`: verify, export, seal."""

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from autosubmit_portal.audit import trail, triggers
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.audit.seal import get_manifest
from experiments.models import State
from tests.support import factories

Tamper = Callable[..., None]


def audit(*words: Any) -> str:
    """Return what the command prints; one that fails raises SystemExit or CommandError."""
    out = io.StringIO()
    call_command("audit", *map(str, words), stdout=out, no_color=True)
    return out.getvalue()


def broken(capsys: pytest.CaptureFixture[str], *words: Any) -> str:
    """Return what the command prints when it finds a fault."""
    with pytest.raises(SystemExit, match="1"):
        call_command("audit", "verify", *map(str, words), no_color=True)
    return capsys.readouterr().out


@pytest.fixture
def archive(ids: list[int], tmp_path: Path) -> Path:
    """The archive of the five entries, which are sealed."""
    audit("seal", "--before", timezone.now().isoformat(), "--folder", tmp_path)
    return next(tmp_path.glob("*.gz"))


def test_verify_tells_the_head_of_a_whole_trail(ids: list[int]) -> None:
    head = AuditEntry.objects.get(pk=ids[-1])
    assert audit("verify") == f"5 entries examined. Head: {head.pk}:{head.digest}\n"


def test_verify_names_the_first_broken_entry(
    ids: list[int], tamper: Tamper, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper("UPDATE {} SET message = 'x' WHERE id >= %s", ids[3])
    assert broken(capsys).splitlines()[0] == f"Entry {ids[3]} was changed after it was written."


def test_verify_misses_the_end_that_an_earlier_one_has_told(
    ids: list[int], tamper: Tamper, capsys: pytest.CaptureFixture[str]
) -> None:
    head = audit("verify").split()[-1]
    assert "5 entries examined" in audit("verify", "--head", head)
    tamper("DELETE FROM {} WHERE id = %s", ids[-1])
    assert f"Entry {ids[-1]} is missing" in broken(capsys, "--head", head)


def test_verify_says_of_a_trail_that_was_emptied_what_is_missing(
    ids: list[int], tamper: Tamper, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper("DELETE FROM {}")
    assert f"Entries 1 to {ids[-1]} are missing" in broken(capsys)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL loses numbers of transactions that fail")
def test_verify_misses_the_end_by_its_numbers(
    ids: list[int], tamper: Tamper, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper("DELETE FROM {} WHERE id = %s", ids[-1])
    assert f"Entry {ids[-1]} is missing" in broken(capsys)


@pytest.mark.parametrize("state", [State.QUEUED, State.SUCCEEDED])
def test_verify_names_actions_whose_entries_are_missing(
    state: State, ids: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    action = factories.create_action(factories.create_experiment(), state=state, id=1000)
    if state is not State.QUEUED:
        trail.record("action.requested", origin=Origin(door=Door.API), action_id=action.pk)
    assert f"Entries of actions are missing: {action.pk}." in broken(capsys)


def test_verify_names_what_no_longer_refuses_changes(ids: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(triggers.REMOVE[connection.vendor][0])
    assert "The trigger audit_" in broken(capsys)


@pytest.mark.parametrize("head", ["5", "x:y", "5:"])
def test_what_is_no_head_is_refused(head: str) -> None:
    with pytest.raises(CommandError, match="ID:DIGEST"):
        audit("verify", "--head", head)


def test_export_writes_json_lines_oldest_first(ids: list[int]) -> None:
    lines = [json.loads(line) for line in audit("export").splitlines()]
    assert [line["id"] for line in lines[:5]] == ids
    assert (lines[0]["actor"], lines[0]["on_behalf_of"]) == ("ana", "ben")


@pytest.mark.parametrize(
    ("options", "places"),
    [
        (["--expid", "a001"], [1]),
        (["--credential", "API token ab12*", "--action", "3"], [3]),
        (["--event", "*refused"], []),
        (["--on-behalf-of", "ben", "--since", "2026-01-01", "--expid", "a004"], [4]),
        (["--until", "2026-01-01"], []),
        (["--period", "last_hour", "--expid", "a002"], [2]),
    ],
    ids=str,
)
def test_export_is_filtered_as_the_api_is(ids: list[int], options: list[str], places: list[int]) -> None:
    found = [json.loads(line)["id"] for line in audit("export", *options).splitlines()]
    assert found == [ids[place] for place in places]


def test_export_goes_on_after_an_entry(ids: list[int]) -> None:
    rows = list(csv.DictReader(io.StringIO(audit("export", "--format", "csv", "--after", ids[3]))))
    assert [row["event"] for row in rows] == ["action.requested", "audit.exported"]


def test_no_cell_of_an_exported_csv_is_a_formula(db: None) -> None:
    trail.record("test.happened", origin=Origin(door=Door.API, actor_name="=1+1"), message="@SUM(A1)")
    row = next(csv.DictReader(io.StringIO(audit("export", "--format", "csv", "--event", "test.*"))))
    assert (row["actor"], row["message"]) == ("'=1+1", "'@SUM(A1)")


def test_an_export_is_recorded_with_what_was_asked_for(ids: list[int]) -> None:
    audit("export", "--expid", "a001")
    entry = AuditEntry.objects.get(event="audit.exported")
    assert (entry.door, entry.details) == ("command line", {"format": "jsonl", "query": {"expid": "a001"}})
    assert entry.credential.startswith("Unix account ")


def test_a_wrong_filter_is_named(db: None) -> None:
    with pytest.raises(CommandError, match="--since"):
        audit("export", "--since", "yesterday")


def test_a_seal_deletes_nothing_and_is_recorded(archive: Path, ids: list[int]) -> None:
    assert AuditEntry.objects.filter(pk__in=ids).count() == 5
    details = AuditEntry.objects.get(event="audit.sealed").details
    assert (details["first_id"], details["last_id"], details["file"]) == (ids[0], ids[-1], archive.name)
    assert archive.stat().st_mode & 0o077 == 0
    assert "6 entries examined" in audit("verify", "--archive", archive)


def test_the_next_seal_begins_after_the_last(archive: Path, ids: list[int], tmp_path: Path) -> None:
    assert "nothing was written" in audit("seal", "--before", "2026-01-01", "--folder", tmp_path)
    later = timezone.now() + timedelta(seconds=1)
    assert f"Entries {ids[-1] + 1} to" in audit("seal", "--before", later.isoformat(), "--folder", tmp_path)


def test_what_was_moved_out_after_a_seal_is_not_missed(archive: Path, ids: list[int], tamper: Tamper) -> None:
    tamper("DELETE FROM {} WHERE id <= %s", ids[-1])
    assert f"It begins after sealed entry {ids[-1]}." in audit("verify")


def test_more_than_was_sealed_is_missed(
    archive: Path, ids: list[int], tamper: Tamper, capsys: pytest.CaptureFixture[str]
) -> None:
    last = trail.record("test.happened", origin=Origin(door=Door.API)).pk
    trail.record("test.happened", origin=Origin(door=Door.API))
    tamper("DELETE FROM {} WHERE id <= %s", last)
    assert f"Entry {last + 1} is the first one, but follows others" in broken(capsys, "--archive", archive)


@pytest.mark.parametrize("part", ["archive", "manifest"])
def test_a_changed_archive_is_found(archive: Path, part: str) -> None:
    path = archive if part == "archive" else get_manifest(archive)
    path.write_bytes(path.read_bytes().replace(b'"entries": 5', b'"entries": 6') + b"\n")
    with pytest.raises(CommandError, match="was changed" if part == "archive" else "not signed"):
        audit("verify", "--archive", archive)


def test_an_archive_without_its_seal_is_refused(archive: Path) -> None:
    get_manifest(archive).unlink()
    with pytest.raises(CommandError, match="no seal"):
        audit("verify", "--archive", archive)


def test_a_broken_trail_is_not_sealed(ids: list[int], tamper: Tamper, tmp_path: Path) -> None:
    tamper("UPDATE {} SET message = 'x' WHERE id = %s", ids[1])
    with pytest.raises(CommandError, match=f"Nothing was sealed. Entry {ids[1]} was changed"):
        audit("seal", "--before", timezone.now().isoformat(), "--folder", tmp_path)
    assert not AuditEntry.objects.filter(event="audit.sealed").exists()
