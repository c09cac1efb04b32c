"""A picture as values for JSON."""

import gzip
import json

from jobs.pictures.encoding import encode_picture
from jobs.pictures.graph import lay_out_lanes
from jobs.pictures.picture import PicturedJob
from jobs.pictures.timeline import lay_out_timeline
from tests.jobs.pictures.workflows import START, list_workflow

MOST_BYTES = 300_000


def test_identifiers_are_differences_and_statuses_are_letters() -> None:
    jobs = [PicturedJob(7, "a", "FAILED", "SIM"), PicturedJob(9, "b", "NEVER SEEN", "SIM")]
    values = encode_picture(lay_out_lanes(jobs, [(0, 1)]))
    assert (values["ids"], values["status"], values["parents"]) == ([7, 2], "FX", [0, 1, 1])


def test_times_are_seconds_from_the_first_one() -> None:
    times = [START + 60 * at for at in (1, 3, 6)]
    job = PicturedJob(1, "a", "COMPLETED", "SIM", None, "", None, None, *times)
    values = encode_picture(lay_out_timeline([job], START))
    assert values["epoch"] == values["origin"] == START + 60
    assert (values["submitted"], values["queued"], values["ran"]) == ([0], [120], [180])


def test_since_when_jobs_are_seen_is_told_where_one_was() -> None:
    jobs = [PicturedJob(1, "a", "RUNNING", seen_at=START + 60), PicturedJob(2, "b", "WAITING")]
    values = encode_picture(lay_out_lanes(jobs, []))
    assert (values["epoch"], values["seen"], values["submitted"]) == (START + 60, [0, None], [None, None])
    assert encode_picture(lay_out_lanes(jobs[1:], []))["seen"] == []


def test_ten_thousand_jobs_with_their_edges_are_small_when_compressed() -> None:
    jobs, edges = list_workflow(50, 100)
    values = encode_picture(lay_out_lanes(jobs, edges))
    assert len(gzip.compress(json.dumps(values).encode())) < MOST_BYTES
