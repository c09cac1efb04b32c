"""Commands that run as another Unix account: real accounts and the real sudo, from a worker that is not root."""

import json
import os
import pwd
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent import run_directory
from autosubmit_portal.agent.accounts import wrap_as_account
from autosubmit_portal.agent.examination import examine
from autosubmit_portal.agent.findings import Finding, Level
from autosubmit_portal.agent.requests import Commands
from autosubmit_portal.agent.run_directory import RunDirectory, State
from tests.agent.agents import DIGEST, PORTAL, write_site_file
from tests.support.unix_accounts import (
    Accounts,
    as_user,
    change_accounts,
    new_accounts,
    processes_of,
    sudoers,
    unix_accounts,
)
from tests.support.waiting import wait_for

WHO = 'id -un; echo "$HOME"; echo "$AUTOSUBMIT_CONFIGURATION"; echo "$LOGNAME"; echo "${PORTAL_SECRET_KEY-none}"; pwd'


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    with unix_accounts() as made:
        yield made


@pytest.fixture
def site_file(accounts: Accounts) -> Path:
    """What the owner of a site allows: a shell in place of Autosubmit, for the person and for one whom sudo refuses."""
    folder = accounts.folder / "site"
    folder.mkdir(exist_ok=True)
    profile = {"HOME": "/home/climate"}
    file = write_site_file(folder, accounts=[accounts.person, "ana"], profiles={"usual": profile}, spool=str(folder))
    shutil.chown(folder, accounts.service)
    return file


def start(site_file: Path, accounts: Accounts, script: str, account: str = "") -> RunDirectory:
    """Start a shell script as the person, by the service account, and return the run directory."""
    key = str(uuid.uuid4())
    request: dict[str, Any] = {"key": key, "digest": DIGEST, "kind": "run", "profile": "usual"}
    request["account"] = account or accounts.person
    request["words"] = ["-c", script, "update_list", "two\nlines", "$(id)"]

    def ask() -> None:
        assert Commands(site_file, PORTAL).answers["start"](request)["outcome"] == "started"

    as_user(accounts.service, ask)
    return Commands(site_file, PORTAL).spool.find(key)


def printed(run: RunDirectory) -> str:
    return run.read_output(0, 10_000).data.decode()


def status(run: RunDirectory) -> int | None:
    wait_for(lambda: run.look().exit_status is not None)
    return run.look().exit_status


def end(run: RunDirectory, accounts: Accounts) -> None:
    as_user(accounts.service, run.end)


def test_a_command_runs_as_the_person_with_nothing_of_ours(site_file: Path, accounts: Accounts) -> None:
    run = start(site_file, accounts, WHO)
    assert status(run) == 0
    assert printed(run).splitlines() == [
        accounts.person,
        f"/tmp/{accounts.person}",
        "/home/climate/.autosubmitrc",
        accounts.person,
        "none",
        "/",
    ]


def test_a_person_keeps_what_autosubmit_reads_of_the_profile_and_nothing_else(
    site_file: Path, accounts: Accounts
) -> None:
    profile = {"AS_ENV_SSH_CONFIG_PATH": "~/.ssh/config", "SSH_AUTH_SOCK": "/run/ana/agent", "ELSE": "1"}
    write_site_file(
        site_file.parent, accounts=[accounts.person], profiles={"usual": profile}, spool=str(site_file.parent)
    )
    run = start(site_file, accounts, 'echo "$AS_ENV_SSH_CONFIG_PATH $SSH_AUTH_SOCK ${ELSE-none}"')
    assert status(run) == 0
    assert printed(run) == "~/.ssh/config /run/ana/agent none\n"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"program": "/bin/true"}, [(Level.FAIL, "does not let {service} run /bin/true as “{person}”.")]),
        ({"kinds": {"set_status_live": ["update_list"]}}, []),
    ],
)
def test_the_doctor_asks_sudo_whether_commands_may_run_as_people(
    changes: dict[str, Any], found: list[tuple[Level, str]], accounts: Accounts
) -> None:
    assert examine_accounts(accounts, **changes) == [
        (level, f"sudo {text.format(service=accounts.service, person=accounts.person)}") for level, text in found
    ]


def test_the_doctor_warns_of_what_a_live_change_needs(accounts: Accounts) -> None:
    rule = f"{accounts.service} ALL=({accounts.person}) NOPASSWD: !/bin/sh\n"
    with sudoers(f"{accounts.service}-later", rule):
        found = examine_accounts(accounts, program="/usr/bin/kill", kinds={"set_status_live": ["update_list"]})
    assert [(level, "Set status while running needs it" in text) for level, text in found] == [(Level.WARN, True)]


