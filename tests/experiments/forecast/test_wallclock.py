"""What a wallclock tells of how long a job takes."""

import pytest

from experiments.forecast.wallclock import find_told_wallclock


@pytest.mark.parametrize(
    ("text", "processors", "seconds"),
    [("01:30", "1", 5_400), ("48:00", "768", 172_800), ("24:00", "1", None), ("48:00", "", None), ("", "4", None)],
)
def test_a_day_for_one_processor_was_chosen_by_nobody(text: str, processors: str, seconds: int | None) -> None:
    assert find_told_wallclock(text, processors) == seconds
