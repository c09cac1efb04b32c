"""Fixtures of the trail's tests: a short chain, and what somebody can do who writes to the database."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from autosubmit_portal.audit import trail, triggers
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin

ORIGIN = Origin(
    door=Door.API,
    actor_name="ana",
    actor_id=7,
    address="192.0.2.7",
    credential="API token ab12cd34 nightly",
    on_behalf_of="ben",
)


@pytest.fixture
def ids(tamper: Callable[..., None]) -> list[int]:
    """The numbers of five entries in a row, the only ones."""
    tamper("DELETE FROM {}")
    return [
        trail.record(
            "action.requested",
            origin=ORIGIN,
            subject=f"a00{number}",
            site="local",
            expid=f"a00{number}",
            action_id=number,
            kind="run",
            details={"parameters": {"number": number}, "command": [["autosubmit", "run"]]},
            message="because",
        ).pk
        for number in range(5)
    ]


@pytest.fixture
def tamper(db: None) -> Callable[..., None]:
    """Run SQL as the owner of the table can: without its triggers. `{}` stands for its name."""

    def run(sql: str, *values: Any) -> None:
        with connection.cursor() as cursor:
            for statement in triggers.REMOVE[connection.vendor]:
                cursor.execute(statement)
            cursor.execute(sql.format(AuditEntry._meta.db_table), values)
            for statement in triggers.INSTALL[connection.vendor]:
                cursor.execute(statement)

    return run
