"""No list reads or sorts all of a large table: the plans of their queries, on tables that are filled enough."""

from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.distinct import distinct_values
from experiments.models import Action, Experiment, Run, Site
from jobs.models import Job
from tests.support import factories

Value = TypeVar("Value")
ROWS, EXPERIMENTS = 4_000, 2_000
TABLES: tuple[type[Model], ...] = (Action, AuditEntry, Experiment, Job, Run)
NAMES = [model._meta.db_table for model in TABLES]
PARTIAL = {index.name for model in TABLES for index in model._meta.indexes if index.condition}
CONSOLE = (
    "/experiments/experiment/",
    "/experiments/experiment/?store=all",
    "/experiments/experiment/?running=yes",
    "/experiments/experiment/?problem=yes",
    "/experiments/experiment/?disagrees=yes",
    "/experiments/experiment/?owner=rare",
    "/experiments/experiment/?hpc=RARE",
    "/experiments/run/",
    "/experiments/run/?experiment={pk}",
    "/experiments/action/",
    "/experiments/action/?state__exact=failed",
    "/experiments/action/?kind__exact=set_status",
    "/experiments/action/?site__id__exact={site}",
    "/experiments/action/?door=worker",
    "/experiments/action/?experiment={pk}",
    "/experiments/action/?actor_name=rare",
    "/experiments/action/?requested_at__gte={today}&requested_at__lt={tomorrow}",
    "/audit/auditentry/",
    "/audit/auditentry/?period=last_hour",
    "/audit/auditentry/?event=refused",
    "/audit/auditentry/?event=site.",
    "/audit/auditentry/?door=worker",
    "/audit/auditentry/?expid={expid}",
    "/audit/auditentry/?actor_name=rare",
    "/audit/auditentry/?on_behalf_of=rare",
    "/audit/auditentry/?credential=rare",
    "/audit/auditentry/?action_id=7",
    "/jobs/job/?experiment={pk}&section=RARE",
    "/jobs/job/?experiment={pk}&member=rare",
    "/jobs/job/?experiment={pk}&chunk=7",
    "/jobs/job/?experiment={pk}&platform=RARE",
)
API = (
    "/v4/experiments?page_size=20",
    "/v4/actions",
    "/v4/actions?kind=set_status",
    "/v4/actions?state=failed",
    "/v4/actions?expid={expid}",
    "/v4/actions?actor=rare",
    "/v4/actions?approver=rare",
    "/v4/actions?site=rare",
    "/v4/actions?active=true",
    "/v4/audit",
    "/v4/audit?event=*refused",
    "/v4/audit?actor=rare",
    "/v4/audit?on_behalf_of=rare",
    "/v4/audit?site=rare",
    "/v4/audit?kind=set_status",
    "/v4/audit?door=worker",
    "/v4/audit?action=7",
    "/v4/audit?expid={expid}",
    "/v4/audit?period=last_hour",
)


@pytest.fixture
def words(db: None) -> dict[str, Any]:
    """Fill the tables, and return what addresses name."""
    return _fill()


def test_a_list_of_the_console_neither_reads_nor_sorts_everything(
    words: dict[str, Any], manager: User
) -> None:
    client = Client()
    client.force_login(manager)
    assert {address: found for address in CONSOLE if (found := faults(client, address.format(**words)))} == {}


def test_a_list_of_the_api_neither_reads_nor_sorts_everything(words: dict[str, Any], manager: User) -> None:
    client = APIClient()
    client.force_authenticate(manager)
    assert {address: found for address in API if (found := faults(client, address.format(**words)))} == {}


def test_the_values_of_a_column_are_found_without_reading_all_rows(words: dict[str, Any]) -> None:
    with CaptureQueriesContext(connection) as captured:
        found = distinct_values(Job, "section", experiment=words["pk"])
    assert found == ["RARE", "SIM"]
    (query,) = captured.captured_queries
    assert fault(query["sql"]) == ""


