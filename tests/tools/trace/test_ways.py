"""No way through the product becomes longer than it is; who makes one shorter lowers its figures here."""

import pytest

from experiments.catalogue.kinds import CATALOGUE
from tests.tools.trace.ways import WAYS, measure

pytestmark = pytest.mark.one_database

# Files and jumps.
MOST = {
    "run an action": (35, 59),
    "set status by filter": (38, 64),
    "list of jobs": (18, 25),
    # 11 for each button; 2 more when a second has passed since stamps have looked at the clock.
    "experiment page": (39, 134 + 11 * len(CATALOGUE)),
}


@pytest.mark.django_db(transaction=True)  # what waits for the commit belongs to the way
@pytest.mark.parametrize("name", WAYS)
def test_way_crosses_no_more_files_and_jumps_than_now(name: str) -> None:
    crossing = measure(WAYS[name])
    files, jumps = MOST[name]
    assert len(crossing.files) <= files, "\n".join(crossing.files)
    assert crossing.jumps <= jumps
