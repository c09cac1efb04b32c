"""Commands that run as another Unix account: real accounts and the real sudo, from a worker that is not root."""

import pwd
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from experiments.runners.local import LocalRunner, wrap_as_account

from autosubmit_portal.agent import run_directory
from experiments.models import Site
from tests.support.unix_accounts import Accounts, as_user, processes_of, unix_accounts
from tests.support.waiting import wait_for

WHO = 'id -un; echo "$HOME"; echo "$AUTOSUBMIT_CONFIGURATION"; echo "$LOGNAME"; echo "${PORTAL_SECRET_KEY-none}"; pwd'
_numbers = count(1)


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    with unix_accounts() as made:
        yield made


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> LocalRunner:
    monkeypatch.setenv("PORTAL_SECRET_KEY", "secret")
    return LocalRunner(Site(autosubmit="/opt/autosubmit/bin/autosubmit", home="/home/climate"))


def start(runner: LocalRunner, accounts: Accounts, script: str, unix_name: str = "") -> Path:
    """Start a shell script as the person, by the service account, and return the run directory."""
    directory = accounts.folder / "actions" / str(next(_numbers))
    argv = ["/bin/sh", "-c", script, "update_list", "two\nlines", "$(id)"]
    as_user(accounts.service, lambda: runner.start(argv, directory, unix_name or accounts.person))
    return directory


def status(runner: LocalRunner, directory: Path) -> int | None:
    wait_for(lambda: runner.look(directory).exit_status is not None)
    return runner.look(directory).exit_status


def end(runner: LocalRunner, accounts: Accounts, directory: Path) -> None:
    as_user(accounts.service, lambda: runner.end(directory))


def test_a_command_runs_as_the_person_with_nothing_of_ours(runner: LocalRunner, accounts: Accounts) -> None:
    directory = start(runner, accounts, WHO)
    assert status(runner, directory) == 0
    assert runner.read_text(directory).splitlines() == [
        accounts.person,
        f"/tmp/{accounts.person}",
        "/home/climate/.autosubmitrc",
        accounts.person,
        "none",
        "/",
    ]


def test_every_argument_arrives_as_given(runner: LocalRunner, accounts: Accounts) -> None:
    directory = start(runner, accounts, 'printf "%s|" "$@"')
    assert status(runner, directory) == 0
    assert runner.read_text(directory) == "two\nlines|$(id)|"


def test_output_and_exit_status_stay_with_the_service_account(runner: LocalRunner, accounts: Accounts) -> None:
    directory = start(runner, accounts, "echo hello; exit 7")
    assert status(runner, directory) == 7
    owners = {pwd.getpwuid(file.stat().st_uid).pw_name for file in directory.iterdir()}
    assert (owners, directory.stat().st_mode & 0o077) == ({accounts.service}, 0)


def test_a_command_of_the_person_is_ended(runner: LocalRunner, accounts: Accounts) -> None:
    directory = start(runner, accounts, "echo started; exec sleep 600")
    wait_for(lambda: "started" in runner.read_text(directory))
    assert runner.look(directory).is_alive
    end(runner, accounts, directory)
    assert status(runner, directory) == 143


def test_a_command_that_does_not_want_to_end_is_killed(
    runner: LocalRunner, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "PATIENCE_SECONDS", 0)
    directory = start(runner, accounts, 'trap "" TERM; echo started; while :; do sleep 600; done')
    wait_for(lambda: "started" in runner.read_text(directory))
    end(runner, accounts, directory)
    end(runner, accounts, directory)
    assert status(runner, directory) == 137
    wait_for(lambda: not processes_of(accounts.person))


def test_a_process_of_the_person_is_interrupted(runner: LocalRunner, accounts: Accounts) -> None:
    run = start(runner, accounts, "echo $$; exec sleep 600")
    pid = int(wait_for(lambda: runner.read_text(run)))
    stop = start(runner, accounts, "echo started; exec sleep 600")
    wait_for(lambda: "started" in runner.read_text(stop))
    as_user(accounts.service, lambda: runner.interrupt(stop, pid, "3"))
    assert status(runner, run) == 130
    end(runner, accounts, stop)


def test_sudo_says_whom_the_service_account_may_not_become(runner: LocalRunner, accounts: Accounts) -> None:
    directory = start(runner, accounts, "id", unix_name="ana")  # whom sudo does not know
    assert status(runner, directory) == 1
    assert "sudo" in runner.read_text(directory)


@pytest.mark.parametrize("name", ["root", "#0", "#1", "daemon", "nobody", "no-such-account", "", "-s"])
def test_nothing_is_ever_run_as_the_superuser_or_as_what_is_no_account(name: str) -> None:
    with pytest.raises(PermissionError):
        wrap_as_account(name, ["true"])


def test_the_account_is_one_argument_and_ends_the_options_of_sudo() -> None:
    argv = wrap_as_account("ana", ["/opt/autosubmit/bin/autosubmit", "run", "a000"])
    assert argv[argv.index("-u") + 1] == "ana"
    assert argv[argv.index("--") + 1 :] == ["/opt/autosubmit/bin/autosubmit", "run", "a000"]


def test_what_a_person_makes_is_for_the_group_as_the_account_has_it(
    runner: LocalRunner, accounts: Accounts, settings: Any, private_umask: None
) -> None:
    settings.COMMANDS_UMASK = 0o022
    directory = start(runner, accounts, "umask")
    assert status(runner, directory) == 0
    assert runner.read_text(directory) == "0022\n"
    assert {file.stat().st_mode & 0o077 for file in directory.iterdir()} == {0}
