"""The statistics by which SQLite plans."""

import pytest
from django.core.management import call_command
from django.db import connection
from django_q.models import Schedule

from experiments.actions.supervise import schedule_supervision
from experiments.models import Experiment
from tests.support import factories


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps its statistics itself")
def test_a_database_that_was_small_is_analysed_again_by_migrate(db: None) -> None:
    site = factories.create_site()
    Experiment.objects.bulk_create(Experiment(site=site, expid=f"a{number:03}") for number in range(50))
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT stat FROM sqlite_stat1 WHERE idx = 'experiments_named'")
        (statistics,) = cursor.fetchone()
    assert statistics.split()[0] == "50"


def test_the_database_is_analysed_once_a_day(db: None) -> None:
    schedule_supervision(factories.create_site())
    schedule = Schedule.objects.get(func="experiments.tasks.analyse")
    assert schedule.schedule_type == Schedule.DAILY
