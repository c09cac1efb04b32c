"""`manage.py agent --token`: a token that is printed once, and what the gateway keeps of it."""

import pytest
from django.core.management import CommandError, call_command

from autosubmit_portal.gateway.channels import digest_token


def test_a_token_is_printed_alone_and_its_digest_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("agent", "--token", "cloud")
    printed = capsys.readouterr()
    token = printed.out.strip()
    assert len(token) == 43
    assert f'"cloud": {{"channel": "websocket", "tokens": ["{digest_token(token)}"]}}' in printed.err
    assert token not in printed.err


def test_each_token_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        call_command("agent", "--token", "cloud")
    first, second = capsys.readouterr().out.split()
    assert first != second


def test_what_is_no_name_of_a_host_is_refused() -> None:
    with pytest.raises(CommandError, match="no name of a host"):
        call_command("agent", "--token", "a b")
