"""What an agent finds wrong with its host: each fault is made, and told with its remedy."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent import doctor, examination, mounts
from autosubmit_portal.agent.doctor import Doctor
from autosubmit_portal.agent.examination import examine
from autosubmit_portal.agent.findings import Finding, Level, decode
from autosubmit_portal.agent.mounts import find_mount
from autosubmit_portal.agent.protocol import Answer, Event, ProtocolError
from tests.agent.agents import RC, agent, write_site_file
from tests.agent.protocol.pairs import make_pair
from tests.support.waiting import wait_for

TABLE = """21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw,nosuid - proc proc rw{options}
23 21 0:30 / /shared rw - nfs4 server:/shared rw,vers=4.2
24 23 0:31 / /shared/with\\040blank rw - tmpfs tmpfs rw
25 21 0:32 / /home rw - ext4 /dev/sdb1 rw
26 25 0:33 / /home rw - lustre mds:/home rw
27 21 0:34 / /data rw - fuse.sshfs host:/data rw
"""


@pytest.fixture
def site(tmp_path: Path) -> dict[str, Any]:
    """Return what a good file of a site says, with a store and a program that are there."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".autosubmitrc").write_text(RC.format(home))
    sqlite3.connect(home / "autosubmit.db").execute("CREATE TABLE experiment (id INTEGER)").connection.close()
    return {"home": str(home), "program": str(write_program(tmp_path, "echo 4.1.17"))}


def write_program(folder: Path, script: str) -> Path:
    program = folder / "autosubmit"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def find(folder: Path, site: dict[str, Any]) -> list[Finding]:
    """Return what is found wrong."""
    found = [step for step in examine(write_site_file(folder, **site)) if isinstance(step, Finding)]
    return [finding for finding in found if finding.level is not Level.OK]


def test_nothing_is_wrong_with_a_good_host(tmp_path: Path, site: dict[str, Any]) -> None:
    assert find(tmp_path, site) == []


def test_the_agent_as_it_is_shipped_tells_what_it_finds_and_both_clocks(tmp_path: Path, site: dict[str, Any]) -> None:
    with agent(tmp_path, **site) as channel:
        before = int(1000 * time.time())
        answer = channel.ask("doctor", clock=12)
    findings = {finding.word: finding for finding in decode(answer)}
    assert {finding.level for finding in findings.values()} == {Level.OK}
    assert findings["program"].text == f"Autosubmit 4.1.17, {site['program']}."
    assert findings["kinds"].text == "The site lets these start: run (-c)."
    assert findings.keys() >= {"site file", "agent", *examination.CHECKS}
    assert answer["clock"][0] == 12
    assert before <= answer["clock"][1] <= 1000 * time.time()


def _remove_rc(_folder: Path, site: dict[str, Any]) -> None:
    (Path(site["home"]) / ".autosubmitrc").unlink()


def _remove_database(_folder: Path, site: dict[str, Any]) -> None:
    (Path(site["home"]) / "autosubmit.db").unlink()


def _put_a_pipe_in_place_of_the_rc(folder: Path, site: dict[str, Any]) -> None:
    _remove_rc(folder, site)
    os.mkfifo(Path(site["home"]) / ".autosubmitrc")


def _break_rules(_folder: Path, site: dict[str, Any]) -> None:
    with (Path(site["home"]) / ".autosubmitrc").open("a") as rc:
        rc.write("[hosts]\nforbidden = [run]\n")


def _remove_program(_folder: Path, site: dict[str, Any]) -> None:
    site["program"] = "/nonexistent/autosubmit"


def _break_program(folder: Path, _site: dict[str, Any]) -> None:
    write_program(folder, "echo 'ImportError: no networkx' >&2; exit 1")


def _let_others_write_the_program(_folder: Path, site: dict[str, Any]) -> None:
    Path(site["program"]).chmod(0o777)


def _use_memory(_folder: Path, site: dict[str, Any]) -> None:
    site["spool"] = "/dev/shm/nowhere/spool"


def _forget_the_umask(_folder: Path, site: dict[str, Any]) -> None:
    site["umask"] = "0000"


