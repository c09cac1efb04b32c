"""`manage.py up`: what it refuses before anything takes long; tests/system/test_wheel.py starts it."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from autosubmit_portal.management.autosubmit_environment import NotInstalled, install


def test_up_without_git_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="apt-get install git"):
        call_command("up")


def test_a_store_that_is_none_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"\.autosubmitrc.* leave the store out to get a demo"):
        call_command("up", store=tmp_path)


@pytest.mark.system
def test_an_autosubmit_that_cannot_be_installed_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(NotInstalled, match="could not be installed into"):
        install(tmp_path / "environment")
    assert list(tmp_path.iterdir()) == []
