"""`manage.py create_token`."""

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from autosubmit_portal.access.models import ApiToken
from autosubmit_portal.audit.models import AuditEntry


def create(user: User, **options: Any) -> ApiToken:
    """Run the command and return the token that it printed."""
    out = StringIO()
    call_command("create_token", user.username, name="a script", stdout=out, **options)
    made: ApiToken = ApiToken.objects.get(token_key=out.getvalue().strip()[:15])
    return made


@pytest.mark.parametrize(
    ("options", "kinds"), [({}, None), ({"read_only": True}, []), ({"kind": ["stop", "run"]}, ["run", "stop"])]
)
def test_a_token_is_for_what_the_command_says(viewer: User, options: dict[str, Any], kinds: Any) -> None:
    assert create(viewer, **options).kinds == kinds


def test_a_token_ends_after_the_days_that_the_command_says(viewer: User) -> None:
    token = create(viewer, days=7)
    assert token.expiry
    assert (token.expiry - token.created).days in (6, 7)


def test_a_token_for_too_long_is_refused_and_recorded(viewer: User) -> None:
    with pytest.raises(CommandError, match="Choose 1 to 365 days"):
        create(viewer, days=1000)
    assert AuditEntry.objects.get(event="api_token.refused").door == "command line"