def _name_files_that_are_not_there(folder: Path, site: dict[str, Any]) -> None:
    site["profiles"] = {"usual": {"AS_ENV_PLATFORMS_PATH": f"{folder}/platforms.yml"}}


def _start_no_ssh_agent(folder: Path, site: dict[str, Any]) -> None:
    site["profiles"] = {"usual": {"SSH_AUTH_SOCK": f"{folder}/agent"}}


def _let_somebody_act_who_is_none(_folder: Path, site: dict[str, Any]) -> None:
    site["accounts"] = ["nosuchperson"]


FAULTS: dict[str, tuple[Callable[[Path, dict[str, Any]], None], str, Level, str]] = {
    "no rc file": (_remove_rc, "store", Level.FAIL, "There is no Autosubmit configuration"),
    "no database": (_remove_database, "store", Level.FAIL, "There is no Autosubmit database"),
    "a pipe as rc file": (_put_a_pipe_in_place_of_the_rc, "store", Level.FAIL, "it is no file"),
    "rules without hosts": (_break_rules, "rules", Level.FAIL, "“forbidden” of [hosts] has '[run]' in it"),
    "no program": (_remove_program, "program", Level.FAIL, "There is no program /nonexistent/autosubmit"),
    "a broken program": (_break_program, "program", Level.FAIL, "ImportError: no networkx"),
    "a program for all": (_let_others_write_the_program, "program", Level.WARN, "can be written by everybody"),
    "a spool in memory": (_use_memory, "spool", Level.WARN, "a restart of the host loses"),
    "no platforms": (_name_files_that_are_not_there, "profiles", Level.WARN, "AS_ENV_PLATFORMS_PATH of the profile"),
    "no SSH agent": (_start_no_ssh_agent, "profiles", Level.WARN, "no SSH agent answers at"),
    "no such account": (_let_somebody_act_who_is_none, "accounts", Level.FAIL, "has no Unix account “nosuchperson”"),
    "no umask": (_forget_the_umask, "umask", Level.WARN, "everybody may change what commands write"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told(tmp_path: Path, site: dict[str, Any], fault: str) -> None:
    make, what, level, text = FAULTS[fault]
    make(tmp_path, site)
    (finding,) = find(tmp_path, site)
    assert (finding.word, finding.level, text in finding.text) == (what, level, True)


def test_a_site_file_that_is_wrong_is_all_that_is_told(tmp_path: Path) -> None:
    (finding,) = find(tmp_path, {"umask": "9"})
    assert (finding.word, finding.level) == ("site file", Level.FAIL)


def test_a_spool_that_other_hosts_share_is_refused(
    tmp_path: Path, site: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mounts(tmp_path, monkeypatch, TABLE.format(options="").replace("- ext4 /dev/sda1", "- nfs4 server:/"))
    (finding,) = find(tmp_path, site)
    assert (finding.word, finding.level) == ("spool", Level.FAIL)
    assert "is on nfs4, which other hosts may share" in finding.text


def test_processes_that_are_hidden_are_told(
    tmp_path: Path, site: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mounts(tmp_path, monkeypatch, TABLE.format(options=",hidepid=invisible"))
    monkeypatch.setattr(os, "getuid", lambda: 1)
    found = [finding for finding in find(tmp_path, site) if finding.word == "processes"]
    assert [finding.text for finding in found] == [
        "/proc is mounted with hidepid=invisible: runs of other accounts are not seen."
    ]


def test_a_group_that_sees_all_processes_misses_nothing(
    tmp_path: Path, site: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mounts(tmp_path, monkeypatch, TABLE.format(options=f",hidepid=2,gid={os.getegid()}"))
    monkeypatch.setattr(os, "getuid", lambda: 1)
    assert "processes" not in [finding.word for finding in find(tmp_path, site)]


def use_mounts(folder: Path, monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    """Let the host have these file systems."""
    file = folder / "mountinfo"
    file.write_text(table)
    monkeypatch.setattr(mounts, "_MOUNTS", file)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[Login]\nKillUserProcesses=yes\n", "KillUserProcesses"),
        ("[Login]\n#KillUserProcesses=yes\nRemoveIPC=yes\n", "RemoveIPC"),
        ("[Login]\nKillUserProcesses=no\nRemoveIPC=no\n", ""),
    ],
)
def test_what_ends_with_a_session_is_told(
    tmp_path: Path, site: dict[str, Any], monkeypatch: pytest.MonkeyPatch, text: str, word: str
) -> None:
    (tmp_path / "logind.conf.d").mkdir()
    (tmp_path / "logind.conf.d" / "site.conf").write_text(text)
    (tmp_path / "logind.conf").write_text("[Login]\nRemoveIPC=no\n")
    monkeypatch.setattr(examination, "_LOGIND", (str(tmp_path),))
    monkeypatch.setattr(examination, "_SYSTEMD", tmp_path)
    monkeypatch.setattr(examination, "_FIRST_PERSON", 0)
    found = [finding for finding in find(tmp_path, site) if finding.word == "sessions"]
    assert [word in finding.text for finding in found] == ([True] if word else [])


def test_a_container_of_its_own_is_told(tmp_path: Path, site: dict[str, Any]) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-pf", "true"], check=False).returncode:
        pytest.skip("no PID namespace can be made here")
    code = f"from autosubmit_portal.agent.examination import main; main({str(write_site_file(tmp_path, **site))!r})"
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "The agent is in a PID namespace of its own" in printed


@pytest.mark.parametrize(
    ("folder", "kind", "is_of_network"),
    [
        ("/var/lib/x", "ext4", False),
        ("/shared/x", "nfs4", True),
        ("/shared/with blank/x", "tmpfs", False),
        ("/home", "lustre", True),
        ("/data/x", "fuse.sshfs", True),
        ("/database", "ext4", False),
    ],
)
def test_the_file_system_of_a_folder_is_found(folder: str, kind: str, is_of_network: bool) -> None:
    mount = find_mount(Path(folder), TABLE.format(options=""))
    assert (mount.kind, mount.is_of_network) == (kind, is_of_network)


def ask_doctor(folder: Path, site: dict[str, Any]) -> list[Finding]:
    """Ask a doctor twice at once, and return the findings, which are the same."""
    pair, before = make_pair(), children()
    made = Doctor(write_site_file(folder, **site), pair.server)
    for _ in range(2):
        channel = pair.client.request("doctor", {"clock": 1}, 0)
        pair.pass_on()
        made.ask(channel, {"clock": 1}, time.monotonic())

    def turn() -> list[Event]:
        made.turn(time.monotonic())
        pair.pass_on()
        return [event for event in pair.at_client if isinstance(event, Answer)]

    first, second = wait_for(turn, is_enough=lambda answers: len(answers) == 2)
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert first.value["findings"] == second.value["findings"]
    assert not made.is_busy
    wait_for(lambda: not turn()[2:] and children() <= before)  # none of its own is left
    return decode(first.value)


def children() -> set[str]:
    """Return the children of this process, which other tests may have too."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_a_program_that_hangs_is_killed_and_told(
    tmp_path: Path, site: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "MOST_SECONDS", 3)
    write_program(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 600")
    last = ask_doctor(tmp_path, site)[-1]
    assert (last.word, last.level) == ("program", Level.FAIL)
    assert "takes too long" in last.text
    wait_for(lambda: not any(map(is_alive, read_pids(tmp_path / "pid"))))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def read_pids(file: Path) -> list[int]:
    """Return the process that a program has written, if it got so far."""
    return [int(word) for word in file.read_text().split()] if file.exists() else []


def test_a_doctor_whose_process_is_killed_tells_what_it_has(tmp_path: Path, site: dict[str, Any]) -> None:
    write_program(tmp_path, "kill -9 $PPID")
    found = ask_doctor(tmp_path, site)
    assert (found[-1].word, found[-1].level) == ("program", Level.FAIL)
    assert "was ended (-9)" in found[-1].text


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"findings": 1},
        {"findings": [1]},
        {"findings": [{"what": "x", "level": "fine", "text": "", "remedy": ""}]},
        {"findings": [{"what": "x", "level": "ok", "text": 1, "remedy": ""}]},
        {"findings": [{"what": "x", "level": "ok", "text": "", "remedy": ""}] * 101},
    ],
)
def test_findings_that_are_none_are_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        decode(answer)