def faults(client: Client, address: str) -> list[str]:
    """Return the plans of a page that read or sort all of a large table."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    asked = [query["sql"] for query in captured.captured_queries]
    ordered = [sql for sql in asked if "ORDER BY" in sql and "SELECT DISTINCT" not in sql]
    return [found for sql in ordered if (found := fault(sql))]


def fault(sql: str) -> str:
    """Return the plan of a query if it reads or sorts all of a large table."""
    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(f"{'EXPLAIN' if is_postgresql else 'EXPLAIN QUERY PLAN'} {sql}")
        steps = [str(row[-1]) for row in cursor.fetchall()]
    plan = "\n".join(steps)
    is_bad = _is_bad_postgresql(plan) if is_postgresql else _is_bad_sqlite(steps, sql)
    return f"{sql}\n{plan}" if is_bad else ""


def _is_bad_postgresql(plan: str) -> bool:
    return any(f"Seq Scan on {model._meta.db_table}" in plan for model in TABLES)


def _is_bad_sqlite(steps: list[str], sql: str) -> bool:
    """An index of few rows may be read and sorted; without statistics IN is looked up in the order of the list."""
    is_read = "WHERE" in sql and " IN (" not in sql and any(f"SCAN {table}" in steps for table in NAMES)
    scans = [step for step in steps if step.startswith(tuple(f"SCAN {table}" for table in NAMES))]
    of_all = [step for step in scans if step.rpartition(" ")[2] not in PARTIAL]
    return is_read or ("USE TEMP B-TREE FOR ORDER BY" in steps and bool(of_all))


def _fill() -> dict[str, Any]:
    common, rare = factories.create_site(), factories.create_site(slug="rare")
    now = timezone.now()
    experiments = [factories.create_experiment(common)]
    experiments += Experiment.objects.bulk_create(
        Experiment(
            site=common,
            expid=f"z{n:05}",
            owner=_seldom(n, "rare", "operator"),
            hpc=_seldom(n, "RARE", "MN5"),
            is_running=n % 700 == 0,
            changed_at=now - timedelta(minutes=n),
            problem=_seldom(n, "no file", ""),
        )
        for n in range(EXPERIMENTS)
    )
    Run.objects.bulk_create(
        Run(experiment=experiments[n % 200], run_id=n, started_at=now - timedelta(hours=n))
        for n in range(ROWS)
    )
    Job.objects.bulk_create(_job(experiments[0], n) for n in range(ROWS))
    Action.objects.bulk_create(
        _action(_seldom(n, rare, common), experiments[n % 200], n) for n in range(ROWS)
    )
    Action.objects.update(requested_at=now - timedelta(days=40))
    AuditEntry.objects.bulk_create(_entry(experiments[n % 200], n) for n in range(ROWS))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "pk": experiments[0].pk,
        "expid": experiments[0].expid,
        "site": rare.pk,
        "today": quote(str(midnight)),
        "tomorrow": quote(str(midnight + timedelta(days=1))),
    }


def _seldom(number: int, rare: Value, common: Value) -> Value:
    return rare if number % 700 == 7 else common


def _job(experiment: Experiment, n: int) -> Job:
    return Job(
        experiment=experiment,
        name=f"{experiment.expid}_{n:05}",
        status="COMPLETED",
        section=_seldom(n, "RARE", "SIM"),
        member=_seldom(n, "rare", "fc0"),
        platform=_seldom(n, "RARE", "MN5"),
        chunk=n // 20,
    )


def _action(site: Site, experiment: Experiment, n: int) -> Action:
    return Action(
        site=site,
        experiment=experiment,
        expid=experiment.expid,
        kind=_seldom(n, "set_status", "stop"),
        state=_seldom(n, "failed", "succeeded"),
        door=_seldom(n, "worker", "api"),
        actor_name=_seldom(n, "rare", "operator"),
    )


def _entry(experiment: Experiment, n: int) -> AuditEntry:
    return AuditEntry(
        at=timezone.now() - timedelta(hours=ROWS - n),
        event=_seldom(n, "site.refused", "action.requested"),
        actor_name=_seldom(n, "rare", "operator"),
        on_behalf_of=_seldom(n, "rare", ""),
        credential=_seldom(n, "rare", "session"),
        door=_seldom(n, "worker", "api"),
        kind=_seldom(n, "set_status", "stop"),
        site=_seldom(n, "rare", "common"),
        expid=experiment.expid,
        action_id=n,
    )