def examine_accounts(accounts: Accounts, **changes: Any) -> list[tuple[Level, str]]:
    """Return what the doctor of the service account finds wrong with the people of its site."""
    folder = accounts.folder / "examined"
    folder.mkdir(exist_ok=True)
    file = write_site_file(folder, accounts=[accounts.person], **changes)
    shutil.chown(folder, accounts.service)

    def write() -> None:
        steps = [step for step in examine(file) if isinstance(step, Finding) and step.word == "accounts"]
        wrong = [(step.level.value, step.text) for step in steps if step.level is not Level.OK]
        (folder / "found").write_text(json.dumps(wrong))

    as_user(accounts.service, write)
    return [(Level(level), text) for level, text in json.loads((folder / "found").read_text())]


def test_every_argument_arrives_as_given(site_file: Path, accounts: Accounts) -> None:
    run = start(site_file, accounts, 'printf "%s|" "$@"')
    assert status(run) == 0
    assert printed(run) == "two\nlines|$(id)|"


def test_output_and_exit_status_stay_with_the_service_account(site_file: Path, accounts: Accounts) -> None:
    run = start(site_file, accounts, "echo hello; exit 7")
    assert status(run) == 7
    owners = {pwd.getpwuid(file.stat().st_uid).pw_name for file in run.path.iterdir()}
    assert (owners, run.path.stat().st_mode & 0o077) == ({accounts.service}, 0)


def test_a_command_of_the_person_is_ended(site_file: Path, accounts: Accounts) -> None:
    run = start(site_file, accounts, "echo started; exec sleep 600")
    wait_for(lambda: "started" in printed(run))
    assert run.look().state is State.ALIVE
    end(run, accounts)
    assert status(run) == 143


def test_a_command_that_does_not_want_to_end_is_killed(
    site_file: Path, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "PATIENCE_SECONDS", 0)
    run = start(site_file, accounts, 'trap "" TERM; echo started; while :; do sleep 600; done')
    wait_for(lambda: "started" in printed(run))
    end(run, accounts)
    end(run, accounts)
    assert status(run) == 137
    wait_for(lambda: not processes_of(accounts.person))


def test_sudo_says_why_a_command_goes_on_whose_account_was_removed_meanwhile(
    site_file: Path, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_refused() -> None:
        with pytest.raises(PermissionError, match=f"unknown user:? {left}"):
            run.end()

    monkeypatch.setattr(run_directory, "PATIENCE_SECONDS", 0)
    left = f"apleft{os.getpid()}"
    rule = f"{accounts.service} ALL=({left}) NOPASSWD: /bin/sh, /usr/bin/kill\n"
    with new_accounts(left), sudoers(left, rule):
        write_site_file(site_file.parent, accounts=[left], spool=str(site_file.parent))
        run = start(site_file, accounts, 'trap "" TERM; echo $$; while :; do sleep 0.1; done', account=left)
        pid = int(wait_for(lambda: printed(run)))
        change_accounts("userdel", "--force", left)
        end(run, accounts)
        as_user(accounts.service, is_refused)
        assert run.look().state is State.ALIVE
        os.kill(pid, signal.SIGKILL)
        assert status(run) == 137


def test_a_process_of_the_person_is_interrupted(site_file: Path, accounts: Accounts) -> None:
    run = start(site_file, accounts, "echo $$; exec sleep 600")
    pid = int(wait_for(lambda: printed(run)))
    stop = start(site_file, accounts, "echo started; exec sleep 600")
    wait_for(lambda: "started" in printed(stop))
    as_user(accounts.service, lambda: stop.interrupt(pid, "3"))
    assert status(run) == 130
    end(stop, accounts)


def test_sudo_says_whom_the_service_account_may_not_become(site_file: Path, accounts: Accounts) -> None:
    run = start(site_file, accounts, "id", account="ana")  # whom sudo does not know
    assert status(run) == 1
    assert "sudo" in printed(run)


@pytest.mark.parametrize("name", ["root", "#0", "#1", "daemon", "nobody", "no-such-account", "", "-s"])
def test_nothing_is_ever_run_as_the_superuser_or_as_what_is_no_account(name: str) -> None:
    with pytest.raises(PermissionError):
        wrap_as_account(name, ["true"], {})


def test_the_account_is_one_argument_and_ends_the_options_of_sudo() -> None:
    argv = wrap_as_account("ana", ["/opt/autosubmit/bin/autosubmit", "run", "a000"], {})
    assert argv[argv.index("-u") + 1] == "ana"
    assert argv[argv.index("--") + 1 :] == ["/opt/autosubmit/bin/autosubmit", "run", "a000"]


def test_what_a_person_makes_is_for_the_group_as_the_account_has_it(
    site_file: Path, accounts: Accounts, private_umask: None
) -> None:
    run = start(site_file, accounts, "umask")
    assert status(run) == 0
    assert printed(run) == "0022\n"
    assert {file.stat().st_mode & 0o077 for file in run.path.iterdir()} == {0}
