"""Climate DT: the portal on one host, Autosubmit on another over SSH, a robot account with people behind it, an HPC."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from tests.support.site_host import make_key
from tests.support.waiting import wait_for
from tests.tools.cases.case import KINDS, PROGRAMS
from tests.tools.cases.openid_connect import STRANGER, OpenIDConnectCase
from tests.tools.cases.portal import OPERATOR, act, install_agent, wait_for_end
from tests.tools.cases.servers import SSH_PORT, give, slurm, sshd

# Autosubmit, which has SAFETYSLEEPTIME 1, says something all the time unless it waits for an answer.
_SILENCE_SECONDS = 8.0
_PLATFORMS = """PLATFORMS:
  HPC:
    TYPE: slurm
    HOST: hpc
    PROJECT: case
    USER: {user}
    QUEUE: main
    SCRATCH_DIR: {scratch}
    MAX_WALLCLOCK: "48:00"
"""
_SSH_CONFIG = "Host hpc\n  Hostname {address}\n  Port {port}\n"
_POST = 'DEFAULT:\n  CUSTOM_CONFIG:\n    POST: "%AS_ENV_PLATFORMS_PATH%"\n'
_CLONE = """
export HOME=/nonexistent GIT_CONFIG_GLOBAL=/dev/null
git init -q --bare "$0/origin" && mkdir -p "$1/proj" && git clone -q "$0/origin" "$1/proj/project"
cd "$1/proj/project"
git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first && git push -q origin HEAD
touch changed
"""


class ClimateDT(OpenIDConnectCase):
    """See docs/infrastructure.md."""

    name: ClassVar[str] = "climate-dt"
    programs: ClassVar[Mapping[str, str]] = {
        **PROGRAMS,
        "slurmctld": "slurmctld",
        "slurmd": "slurmd",
        "sbatch": "slurm-client",
        "munged": "munge",
        "slurmdbd": "slurmdbd",
        "mariadb-install-db": "mariadb-server-core",
        "my_print_defaults": "mariadb-client-core",
    }

    def set_up(self) -> None:
        self.add_hosts("vm", "hpc")
        self.add_links(("web-vm", "web", "vm"), ("vm-hpc", "vm", "hpc"))
        self.finished = self.stack.enter_context(slurm(self.hosts["hpc"], self.folder / "slurm"))
        profile = self._open_hpc()
        self.prepare_store("vm")
        server = self.stack.enter_context(sshd(self.hosts["vm"], self.folder / "sshd-vm"))
        profiles = {"usual": {}, OPERATOR: profile}
        allowed = {"program": str(self.program), "home": str(self.home), "kinds": KINDS, "profiles": profiles}
        key = self.portal.secrets / "key"
        install_agent(self.folder, "vm", server, self.names, key, people={OPERATOR: OPERATOR}, **allowed)
        self.portal.write_ssh_hosts({"vm": (self.links["web-vm"].far_address, server)})

    def register(self) -> None:
        self.write_rows(["vm"], unpushed="refuse")

    def _open_hpc(self) -> dict[str, str]:
        """Let the operator's key, which an SSH agent of the robot holds, open their own account at the HPC."""
        server = self.stack.enter_context(sshd(self.hosts["hpc"], self.folder / "sshd-hpc"))
        mapped = self.folder / "people"
        mapped.mkdir(mode=0o755)
        make_key(mapped / "key")
        allowed = server / "authorized_keys" / self.names.person
        allowed.write_text((mapped / "key.pub").read_text())
        scratch = Path("/tmp") / self.names.person / "scratch"
        (scratch / "case" / self.names.person).mkdir(parents=True)
        give(self.names.person, scratch)
        (mapped / "platforms.yml").write_text(_PLATFORMS.format(user=self.names.person, scratch=scratch))
        address = self.links["vm-hpc"].far_address
        (mapped / "ssh_config").write_text(_SSH_CONFIG.format(address=address, port=SSH_PORT))
        socket = self.stack.enter_context(self._ssh_agent(mapped / "key"))
        return {
            "AS_ENV_PLATFORMS_PATH": str(mapped / "platforms.yml"),
            "AS_ENV_SSH_CONFIG_PATH": str(mapped / "ssh_config"),
            "SSH_AUTH_SOCK": str(socket),
        }

    @contextmanager
    def _ssh_agent(self, key: Path) -> Iterator[Path]:
        """Lend the socket of an SSH agent that holds a key, of which no file is left."""
        robot = self.names.site
        socket = Path("/tmp") / robot / "agent"
        with subprocess.Popen(self.hosts["vm"].inside("ssh-agent", "-D", "-a", str(socket), account=robot)) as process:
            try:
                wait_for(socket.exists)
                moved = Path("/tmp") / robot / "key"
                shutil.move(key, moved)
                give(robot, moved)
                added = self.hosts["vm"].run("ssh-add", "-q", str(moved), account=robot, SSH_AUTH_SOCK=str(socket))
                assert added.returncode == 0, added.stderr
                moved.unlink()
                yield socket
            finally:
                process.kill()

    def new_experiment(self) -> dict[str, Any]:
        return {**super().new_experiment(), "operational": True}

    def configure(self, expid: str) -> None:
        experiment = self.home / "autosubmit" / expid
        (experiment / "conf" / "zz_people.yml").write_text(_POST)
        self.write_workflow(expid, "HPC", self.names.site)
        clone = ("sh", "-ec", _CLONE, str(self.home), str(experiment))
        done = self.hosts["vm"].run(*clone, account=self.names.site)
        assert done.returncode == 0, done.stderr

    def before_run(self) -> None:
        """See that what is not committed is refused, and commit it."""
        refused = self.portal.http.post(f"/v4/experiments/{self.expid}?action=run", {})
        assert refused.status == 409, refused
        assert "not committed (changed)" in refused.body["detail"], refused.body
        (self.home / "autosubmit" / self.expid / "proj/project/changed").unlink()
        self.tell("a run of an operational experiment with changes was refused")

    @property
    def cuts(self) -> Mapping[str, Callable[[], str]]:
        return {
            "people-web": self.look_at_health,
            "web-database": self.look_at_health,
            "web-redis": self.look_at_health,
            "web-provider": self.try_to_sign_in,
            "web-vm": self.see_run,
            "vm-hpc": self._see_job,
        }

    def _see_job(self) -> str:
        """Return what is shown of the job while Autosubmit waits for the HPC, and the run is seen to go on."""
        assert self.is_running()
        logs = (self.home / "autosubmit" / self.expid / "tmp" / "ASLOGS").glob("*_run.log")
        if time.time() - max(log.stat().st_mtime for log in logs) < _SILENCE_SECONDS:
            return ""
        return str(self.portal.http.get(f"/v4/experiments/{self.expid}/jobs/{self.expid}_LONG").body["status"])

    @property
    def trials(self) -> Mapping[str, Callable[[], str]]:
        vm, key = self.links["web-vm"].far_address, str(self.portal.secrets / "key")
        robot, person = self.names.site, self.names.person
        return {
            **self.common_trials,
            "gateway's key opens a shell at the site": lambda: self.open_shell(vm),
            "robot reads the gateway's key": lambda: self.attempt("vm", "cat", key, account=robot),
            "HPC account uses the robot's SSH agent": lambda: self.attempt(
                "vm", "env", f"SSH_AUTH_SOCK=/tmp/{robot}/agent", "ssh-add", "-l", account=person
            ),
            "somebody without a profile acts": self._act_as_stranger,
            "jobs run as the HPC account of who asked": self._find_account_of_job,
        }

    def _act_as_stranger(self) -> str:
        """Return why an action of somebody fails whom the site does not map."""
        own = self.portal.http
        self.portal.http = self.portal.sign_in(self.way, lambda address: self.provider.agree(address, STRANGER))
        try:
            asked = act(self.portal, "PATCH", f"/v4/experiments/{self.expid}", {"description": "By a stranger"})
            return str(wait_for_end(self.portal, asked, "failed")["message"])
        finally:
            self.portal.http = own

    def _find_account_of_job(self) -> str:
        """Return whose jobs Slurm has, in the words of the table."""
        found = set(self.hosts["hpc"].run("squeue", "--noheader", "--format=%u").stdout.split())
        assert found, "Slurm has no job"
        return "that account" if found <= {self.names.person, self.names.person[:8]} else str(found)
