"""`manage.py mirror` when what it stands on is away."""

import pytest
from django.db import Error, InterfaceError, OperationalError

from experiments.management.commands.mirror import AFTER_TROUBLE_SECONDS, Command


@pytest.mark.django_db(transaction=True)  # it closes the connections
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_the_mirror_waits_for_a_database_that_is_away(error: type[Error], monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> float:
        raise error

    monkeypatch.setattr(Command, "_make_pass", away)
    assert Command()._pass_carefully(None) == AFTER_TROUBLE_SECONDS
