"""What the examination of a portal finds, with its level, its word and its remedy."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from autosubmit_portal import health
from autosubmit_portal.agent.findings import Finding, Level
from autosubmit_portal.health import examine
from autosubmit_portal.workers.heartbeat import get_free_bytes
from autosubmit_portal.workers.models import SILENCE, Worker
from experiments.models import Action, Site, State
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def site() -> Site:
    """A site with a worker, a fresh mirror and a program: nothing is wrong."""
    factories.create_worker()
    return factories.create_site(slug="local", autosubmit="/bin/true", mirrored_at=timezone.now())


def found(part: str) -> Finding:
    """Return the only finding of a part."""
    (finding,) = [finding for finding in examine() if finding.part == part]
    return finding


def problems() -> list[Finding]:
    """Return what is not well."""
    return [finding for finding in examine() if finding.level]


def test_each_part_of_a_portal_that_is_well_is_ok(site: Site) -> None:
    assert [(finding.part, finding.word) for finding in examine()] == [(part, "ok") for part in health.CHECKS]
    assert problems() == []


def test_what_is_not_well_has_a_text_and_what_fails_a_remedy_or_the_reason_of_the_site(site: Site) -> None:
    Worker.objects.all().delete()
    Site.objects.update(mirrored_at=None)
    assert all(finding.text and finding.remedy for finding in problems())


def test_only_the_parts_that_are_named_are_examined(site: Site) -> None:
    assert [finding.part for finding in examine(("disk", "broker"))] == ["disk", "broker"]


def test_a_database_that_does_not_answer_is_down_and_nothing_else_is_asked(site: Site) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("connection refused\nIs the server running?")

    with connection.execute_wrapper(refuse):
        findings = examine()
    assert findings[0].text == "The database does not answer: connection refused Is the server running?."
    assert "PORTAL_DATABASE_URL" in findings[0].remedy
    assert {finding.word for finding in findings[1:]} == {"unknown"}


def test_tables_that_are_not_those_of_the_code_are_behind(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    health._is_migrated.cache_clear()
    MigrationRecorder(connection).record_unapplied("workers", "0001_initial")
    finding = found("migrations")
    assert (finding.level, finding.word) == (Level.FAIL, "behind")
    assert finding.remedy == "Run `manage.py migrate`."


def test_a_broker_that_does_not_answer_is_down(site: Site, at_dead_redis: None) -> None:
    finding = found("broker")
    assert (finding.level, finding.word) == (Level.FAIL, "down")
    assert "PORTAL_BROKER_URL" in finding.remedy


def test_a_queue_that_nobody_serves_is_named_with_its_sites_and_how_to_start_a_worker(site: Site) -> None:
    factories.create_site(slug="north", queue="hpc", mirrored_at=timezone.now())
    (finding,) = [finding for finding in examine() if finding.part == "workers" and finding.level]
    assert (finding.level, finding.word) == (Level.FAIL, "missing")
    assert finding.text == "No worker serves the queue “hpc” of north."
    assert finding.remedy == "Start one: `Q_CLUSTER_NAME=hpc manage.py qcluster`."


@pytest.mark.parametrize("change", [{"seen_at": timezone.now() - 2 * SILENCE}, {"is_stopping": True}])
def test_a_worker_that_was_killed_or_is_being_stopped_serves_nobody(site: Site, change: dict[str, Any]) -> None:
    Worker.objects.update(**change)
    assert found("workers").remedy == "Start one: `manage.py qcluster`."


def test_a_worker_that_cannot_read_our_messages_is_foreign(site: Site) -> None:
    Worker.objects.update(seal="of another key")
    finding = found("workers")
    assert (finding.level, finding.word) == (Level.FAIL, "foreign")
    assert "PORTAL_SECRET_KEY" in finding.remedy


def test_a_worker_of_a_queue_that_no_site_uses_is_stray(site: Site) -> None:
    factories.create_worker(queue="protal")
    (finding,) = [finding for finding in examine() if finding.part == "workers" and finding.level]
    assert (finding.level, finding.word) == (Level.WARN, "stray")
    assert finding.remedy == "Correct its Q_CLUSTER_NAME, or the queue of a site. Queues of sites: “portal”."


@pytest.mark.parametrize(
    ("age", "level", "word"),
    [
        (timedelta(seconds=10), Level.OK, "ok"),
        (timedelta(seconds=30), Level.WARN, "slow"),
        (timedelta(minutes=6), Level.FAIL, "stuck"),
    ],
)
def test_the_oldest_queued_action_tells_how_a_queue_does(site: Site, age: timedelta, level: Level, word: str) -> None:
    for waited in (timedelta(0), age):
        factories.create_action(factories.create_experiment(site))
        Action.objects.filter(pk=Action.objects.latest("pk").pk).update(requested_at=timezone.now() - waited)
    finding = found("queue")
    assert (finding.level, finding.word) == (level, word)


def test_an_action_that_has_been_taken_waits_no_more(site: Site) -> None:
    factories.create_action(factories.create_experiment(site), state=State.RUNNING)
    Action.objects.update(requested_at=timezone.now() - timedelta(days=1))
    assert found("queue").word == "ok"


@pytest.mark.parametrize(
    ("age", "text"),
    [(timedelta(minutes=3), "The mirror of local is 3 min old."), (None, "The mirror of local is not made yet.")],
)
def test_a_mirror_that_does_not_look_is_stale(site: Site, age: timedelta | None, text: str) -> None:
    Site.objects.update(mirrored_at=age and timezone.now() - age)
    finding = found("mirror")
    assert (finding.level, finding.word, finding.text) == (Level.FAIL, "stale", text)
    assert "manage.py mirror" in finding.remedy


def test_a_site_that_is_broken_says_why_once(site: Site) -> None:
    Site.objects.update(problem="There is no database.", mirrored_at=None)
    (finding,) = problems()
    assert (finding.part, finding.word) == ("sites", "unhealthy")
    assert finding.text == "The site local: There is no database."


def test_a_portal_without_a_site_is_told_how_to_get_one() -> None:
    assert (found("sites").level, found("sites").word) == (Level.WARN, "none")
    assert "manage.py up" in found("sites").remedy


def test_a_program_that_others_can_write_is_a_warning(site: Site, tmp_path: Path) -> None:
    program = tmp_path / "autosubmit"
    program.touch(mode=0o755)
    program.chmod(0o777)
    Site.objects.update(autosubmit=str(program))
    assert (found("program").level, found("program").word) == (Level.WARN, "open")
    assert f"{program} can be written by everybody" in found("program").text


def test_behind_the_gateway_of_somebody_else_agents_check_the_programs(site: Site, settings: Any) -> None:
    settings.STARTS_GATEWAY = False
    Site.objects.update(autosubmit="/not/on/this/host")
    assert found("program").word == "ok"


def test_a_program_that_is_elsewhere_is_a_warning_only(site: Site) -> None:
    Site.objects.update(autosubmit="/not/here")
    assert (found("program").level, found("program").word) == (Level.WARN, "missing")


@pytest.mark.parametrize(
    ("free", "level", "word"),
    [
        (2 * 1024**3, Level.OK, "ok"),
        (1024**3, Level.WARN, "low"),
        (100 * 1024**2, Level.FAIL, "full"),
        (None, Level.WARN, "unknown"),
    ],
)
def test_the_disk_of_a_worker_has_room_or_not(site: Site, free: int | None, level: Level, word: str) -> None:
    Worker.objects.update(free_bytes=free)
    finding = found("disk")
    assert (finding.level, finding.word) == (level, word)
    assert "worker.example.org" in finding.text


def test_the_disk_here_is_looked_at_when_no_worker_lives(site: Site) -> None:
    Worker.objects.all().delete()
    assert "this host" in found("disk").text


def test_room_is_told_of_a_folder_that_is_not_made_yet(tmp_path: Path) -> None:
    assert get_free_bytes(tmp_path / "not" / "yet") == pytest.approx(get_free_bytes(tmp_path), rel=0.1)


def test_an_examination_costs_no_more_queries_for_more_sites(
    site: Site, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    examine()
    for number in range(20):
        factories.create_site(queue=f"queue-{number}")
        factories.create_worker(queue=f"queue-{number}")
    with django_assert_max_num_queries(7):  # on PostgreSQL, whose index for searches is looked for
        examine()
