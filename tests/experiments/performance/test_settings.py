"""What the metrics take from configurations."""

from typing import Any

import pytest

from experiments.performance.settings import SimulationSettings, count_years, extract_settings, parse_processors


def of_4(job: dict[str, Any], platform: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a configuration of Autosubmit 4 with a job that simulates on MN5."""
    return {
        "JOBS": {"SIM": job},
        "PLATFORMS": {"MN5": platform or {}},
        "DEFAULT": {"HPCARCH": "mn5"},
        "EXPERIMENT": {"CHUNKSIZE": 6, "CHUNKSIZEUNIT": "month"},
    }


@pytest.mark.parametrize(
    ("job", "platform", "elements"),
    [
        ({}, {}, 1),
        ({"PROCESSORS": 64}, {}, 64),
        ({}, {"PROCESSORS": "32"}, 32),
        ({"PROCESSORS": "40:1"}, {}, 108),
        ({"PROCESSORS": 64, "TASKS": 32}, {}, 64),
        ({"PROCESSORS": 64, "TASKS": 32}, {"PROCESSORS_PER_NODE": 112}, 224),
        ({"NODES": 3, "PROCESSORS": 64}, {"PROCESSORS_PER_NODE": 112}, 336),
        ({"PROCESSORS": 200}, {"PROCESSORS_PER_NODE": 112}, 224),
        ({"PROCESSORS": 64}, {"PROCESSORS_PER_NODE": 112}, 64),
        ({"PROCESSORS": 64, "EXCLUSIVE": True}, {"PROCESSORS_PER_NODE": 112}, 112),
    ],
)
def test_processing_elements_are_counted_as_in_its_guide(
    job: dict[str, Any], platform: dict[str, Any], elements: int
) -> None:
    assert extract_settings(of_4(job, platform)).elements == elements


def test_the_platform_tells_its_footprint_and_the_experiment_its_years() -> None:
    found = extract_settings(of_4({}, {"CF": "200", "PUE": 1.5}))
    assert found == SimulationSettings(elements=1, platform="MN5", years=0.5, carbon=200.0, usage=1.5)


def test_autosubmit_3_knows_processors_only() -> None:
    configuration = {
        "jobs": {"SIM": {"PROCESSORS": "768", "TASKS": "48"}},
        "platforms": {},
        "exp": {"experiment": {"CHUNKSIZE": "2", "CHUNKSIZEUNIT": "year"}},
    }
    assert extract_settings(configuration) == SimulationSettings(elements=768, years=2.0)


@pytest.mark.parametrize("configuration", [{}, {"JOBS": []}, {"JOBS": {"SIM": 3}, "PLATFORMS": 1, "EXPERIMENT": "x"}])
def test_what_has_another_form_tells_nothing(configuration: dict[str, Any]) -> None:
    assert extract_settings(configuration) == SimulationSettings()


@pytest.mark.parametrize(("unit", "years"), [("year", 2), ("month", 1 / 6), ("day", 2 / 365), ("hour", 2 / 8760)])
def test_the_years_of_a_chunk(unit: str, years: float) -> None:
    assert count_years(unit, 2) == pytest.approx(years)


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("many", 0), ("1:many", 1), ("nan:1", 1), ("36:37", 108)])
def test_processors_may_be_a_sum(text: str, number: int) -> None:
    assert parse_processors(text) == number
