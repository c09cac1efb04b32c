"""No list reads or sorts all of a large table: what their statements do, on tables that are filled enough."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from autosubmit_portal.access.models import ApiToken, Delegation, Team
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit import events
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.console.pages.now import choose_acts
from autosubmit_portal.console.parts import base, finder, job_list
from autosubmit_portal.console.parts.finder import Hits
from autosubmit_portal.distinct import list_distinct
from experiments.activity import list_entry_streams
from experiments.models import Action, Experiment, Freeze, Run, Site
from jobs.models import Job
from tests.support import factories

Value = TypeVar("Value")
ROWS, EXPERIMENTS, PEOPLE, FREEZES = 4_000, 1_000, 1_500, 300
# How far a list counts: further than a page goes. And how many rows a statement may cost besides those it returns.
MOST, MOST_BESIDES = 250, 20
INSTRUCTIONS = 50
HOUR = timedelta(hours=1)
READS = ("SELECT", "WITH")
OTHERS = ('SELECT COUNT(*) AS "__count" FROM "', "SELECT 0, part.*")
TABLES: tuple[type[Model], ...] = (
    *(Action, AuditEntry, Experiment, Job, Run),
    *(AccessAttempt, ApiToken, Delegation, Freeze, Team, User),
)
NAMES = [model._meta.db_table for model in TABLES]
CONSOLE = (
    "/experiments/",
    "/experiments/?store=all",
    "/experiments/?running=yes",
    "/experiments/?failed=yes",
    "/experiments/?attention=yes",
    "/experiments/?attention=stalled",
    "/experiments/?site__id__exact={site}",
    "/experiments/?problem=yes",
    "/experiments/?disagrees=yes",
    "/experiments/?owner=rare",
    "/experiments/?hpc=RARE",
    "/runs/",
    "/experiments/~{pk}/runs/",
    "/actions/",
    "/actions/?state__exact=failed",
    "/actions/?kind__exact=set_status",
    "/actions/?site__id__exact={site}",
    "/actions/?door=worker",
    "/actions/?experiment={pk}",
    "/actions/?actor_name=rare",
    "/actions/?requested_at__gte={today}&requested_at__lt={tomorrow}",
    "/activity/",
    "/activity/?person=rare",
    "/activity/?person=operator",
    "/activity/?expid={expid}",
    "/activity/?kind=set_status",
    "/activity/?kind=outside",
    "/activity/?kind=other",
    "/activity/?outcome=failed",
    "/activity/?outcome=refused",
    "/activity/?period=last_24_hours",
    "/activity/?until=2000-01-01",
    "/activity/?q=stop {expid}",
    "/activity/?before=50-50",
    "/experiments/~{pk}/activity/",
    "/audit/",
    "/audit/?period=last_hour",
    "/audit/?event=refused",
    "/audit/?event=site.",
    "/audit/?door=worker",
    "/audit/?expid={expid}",
    "/audit/?actor_name=rare",
    "/audit/?on_behalf_of=rare",
    "/audit/?credential=API token rare",
    "/audit/?action_id=7",
    "/jobs/",
    "/jobs/?status=FAILED",
    "/jobs/?q=_02345",
    "/experiments/~{pk}/jobs/",
    "/experiments/~{pk}/jobs/?status=FAILED",
    "/experiments/~{pk}/jobs/?section=RARE",
    "/experiments/~{pk}/jobs/?member=rare",
    "/experiments/~{pk}/jobs/?chunk=7",
    "/experiments/~{pk}/jobs/?platform=RARE",
    "/jobs/?finished=24h",
    "/freezes/",
    "/freezes/?site__id__exact={site}",
    "/sites/",
    "/search/?q=z0001",
    "/delegations/",
    "/tokens/",
    # Not /teams/: it counts what each team covers, which may be any experiment, in one statement.
    "/failed-sign-ins/",
    "/people/",
)
API = (
    "/v4/experiments?page_size=20",
    "/v4/experiments?page_size=20&only_active=true",
    "/v4/experiments?page_size=20&failed=true",
    "/v4/experiments?page_size=20&has_problem=true",
    "/v4/experiments?page_size=20&attention=true",
    "/v4/experiments?page_size=20&attention=stalled",
    "/v4/experiments?page_size=20&site=rare",
    "/v4/experiments/{few}/jobs?page_size=20",
    "/v4/experiments/{few}/jobs?page_size=20&status=FAILED",
    "/v4/experiments/{few}/jobs?page_size=20&section=RARE",
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
    "/v4/audit?event=!action.*",
    "/v4/audit?credential=API token ra*",
    "/v4/audit?actor=rare",
    "/v4/audit?on_behalf_of=rare",
    "/v4/audit?site=rare",
    "/v4/audit?kind=set_status",
    "/v4/audit?door=worker",
    "/v4/audit?action=7",
    "/v4/audit?expid={expid}",
    "/v4/audit?period=last_hour",
    "/v4/audit?since=2000-01-01T00:00:00Z",
    "/v4/audit?since=2000-01-01T00:00:00Z&until=2000-01-02T00:00:00Z",
    "/v4/freezes",
    "/v4/freezes?site=rare",
    "/v4/delegations",
    "/v4/delegations?grantee=person-7",
    "/v4/delegations?grantor=person-7",
    "/v4/delegations?active=true",
    "/v4/tokens",
    "/v4/sites",
)


@pytest.fixture(scope="module")
def filled(module_db: None) -> dict[str, Any]:
    """Fill the tables for all tests here, and return what addresses name."""
    return _fill()


@pytest.fixture
def words(filled: dict[str, Any], db: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What addresses name; what is counted is counted less far than the tables are long."""
    monkeypatch.setattr(base, "MOST_COUNTED", MOST)
    monkeypatch.setattr(events, "MOST_FEW", MOST)
    monkeypatch.setattr(job_list, "MOST_SORTED", MOST)
    return filled


