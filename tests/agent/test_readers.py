"""Readers among files of people who mean harm: each costs one reader at most, and nobody else waits for it."""

import gzip
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from autosubmit_portal.agent.readers import lanes as lanes_module
from autosubmit_portal.agent.readers import limits
from autosubmit_portal.agent.readers.lanes import FAST_READERS, Ended, Failed, Lanes, Reading
from autosubmit_portal.agent.readers.messages import PUT_OFF, pack
from experiments.autosubmit.store import Store
from tests.agent.pretended_reader import READY, pretend
from tests.support import fuzz, stores
from tests.support.small_stores import add_experiment, make_store
from tests.support.waiting import PATIENCE

GOOD = "g000"
ALL = {"revision": "", "plans_source": "", "edges": ""}
"""Asks for all of an experiment."""

METRICS = stores.USER_METRICS + "INSERT INTO user_metrics VALUES (1, 3, 'g000_SIM', 'SYPD', '4.5', '2026-01-01');"


class Driver:
    """Asks lanes, and turns them until they answer."""

    def __init__(self, lanes: Lanes, home: Path) -> None:
        self.lanes, self.home = lanes, str(home)
        self.answers: dict[int, Any] = {}
        self.asked = 0

    def ask(self, expid: str, what: str, **arguments: Any) -> int:
        """Ask, and return the number of the request."""
        self.asked += 1
        request = {"expid": expid, "what": what, **arguments, "home": self.home, "configuration": ""}
        self.lanes.ask(Reading(self.asked, (expid, what), request, time.monotonic()))
        return self.asked

    def wait_for(self, is_enough: Callable[[], bool]) -> None:
        """Turn until something is the case."""
        deadline = time.monotonic() + PATIENCE
        while not is_enough():
            assert time.monotonic() < deadline
            self.answers |= dict(self.turn())
            time.sleep(0.01)

    def turn(self) -> list[Ended]:
        return self.lanes.turn(time.monotonic())

    def read(self, expid: str, what: str, **arguments: Any) -> Any:
        """Return the value of an answer, or why there is none."""
        number = self.ask(expid, what, **arguments)
        self.wait_for(lambda: number in self.answers)
        answer = self.answers[number]
        if isinstance(answer, Failed):
            return answer
        message = answer[0]
        return Failed(**message["failure"]) if "failure" in message else message["value"]

    def is_good_read(self) -> bool:
        """Whether an experiment that means well is read."""
        return bool(self.read(GOOD, "experiment", **ALL) == {"is_compressed": False})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with an experiment that means well."""
    (tmp_path / "home").mkdir()
    made = make_store(tmp_path / "home", [GOOD])
    stores.make_database(_metrics(made, GOOD), METRICS)
    return made


@pytest.fixture
def driver(tmp_path: Path, store: Store) -> Iterator[Driver]:
    copies = tmp_path / "copies"
    copies.mkdir()
    lanes = Lanes(copies, tmp_path / "told")
    made = Driver(lanes, tmp_path / "home")
    yield made
    lanes.close()
    made.wait_for(lambda: not lanes.is_busy)


def _metrics(store: Store, expid: str) -> Path:
    return store.experiment_folder(expid) / f"tmp/metrics_{expid}.db"


def _read_pickle(driver: Driver, store: Store, data: bytes) -> None:
    """Read an experiment whose job list holds this."""
    if not store.experiment_folder("h000").exists():
        add_experiment(store, "h000")
    Path(store.list_lone_files("h000")[0]).write_bytes(data)
    driver.read("h000", "experiment", **ALL)


def add_pickle(store: Store, expid: str, data: bytes) -> None:
    """Add an experiment with this job list."""
    add_experiment(store, expid)
    Path(store.list_lone_files(expid)[0]).write_bytes(data)


@pytest.mark.parametrize("what", ["experiment", "metrics", "configuration", "logs"])
@pytest.mark.parametrize("name", [*fuzz.STRANGE])
def test_what_is_no_such_file_is_answered_with_a_sentence(driver: Driver, store: Store, name: str, what: str) -> None:
    add_experiment(store, "h000")
    folder = store.experiment_folder("h000")
    places: dict[str, tuple[Path, dict[str, Any]]] = {
        "experiment": (Path(store.list_lone_files("h000")[0]), ALL),
        "metrics": (_metrics(store, "h000"), {"run_id": 1}),
        "configuration": (folder / "conf/model.yml", {"description": ""}),
        "logs": (folder / "tmp/ASLOGS", {}),
    }
    place, arguments = places[what]
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    fuzz.STRANGE[name](place)
    answer = driver.read("h000", what, **arguments)
    assert isinstance(answer, dict) or (answer.code in ("unreadable", "missing") and len(answer.reason) > 10)
    assert driver.is_good_read()


@pytest.mark.parametrize("name", [*fuzz.STRANGE])
def test_strange_files_beside_a_job_list_keep_nobody_waiting(driver: Driver, store: Store, name: str) -> None:
    folder = store.experiment_folder("h000")
    logs = [folder / f"tmp/ASLOGS/20260101_000000_{command}.log" for command in ("run", "create")]
    places = [*map(Path, store.list_databases("h000")), folder / "conf/metadata/experiment_data.yml", *logs]
    wal = [place.with_name(f"{place.name}-wal") for place in places[:2]]
    add_experiment(store, "h000")
    for place in (*places, *wal):
        place.parent.mkdir(parents=True, exist_ok=True)
        fuzz.STRANGE[name](place)
        answer = driver.read("h000", "experiment", **ALL)
        assert isinstance(answer, dict) or (answer.code == "unreadable" and len(answer.reason) > 10), answer
        assert driver.read("h000", "fresh") == {}
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
    assert driver.is_good_read()


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_mutated_pickles_are_read_or_refused_and_run_nothing(
    driver: Driver, store: Store, tmp_path: Path, seed: int
) -> None:
    trace = tmp_path / "trace"
    for data in fuzz.pickles(Random(seed), trace):
        _read_pickle(driver, store, data)
    assert not trace.exists()
    assert driver.is_good_read()


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_mutated_databases_with_a_pickle_are_read_or_refused(
    driver: Driver, store: Store, tmp_path: Path, seed: int
) -> None:
    whole = stores.make_pickle_database(tmp_path / "4.1.db", "h000", (stores.FOLDER / "4.1.17.1.pkl").read_bytes())
    add_experiment(store, "h000")
    Path(store.list_lone_files("h000")[0]).unlink()
    for data in fuzz.databases(Random(seed), whole):
        (store.experiment_folder("h000") / "pkl/job_list_h000.db").write_bytes(data)
        driver.read("h000", "experiment", **ALL)
    assert driver.is_good_read()


@pytest.mark.parametrize("name", [*fuzz.GREEDY])
def test_a_greedy_pickle_is_refused(driver: Driver, store: Store, name: str) -> None:
    add_pickle(store, "h000", fuzz.GREEDY[name])
    assert driver.read("h000", "experiment", **ALL).code == "unreadable"
    assert driver.is_good_read()


def test_a_link_out_of_the_experiment_is_not_followed(driver: Driver, store: Store, tmp_path: Path) -> None:
    add_experiment(store, "h000")
    stores.make_database(tmp_path / "secret.db", METRICS)
    _metrics(store, "h000").symlink_to(tmp_path / "secret.db")
    assert "leads out of the folder of h000" in driver.read("h000", "metrics", run_id=3).reason


def test_a_link_out_of_the_folder_of_histories_is_not_followed(driver: Driver, store: Store, tmp_path: Path) -> None:
    stores.make_database(tmp_path / "secret.db", "CREATE TABLE experiment_run (run_id, metadata);")
    (store.history / f"job_data_{GOOD}.db").symlink_to(tmp_path / "secret.db")
    assert "leads out" in driver.read(GOOD, "run configuration", run_id=1).reason


def test_an_archive_that_expands_is_refused(driver: Driver, store: Store) -> None:
    folder = store.experiment_folder(GOOD) / "tmp/ASLOGS"
    folder.mkdir()
    (folder / "20260101_000000_run.log.gz").write_bytes(gzip.compress(bytes(2**26)) * 17)
    failure = driver.read(GOOD, "log", name="20260101_000000_run.log", offset=0, limit=10)
    assert "it holds more than 1,073,741,824 bytes" in failure.reason


def test_endless_readings_keep_nobody_waiting(driver: Driver, store: Store) -> None:
    """They are more than there are readers in the fast lane."""
    hostile = []
    for number in range(FAST_READERS + 2):
        add_pickle(store, f"h00{number}", fuzz.make_endless_pickle())
        hostile.append(driver.ask(f"h00{number}", "experiment", **ALL))
    assert driver.is_good_read()
    assert not driver.answers.keys() & set(hostile)


def test_an_endless_reading_is_ended_and_put_off(driver: Driver, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "READING_SECONDS", 1)
    add_pickle(store, "h000", fuzz.make_endless_pickle())
    stores.make_database(_metrics(store, "h000"), METRICS)
    assert driver.read("h000", "experiment", **ALL) == Failed(
        "unreadable", "Experiment h000: it takes more than 1 s to read."
    )
    assert "It is tried again in" in driver.read("h000", "experiment", **ALL).reason
    monkeypatch.undo()
    assert driver.read("h000", "metrics", run_id=3) == {}


def test_a_reader_that_computes_for_long_yields_to_others(
    driver: Driver, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "GREEDY_SECONDS", 0)
    add_pickle(store, "h000", fuzz.make_endless_pickle())
    driver.ask("h000", "experiment", **ALL)

    def yields() -> bool:
        return any(os.getpriority(os.PRIO_PROCESS, each.pid) == 19 for each in driver.lanes._busy)

    driver.wait_for(yields)


def test_a_reader_that_others_keep_from_computing_is_kept(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "Process", pretend())
    driver.ask(GOOD, "logs")
    driver.wait_for(lambda: any(each.is_ready for each in driver.lanes._busy))
    for _ in range(2):
        driver.lanes.turn(time.monotonic() + 10)
    assert [each.niceness for each in driver.lanes._busy] == [0]


def test_an_experiment_has_one_reader_at_a_time(driver: Driver, store: Store) -> None:
    add_pickle(store, "h000", fuzz.make_endless_pickle())
    stores.make_database(_metrics(store, "h000"), METRICS)
    driver.ask("h000", "experiment", **ALL)
    behind = driver.ask("h000", "metrics", run_id=3)
    assert driver.is_good_read()
    assert behind not in driver.answers


def test_the_state_of_an_experiment_does_not_wait_for_its_job_list(driver: Driver, store: Store) -> None:
    add_pickle(store, "h000", fuzz.make_endless_pickle())
    behind = driver.ask("h000", "experiment", **ALL)
    assert driver.read("h000", "fresh") == {}
    assert behind not in driver.answers


def test_a_database_of_all_experiments_that_is_a_link_is_read(driver: Driver, store: Store, tmp_path: Path) -> None:
    store.database.symlink_to(store.database.rename(tmp_path / "elsewhere.db"))
    assert driver.read(GOOD, "fresh") == {}


def test_large_files_are_read_in_the_slow_lane_from_the_beginning(driver: Driver, store: Store) -> None:
    for expid in ("h000", "h001"):
        add_pickle(store, expid, fuzz.make_endless_pickle() + bytes(limits.FAST_BYTES))
        driver.ask(expid, "experiment", **ALL)
    driver.wait_for(lambda: [reading.is_slow for reading in driver.lanes._busy.values()] == [True, True])
    assert not driver.lanes._dying
    assert driver.is_good_read()


def test_readers_of_large_files_leave_the_processors_to_others(driver: Driver, store: Store) -> None:
    add_pickle(store, "h000", fuzz.make_endless_pickle() + bytes(limits.FAST_BYTES))
    driver.ask("h000", "experiment", **ALL)

    def list_priorities() -> list[int]:
        return [os.getpriority(os.PRIO_PROCESS, each.pid) for each in driver.lanes._busy]

    driver.wait_for(lambda: list_priorities() == [lanes_module.SLOW_NICENESS])
    assert driver.is_good_read()
    assert {each.niceness for each in driver.lanes._idle} == {0}


def test_a_reader_that_puts_off_for_ever_is_believed_once(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "Process", pretend(READY + pack(PUT_OFF)))
    number = driver.ask(GOOD, "logs")
    driver.wait_for(lambda: bool(driver.answers))
    assert driver.answers == {number: (PUT_OFF, b"")}  # which is no answer to the agent


def test_large_files_may_take_long_one_at_a_time(driver: Driver, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "READING_SECONDS", 3)
    for expid in ("h000", "h001"):
        add_pickle(store, expid, fuzz.make_endless_pickle())
        with Path(store.list_lone_files(expid)[0]).open("ab") as file:
            file.truncate(300_000_000)
    asked = {driver.ask(expid, "experiment", **ALL) for expid in ("h000", "h001")}
    driver.wait_for(lambda: bool(driver.answers))
    (answer,) = driver.answers.values()
    assert "it takes more than 3 s to read." in answer.reason
    assert len(asked - driver.answers.keys()) == 1


def test_a_reader_that_wants_to_be_waited_for_too_long_is_ended(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "Process", pretend(READY + pack({"seconds": 100_000})))
    assert driver.read(GOOD, "logs").code == "unreadable"


def test_a_reading_that_nobody_waits_for_is_left(driver: Driver, store: Store) -> None:
    add_pickle(store, "h000", fuzz.make_endless_pickle())
    number = driver.ask("h000", "experiment", **ALL)
    assert driver.is_good_read()
    assert driver.lanes.cancel(number)
    assert not driver.lanes.cancel(number)
    assert driver.read("h000", "logs") == {}


def test_a_reader_that_is_killed_costs_one_answer(driver: Driver, store: Store) -> None:
    add_pickle(store, "h000", fuzz.make_endless_pickle())
    number = driver.ask("h000", "experiment", **ALL)
    assert driver.is_good_read()
    (process,) = driver.lanes._busy
    os.kill(process.pid, signal.SIGKILL)
    driver.wait_for(lambda: number in driver.answers)
    assert "it takes too much time or memory" in driver.answers[number].reason
    assert driver.is_good_read()


@pytest.mark.parametrize("said", [b"x" * 1000, b"\xff" * 12, b"\0\0\0\2\0\0\0\0\0\0\0\0[]", b""], ids=range(4))
def test_a_reader_that_lies_is_ended(driver: Driver, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(lanes_module, "Process", pretend(said, seconds=0))
    assert driver.read(GOOD, "logs").code == "unreadable"


def test_copies_of_a_killed_reader_are_removed(driver: Driver, store: Store, tmp_path: Path) -> None:
    add_pickle(store, "h000", fuzz.make_endless_pickle())
    number = driver.ask("h000", "experiment", **ALL)
    assert driver.is_good_read()
    driver.wait_for(lambda: any((tmp_path / "copies").iterdir()))
    driver.lanes.cancel(number)
    driver.wait_for(lambda: not list((tmp_path / "copies").iterdir()))


def test_readers_that_are_not_needed_end(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert driver.is_good_read()
    monkeypatch.setattr(lanes_module, "IDLE_SECONDS", 0)
    driver.wait_for(lambda: not driver.lanes._idle and not driver.lanes.is_busy)
