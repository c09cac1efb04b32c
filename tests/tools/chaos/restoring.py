"""The database of before: a backup while everything works, and the way back that docs/operations.md describes."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.documented_commands import execute_block
from tests.support.postgres import Postgres
from tests.tools.chaos import rows
from tests.tools.chaos.fleet import Fleet

PAGE = "operations.md"


@dataclass(slots=True)
class Forgotten:
    """What a restored database does not know: actions by reason, commands by key, refusals by kind; and since when."""

    reasons: set[str] = field(default_factory=set)
    commands: dict[str, str] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    restored_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Known:
    """The same of a database."""

    reasons: Mapping[int, str]
    steps: Mapping[str, tuple[int, int]]
    refusals: Counter[str]


def back_up(fleet: Fleet, folder: Path) -> None:
    """Make a backup in a folder."""
    folder.mkdir()
    execute_block(PAGE, f"backup-{_vendor(fleet)}", folder, fleet.portal.environment)


def restore(fleet: Fleet, folder: Path) -> Forgotten:
    """Stop everything, lose the database, go back to the backup, and have everything started again."""
    with fleet.keeping:
        fleet.kill()
        before = _look(fleet)
        _lose(fleet)
        execute_block(PAGE, f"restore-{_vendor(fleet)}", folder, fleet.portal.environment)
        execute_block(PAGE, "after-restore", folder, fleet.portal.environment)
        return _compare(before, _look(fleet))


def _vendor(fleet: Fleet) -> str:
    return "postgresql" if fleet.postgres else "sqlite"


def _lose(fleet: Fleet) -> None:
    if fleet.postgres:
        server = Postgres(fleet.postgres.url)
        server.drop_database(fleet.portal.database_url)
        fleet.portal.database_url = server.create_database()
    else:
        (fleet.portal.home / "portal.sqlite3").unlink()


def _look(fleet: Fleet) -> _Known:
    def ask(statement: str) -> list[dict[str, Any]]:
        return rows.query(fleet, statement)

    refused = "SELECT kind, count(*) AS number FROM audit_auditentry WHERE event = 'action.refused' GROUP BY kind"
    return _Known(
        {row["id"]: row["reason"] for row in ask("SELECT id, reason FROM experiments_action")},
        {
            row["key"]: (row["action_id"], row["number"])
            for row in ask("SELECT key, action_id, number FROM experiments_step")
        },
        Counter({row["kind"]: row["number"] for row in ask(refused)}),
    )


def _compare(before: _Known, after: _Known) -> Forgotten:
    made = Forgotten(restored_at=time.time())
    made.reasons = {*before.reasons.values()} - {*after.reasons.values()}
    for key, (action, number) in before.steps.items():
        if key not in after.steps:
            is_known = before.reasons[action] == after.reasons.get(action)
            made.commands[key] = f"{action}/{number}" if is_known else key
    made.refusals = before.refusals - after.refusals
    return made
