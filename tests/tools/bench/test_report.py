"""The section about reads, which judges the portal beside the peer."""

from collections import Counter
from pathlib import Path

from autosubmit_portal.management.demo import Autosubmit
from tests.support.services import Portal
from tests.tools.bench.fleet import FirstPass, Member
from tests.tools.bench.load import Sample, Server
from tests.tools.bench.peer import NAME as PEER
from tests.tools.bench.reads import PAGE, Question, Row
from tests.tools.bench.report import reads_section
from tests.tools.bench.stores import Store

RUNS = Question("runs", "/runs")


def sample(milliseconds: float, status: int = 200) -> Sample:
    return Sample([milliseconds] * 4, Counter({status: 4}), seconds=1.0)


def row(question: Question, peer: float | None, ours: Sample, clients: int = 1) -> Row:
    samples = {"SQLite": ours, "PostgreSQL": ours}
    if peer is not None:
        samples = {PEER: sample(peer)} | samples
    return Row(question, clients, samples, dict.fromkeys(samples, 50))


def text_of(rows: list[Row], larger: float = 12.0) -> str:
    store = Store(Path("/home"), "a000", 10_000)
    portal = Portal(Path("/portal"), Autosubmit(Path("/autosubmit"), store.home))  # nothing is asked of it
    member = Member("SQLite", store, portal, Server("SQLite", "", ""), FirstPass(1000, 100_000, 1.0, 1.0))
    sizes = {"SQLite, 1,000": sample(10), "SQLite, 10,000": sample(larger)}
    sizes |= {"PostgreSQL, 1,000": sample(10), "PostgreSQL, 10,000": sample(larger)}
    return reads_section(
        "Now.", small=rows, sizes=[Row(PAGE, 1, sizes, {})], members=[member], seconds=3.0, web=100.0
    ).text


def both(question: Question, peer: float | None, ours: Sample) -> list[Row]:
    return [row(question, peer, ours, clients) for clients in (1, 8)]


def test_what_is_fast_enough_beside_the_peer_is_met() -> None:
    text = text_of(both(PAGE, 300.0, sample(10.0)))
    ours = "10.0–10.0, 30.0×"
    assert f"| page of 50 experiments | ≥ 20× | 300–300 | {ours} | {ours} | 300–300 | {ours} | {ours} |" in text
    assert "missed" not in text


def test_what_is_slower_than_the_peer_is_missed() -> None:
    text = text_of([*both(PAGE, 300.0, sample(10.0)), *both(RUNS, 9.0, sample(10.0))])
    assert "| runs |  | 9.00–9.00 | **10.0–10.0, 0.90×, missed** |" in text


def test_a_route_that_only_the_peer_has_is_missed_with_its_status() -> None:
    text = text_of(both(RUNS, 20.0, sample(1.0, status=404)))
    assert "| runs |  | 20.0–20.0 | **HTTP 404, missed** |" in text


def test_nothing_is_compared_without_the_peer() -> None:
    text = text_of(both(PAGE, None, sample(10.0)))
    assert "≥" not in text
    assert "| page of 50 experiments |  | 10.0–10.0 | 10.0–10.0 | 10.0–10.0 | 10.0–10.0 |" in text


def test_a_page_that_costs_more_with_more_experiments_is_missed() -> None:
    text = text_of(both(PAGE, None, sample(10.0)), larger=16.0)
    assert "| page of 50 experiments, 1 client | ≤ 1.5× | 10.0–10.0 | **16.0–16.0, 1.60×, missed** |" in text


def test_lists_of_different_length_are_named() -> None:
    unlike = Row(RUNS, 1, row(RUNS, 2.0, sample(1.0)).samples, {PEER: 3, "SQLite": 2})
    text = text_of([unlike, row(RUNS, 2.0, sample(1.0), 8)])
    assert f"to these questions: runs: {PEER} 3, SQLite 2." in text


def test_a_list_that_was_refused_is_not_called_shorter() -> None:
    refused = Row(RUNS, 1, row(RUNS, 2.0, sample(1.0, status=404)).samples, {PEER: 3, "SQLite": 0})
    assert "All servers answered lists of the same length" in text_of([refused, row(RUNS, 2.0, sample(1.0), 8)])