def test_a_list_of_the_console_neither_reads_nor_sorts_everything(words: dict[str, Any], manager: User) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    assert {address: found for address in CONSOLE if (found := faults(client, address.format(**words)))} == {}


def test_the_trail_is_not_read_to_find_what_somebody_did_who_did_nothing(words: dict[str, Any]) -> None:
    boss = User.objects.create_superuser("boss")
    of_experiments, of_oneself = list_entry_streams(boss, choose_acts(boss, "mine"))
    assert not of_experiments.exists()
    sql, values = of_oneself.order_by("-pk")[:MOST].query.sql_with_params()
    assert fault(sql % values) == ""


def test_activity_reads_only_what_was_done_outside_for_who_may_not_see_the_trail(words: dict[str, Any]) -> None:
    client = Client()
    client.force_login(factories.create_user(Role.VIEWER))
    assert {
        address: found for address in ("/activity/", "/activity/?kind=outside") if (found := faults(client, address))
    } == {}


@pytest.mark.parametrize(("find", "text"), [(finder.find_jobs, "_02345"), (finder.find_people, "person-7")])
def test_a_search_reads_only_what_it_finds(find: Callable[[User, str], Hits], text: str, words: dict[str, Any]) -> None:
    user = User.objects.create_superuser("boss")
    with CaptureQueriesContext(connection) as captured:
        assert find(user, text).hits
    reads = [query["sql"] for query in captured.captured_queries if query["sql"].startswith(READS)]
    asked = [sql for sql in reads if not sql.startswith(OTHERS)]
    assert [found for sql in asked if (found := fault(sql))] == []


def test_a_list_of_the_api_neither_reads_nor_sorts_everything(words: dict[str, Any], manager: User) -> None:
    client = APIClient()
    client.force_authenticate(manager)
    assert {address: found for address in API if (found := faults(client, address.format(**words)))} == {}


def test_the_values_of_a_column_are_found_without_reading_all_rows(words: dict[str, Any]) -> None:
    with CaptureQueriesContext(connection) as captured:
        found = list_distinct(Job, "section", experiment=words["pk"])
    assert found == ["RARE", "SIM"]
    (query,) = captured.captured_queries
    assert fault(query["sql"]) == ""


def faults(client: Client, address: str) -> list[str]:
    """Return the statements of a page that read much more than they return.

    The totals that the API has always answered are counts of all that a query means, and left out; so is what tells
    whether a page has changed, which reads the rows of the page once more.
    """
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    asked = [query["sql"] for query in captured.captured_queries]
    return [found for sql in asked if sql.startswith(READS) and not sql.startswith(OTHERS) and (found := fault(sql))]


def fault(sql: str) -> str:
    """Return a statement, with how much it does, if that is more than an index needs for what it returns."""
    done, rows, each = _done_by_postgresql(sql) if connection.vendor == "postgresql" else _done_by_sqlite(sql)
    return f"{done} for {rows} rows: {sql}" if done > (rows + MOST_BESIDES) * each else ""


def _done_by_sqlite(sql: str) -> tuple[int, int, int]:
    """Return about how many instructions it takes, and the rows; a column of a row is an instruction or two."""
    done = 0

    def count() -> None:
        nonlocal done
        done += INSTRUCTIONS

    connection.ensure_connection()
    connection.connection.set_progress_handler(count, INSTRUCTIONS)
    try:
        rows = connection.connection.execute(sql).fetchall()
    finally:
        connection.connection.set_progress_handler(None, 0)
    return done, len(rows), 300


