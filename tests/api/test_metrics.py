"""`GET /metrics`: who may read it, in which format, and what it says."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.test import APIClient

from autosubmit_portal.workers.models import Worker
from experiments.models import Action, Experiment, Site, State
from tests.support import factories


@pytest.fixture
def numbers(as_viewer: APIClient) -> Callable[..., float | None]:
    """Read one number: numbers("actions", kind="run", state="queued"); None if it is not there."""

    def read(name: str, **labels: str) -> float | None:
        text = as_viewer.get("/metrics").content.decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        values = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
        return values.get((f"autosubmit_portal_{name}", frozenset(labels.items())))

    return read


Numbers = Callable[..., float | None]


def test_nobody_reads_it(api: Callable[..., APIClient]) -> None:
    assert api().get("/metrics").status_code == 401


def test_who_may_not_see_actions_does_not_read_it(api: Callable[..., APIClient], db: None) -> None:
    answer = api(factories.create_user()).get("/metrics")
    assert (answer.status_code, answer.json()["permission"]) == (403, "experiments.view_action")


def test_everybody_reads_it_where_a_setting_says_so(client: Any, db: None, settings: Any) -> None:
    settings.METRICS_OPEN = True
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize("accept", ["text/plain;version=0.0.4", "*/*", "text/html,*/*;q=0.8"])
def test_it_is_prometheus_text_unless_something_else_is_preferred(as_viewer: APIClient, accept: str) -> None:
    answer = as_viewer.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")


def test_it_is_openmetrics_for_who_prefers_that(as_viewer: APIClient) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    answer = as_viewer.get("/metrics", headers={"Accept": accept})
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")


def test_it_is_never_kept_by_a_cache(as_viewer: APIClient) -> None:
    assert as_viewer.get("/metrics")["Cache-Control"] == "no-store"


def test_it_counts_actions_by_kind_and_state(numbers: Numbers, experiment: Experiment) -> None:
    factories.create_action(experiment)
    for _ in range(2):
        factories.create_action(experiment, kind="stop", state=State.FAILED)
    assert numbers("actions", kind="run", state="queued") == 1
    assert numbers("actions", kind="stop", state="failed") == 2


def test_it_sums_up_how_long_actions_took(numbers: Numbers, experiment: Experiment) -> None:
    now = timezone.now()
    for seconds in (2, 3):
        took = {"started_at": now - timedelta(seconds=seconds), "ended_at": now}
        factories.create_action(experiment, state=State.SUCCEEDED, **took)
    assert numbers("action_duration_seconds_count", kind="run", state="succeeded") == 2
    assert numbers("action_duration_seconds_sum", kind="run", state="succeeded") == pytest.approx(5)


def test_it_tells_the_age_of_the_oldest_queued_action_of_each_queue(numbers: Numbers, experiment: Experiment) -> None:
    factories.create_site(queue="north")
    factories.create_action(experiment)
    Action.objects.update(requested_at=timezone.now() - timedelta(seconds=90))
    assert numbers("oldest_queued_seconds", queue="portal") == pytest.approx(90, abs=5)
    assert numbers("oldest_queued_seconds", queue="north") == 0


def test_a_queue_without_a_worker_has_the_number_0(numbers: Numbers, site: Site) -> None:
    factories.create_site(queue="north")
    factories.create_worker()
    assert numbers("workers", queue="portal") == 1
    assert numbers("workers", queue="north") == 0


def test_it_tells_of_each_site_how_old_its_mirror_is_and_whether_it_is_healthy(numbers: Numbers, site: Site) -> None:
    Site.objects.update(mirrored_at=timezone.now() - timedelta(seconds=40))
    factories.create_site(slug="sick", problem="There is no database.")
    assert numbers("mirror_age_seconds", site="local") == pytest.approx(40, abs=5)
    assert numbers("site_healthy", site="local") == 1
    assert numbers("site_healthy", site="sick") == 0


def test_it_counts_the_experiments_of_each_site(numbers: Numbers, site: Site) -> None:
    factories.create_experiment(site, is_running=True)
    factories.create_experiment(site)
    factories.create_experiment(site, gone_at=timezone.now())
    assert numbers("experiments", site="local") == 2
    assert numbers("experiments_running", site="local") == 1


def test_it_tells_the_room_on_the_disks_of_workers(numbers: Numbers, db: None) -> None:
    factories.create_worker(host="a", free_bytes=5)
    factories.create_worker(host="b", free_bytes=None)
    assert numbers("disk_free_bytes", host="a") == 5
    assert numbers("disk_free_bytes", host="b") is None


@pytest.mark.parametrize(("seal", "number"), [("", 0), (None, 2)])
def test_the_health_of_each_part_is_a_number(numbers: Numbers, site: Site, seal: str | None, number: int) -> None:
    worker = factories.create_worker()
    Worker.objects.update(seal=worker.seal if seal is None else seal)
    assert numbers("health", part="workers") == number


def test_a_database_that_is_away_leaves_the_health(client: Any, db: None, settings: Any) -> None:
    settings.METRICS_OPEN = True

    def refuse(*_: object) -> None:
        raise OperationalError("gone")

    with connection.execute_wrapper(refuse):
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert 'autosubmit_portal_health{part="database"} 0.0' in answer.content.decode()


def test_more_rows_cost_no_more_queries(
    as_viewer: APIClient, experiment: Experiment, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for number in range(20):
        site = factories.create_site(queue=f"queue-{number}")
        factories.create_action(factories.create_experiment(site))
        factories.create_worker(queue=f"queue-{number}")
    as_viewer.get("/metrics")
    with django_assert_max_num_queries(18):
        as_viewer.get("/metrics")


def test_it_counts_what_needs_somebody_by_site_and_rule(numbers: Numbers, experiment: Experiment) -> None:
    Experiment.objects.update(attention_rules=",stalled,unreadable,")
    factories.create_experiment(experiment.site, attention_rules=",stalled,")
    factories.create_experiment(experiment.site, attention_rules=",stalled,", gone_at=timezone.now())
    slug = experiment.site.slug
    assert numbers("attention", site=slug, rule="stalled") == 2
    assert numbers("attention", site=slug, rule="unreadable") == 1
    assert numbers("attention", site=slug, rule="dead") == 0
