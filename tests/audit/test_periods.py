"""What people mean by last night."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from autosubmit_portal.audit.periods import get_bounds


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-26T00:30:00+00:00", "2026-11-26T00:30:00+00:00"),
        ("2026-11-26T07:00:00+00:00", "2026-11-26T07:00:00+00:00"),
        ("2026-11-26T12:00:00+00:00", "2026-11-26T08:00:00+00:00"),
        ("2026-11-26T23:00:00+00:00", "2026-11-26T08:00:00+00:00"),
    ],
)
def test_last_night_ends_in_the_morning_or_now(now: str, until: str) -> None:
    evening = datetime(2026, 11, 25, 18, tzinfo=UTC)
    assert get_bounds("last_night", datetime.fromisoformat(now)) == (evening, datetime.fromisoformat(until))


def test_the_night_is_that_of_whoever_asks() -> None:
    since, until = get_bounds("last_night", datetime(2026, 11, 26, 12, tzinfo=ZoneInfo("Asia/Tokyo")))
    assert (since, until) == (datetime(2026, 11, 25, 9, tzinfo=UTC), datetime(2026, 11, 25, 23, tzinfo=UTC))
