"""YAML is read as Autosubmit's own reader reads it."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from experiments.autosubmit.plain_data import BadData, parse_yaml
from tests.support import fuzz
from tests.support.yaml_forms import FORMS, random_text, read_by_autosubmit

TEXTS_OF_A_ROUND = 300


def read(text: str) -> Any:
    try:
        return parse_yaml(text)
    except BadData:
        return None


@pytest.mark.parametrize("text", FORMS)
def test_a_form_is_read_as_autosubmit_was_seen_to_read_it(text: str) -> None:
    assert read(text) == FORMS[text]


def test_the_installed_autosubmit_reads_the_same_forms(autosubmit: Path) -> None:
    assert dict(zip(FORMS, read_by_autosubmit(autosubmit, FORMS), strict=True)) == FORMS


@pytest.mark.parametrize("seed", [fuzz.SEED + number for number in range(fuzz.ROUNDS)])
def test_random_tags_and_scalars_are_read_as_by_the_installed_autosubmit(autosubmit: Path, seed: int) -> None:
    random = Random(seed)
    texts = [random_text(random) for _ in range(TEXTS_OF_A_ROUND)]
    differing = [
        (text, ours, theirs)
        for text, theirs in zip(texts, read_by_autosubmit(autosubmit, texts), strict=True)
        if (ours := read(text)) != theirs
    ]
    assert differing == []


@pytest.mark.parametrize("seed", range(200))
def test_random_tags_and_scalars_break_nothing(seed: int) -> None:
    found = read(random_text(Random(seed)))
    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("A:\n  B: [1, 2\nC: hunter2\n", "line 3, column 2: "),
        ("A: 1\nPASSWORD: *hunter2\n", "line 2, column 11: found undefined alias …"),
        ("A: hunter2\nA: hunter2\n", "line 2, column 1: a key stands twice"),
        ("A:\n  - !!int hunter2\n", "line 2, column 5: a value is not what its tag says"),
        ("A: 5\nB: hunter2 \x07\n", "line 2, column 12: it has a character"),
        ("A: " + "[" * 60, "line 1, column 53: it is nested more than 50 deep"),
        ("A: !!set [hunter2]\n", "line 1, column 4: "),
    ],
)
def test_an_error_says_line_and_column_and_nothing_of_the_text(text: str, place: str) -> None:
    with pytest.raises(BadData) as refused:
        parse_yaml(text)
    assert str(refused.value).startswith(place)
    assert "hunter2" not in str(refused.value)


def test_an_error_within_something_says_where_that_begins() -> None:
    with pytest.raises(BadData, match=r"\(while parsing a flow sequence, which begins in line 2, column 6\)"):
        parse_yaml("A:\n  B: [1, 2\nC: 3\n")
