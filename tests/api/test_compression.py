"""Answers made smaller, where that is allowed and pays."""

import gzip
import json
from typing import Any

import pytest
import zstandard
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from autosubmit_portal.api.http.compression import choose_encoding
from experiments.models import Experiment
from tests.support import factories

JOBS = "/v4/experiments/a000/jobs"
OPENED: dict[str, Any] = {
    "gzip": gzip.decompress,
    "zstd": lambda content: zstandard.ZstdDecompressor().decompress(content),
}


@pytest.fixture
def long(experiment: Experiment) -> Experiment:
    """An experiment whose jobs are a long answer."""
    for _ in range(20):
        factories.create_job(experiment)
    return experiment


@pytest.mark.parametrize("encoding", OPENED)
def test_a_long_answer_is_compressed(as_viewer: APIClient, long: Experiment, encoding: str) -> None:
    plain = as_viewer.get(JOBS)
    small = as_viewer.get(JOBS, HTTP_ACCEPT_ENCODING=encoding)
    assert small["Content-Encoding"] == encoding
    assert int(small["Content-Length"]) == len(small.content) < len(plain.content)
    assert json.loads(OPENED[encoding](small.content)) == plain.json()
    assert small["ETag"] == plain["ETag"]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_short_answer_is_not(as_viewer: APIClient, experiment: Experiment, encoding: str) -> None:
    answer = as_viewer.get("/v4/experiments/a000", HTTP_ACCEPT_ENCODING=encoding)
    assert "Content-Encoding" not in answer
    assert "Accept-Encoding" in answer["Vary"]


def test_an_answer_to_a_session_is_not(client: Client, viewer: User, long: Experiment) -> None:
    client.force_login(viewer)
    assert "Content-Encoding" not in client.get(JOBS, HTTP_ACCEPT_ENCODING="gzip, zstd")


def test_a_stream_is_not(as_manager: APIClient, long: Experiment) -> None:
    answer = as_manager.get("/v4/audit?format=jsonl", HTTP_ACCEPT_ENCODING="gzip, zstd")
    assert "Content-Encoding" not in answer
    assert json.loads(b"".join(answer.streaming_content).splitlines()[0])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", ""),
        ("identity", ""),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate", "gzip"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("GZIP;q=0.1", "gzip"),
        ("zstd;q=0, gzip;q=0", ""),
        ("*", "zstd"),
        ("*;q=0.1, zstd;q=0", "gzip"),
        ("gzip;q=x", ""),
    ],
)
def test_the_client_chooses(accepted: str, encoding: str) -> None:
    assert choose_encoding(accepted) == encoding
