"""The examples of docs/api.md work as they stand there."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from experiments.models import Experiment
from tests.support import factories

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
EXAMPLE = re.compile(r"^\$ as (.*\$(?:API|NEXT).*)$", re.MULTILINE)


def asked(client: APIClient, example: str, before: Any) -> Any:
    """Ask for what an example does; `before` is the answer to the example above it."""
    if "$NEXT" in example:
        example = example.replace("$NEXT", before.json()["pagination"]["next"])
    if "$TAG" in example:
        example = example.replace("$TAG", before["ETag"].replace('"', '\\"'))
    words = [word for word in shlex.split(example.replace("$API", "/v4")) if word not in ("-i", "-H")]
    address, *headers = words
    sent = dict(header.split(": ", 1) for header in headers)
    return client.get(address, headers=sent)


@pytest.fixture
def several(experiment: Experiment) -> None:
    """More than one page of experiments, and a long list of jobs."""
    for _ in range(3):
        factories.create_experiment(experiment.site)
    for _ in range(20):
        factories.create_job(experiment)


def test_every_example_is_answered(as_viewer: APIClient, several: None) -> None:
    examples = EXAMPLE.findall(PAGE.read_text())
    assert len(examples) == 11
    answer: Any = None
    statuses = []
    for example in examples:
        answer = asked(as_viewer, example, answer)
        statuses.append((example, answer.status_code))
    wanted = [(example, 304 if "If-None-Match" in example else 200) for example in examples]
    assert statuses == wanted
    assert answer["Content-Encoding"] == "zstd"