def _done_by_postgresql(sql: str) -> tuple[int, int, int]:
    """Return how many rows of large tables it reads, and how many it returns; with an index wherever one can serve."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        ((found,),) = cursor.fetchall()
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return sum(map(_rows_read, _nodes(plan))), int(plan["Actual Rows"]), 20


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _rows_read(node: dict[str, Any]) -> int:
    if node.get("Relation Name") not in NAMES:
        return 0
    rows = [node[name] for name in node if name == "Actual Rows" or name.startswith("Rows Removed by")]
    return int(sum(rows) * node["Actual Loops"])


def _fill() -> dict[str, Any]:
    common, rare = factories.create_site(), factories.create_site(slug="rare")
    now = timezone.now()
    experiments = [factories.create_experiment(common)]
    experiments += Experiment.objects.bulk_create(
        Experiment(
            site=_seldom(n, rare, common),
            expid=f"z{n:05}",
            owner=_seldom(n, "rare", "operator"),
            hpc=_seldom(n, "RARE", "MN5"),
            is_running=n % 700 == 0,
            changed_at=now - timedelta(minutes=n),
            problem=_seldom(n, "no file", ""),
            attention_rules=_seldom(n, ",stalled,", ""),
            status_counts=_seldom(n, {"FAILED": 1}, {"COMPLETED": 1}),
        )
        for n in range(EXPERIMENTS)
    )
    Run.objects.bulk_create(
        Run(experiment=experiments[n % 200], run_id=n, started_at=now - timedelta(hours=n)) for n in range(ROWS)
    )
    Job.objects.bulk_create(_job(experiments[0], n) for n in range(ROWS))
    Experiment.objects.filter(pk=experiments[0].pk).update(total_jobs=ROWS)
    # The API goes through the jobs of an experiment in the order of their names.
    Job.objects.bulk_create(_job(experiments[1], n) for n in range(ROWS // 20))
    Action.objects.bulk_create(_action(_seldom(n, rare, common), experiments[n % 200], n) for n in range(ROWS))
    Action.objects.update(requested_at=now - timedelta(days=40))
    AuditEntry.objects.bulk_create(_entry(experiments[n % 200], n) for n in range(ROWS))
    _fill_others(common, rare, now)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # what waits to be put into the index makes it look dear
            cursor.execute("SELECT gin_clean_pending_list('jobs_name_trigrams')")
        cursor.execute("ANALYZE")
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "pk": experiments[0].pk,
        "expid": experiments[0].expid,
        "few": experiments[1].expid,
        "site": rare.pk,
        "today": quote(str(midnight)),
        "tomorrow": quote(str(midnight + timedelta(days=1))),
    }


def _fill_others(common: Site, rare: Site, now: datetime) -> None:
    people = User.objects.bulk_create(User(username=f"person-{n}") for n in range(PEOPLE))
    Team.objects.bulk_create(Team(slug=f"team-{n}", name=f"Team {n}") for n in range(PEOPLE))
    ApiToken.objects.bulk_create(
        ApiToken(user=user, name="bench", digest=f"{n:0128}", token_key=f"{n:08}") for n, user in enumerate(people)
    )
    Freeze.objects.bulk_create(
        Freeze(site=_seldom(n, rare, common), message="m", starts_at=now, ended_at=now) for n in range(FREEZES)
    )
    Delegation.objects.bulk_create(
        Delegation(grantor=user, grantee=people[n - 1], role=Role.VIEWER, reason="r", starts_at=now, ends_at=now + HOUR)
        for n, user in enumerate(people)
    )
    AccessAttempt.objects.bulk_create(
        AccessAttempt(username=f"person-{n}", ip_address="10.0.0.1", attempt_time=now, failures_since_start=1)
        for n in range(PEOPLE)
    )
    AccessAttempt.objects.exclude(username="person-2").update(attempt_time=now - timedelta(days=1))


def _seldom(number: int, rare: Value, common: Value) -> Value:
    return rare if number % 700 == 7 else common


def _job(experiment: Experiment, n: int) -> Job:
    return Job(
        experiment=experiment,
        name=f"{experiment.expid}_{n:05}",
        status=_seldom(n, "FAILED", "COMPLETED"),
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
        actor_id=-(n % 50),
        on_behalf_of=_seldom(n, "rare", ""),
        credential=_seldom(n, "API token rare", "session"),
        door=_seldom(n, "worker", "api"),
        kind=_seldom(n, "set_status", "stop"),
        site=_seldom(n, "rare", "common"),
        expid=experiment.expid,
        action_id=n if n % 3 else None,
    )


def test_a_search_of_somebody_with_few_rights_reads_no_jobs_of_others(words: dict[str, Any]) -> None:
    user = factories.create_user()
    factories.create_team((user, Role.VIEWER), covers={"expid_pattern": "z0099?"}, slug="few")
    with CaptureQueriesContext(connection) as captured:
        assert finder.find_jobs(user, "a00").hits == []
    asked = [query["sql"] for query in captured.captured_queries if f'FROM "{Job._meta.db_table}"' in query["sql"]]
    assert asked
    # The index of SQLite is one of all names, of which it reads a number that is limited.
    assert connection.vendor == "sqlite" or [found for sql in asked if (found := fault(sql))] == []


def test_a_search_of_jobs_is_planned_for_its_text(words: dict[str, Any], manager: User) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert finder.find_jobs(manager, "_02345").hits
    modes = [query["sql"] for query in captured.captured_queries if "plan_cache_mode" in query["sql"]]
    assert bool(modes) == (connection.vendor == "postgresql")
