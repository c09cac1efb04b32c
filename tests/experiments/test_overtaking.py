"""Two processes that mirror the same experiment at the same time: what is older never overwrites what is newer."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from experiments.autosubmit.store import Store
from experiments.mirror import observe, sync
from experiments.models import Experiment
from tests.support import factories
from tests.support.small_stores import COMPLETED, make_store, write_pickle


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path, ["a000"])


def mirrored(store: Store) -> Experiment:
    experiment = sync.adopt(factories.create_store_site(store), "a000")
    assert experiment is not None
    experiment.refresh_from_db()
    return experiment


def write(experiment: Experiment, **how: Any) -> None:
    """Write what the store says now, as read by a process that knows of nobody else."""
    sync.write(experiment, observe.read(experiment.site.hosts.get(), observe.make_request(experiment)), **how)


@pytest.mark.django_db
def test_what_was_read_before_another_process_wrote_is_not_written(store: Store) -> None:
    slow = mirrored(store)
    write_pickle(store, "a000", COMPLETED)
    sync.refresh(slow)
    with pytest.raises(sync.Overtaken):
        write(slow)


@pytest.mark.django_db
def test_what_a_guard_forbids_is_not_written(store: Store) -> None:
    experiment = mirrored(store)
    write_pickle(store, "a000", COMPLETED)

    def forbid() -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        write(experiment, guard=forbid)
    experiment.refresh_from_db()
    assert experiment.status_counts == {"READY": 1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer")
def test_another_process_waits_for_the_row_of_an_experiment_while_it_is_written(store: Store) -> None:
    experiment = mirrored(store)
    free: list[bool] = []
    with ThreadPoolExecutor(1) as other:
        write(experiment, guard=lambda: free.append(other.submit(is_row_free, experiment.pk).result()))
    assert free == [False]


def is_row_free(pk: int) -> bool:
    """Answer whether a connection of this thread could write the row now."""
    try:
        with transaction.atomic():
            return Experiment.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=pk).exists()
    finally:
        connection.close()
