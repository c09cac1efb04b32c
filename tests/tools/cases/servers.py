"""What a case has besides the portal: PostgreSQL and Redis that ask for passwords, sshd, and Slurm with accounting."""

import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from tests.support.postgres import private_server
from tests.support.site_host import SSHD, SSHD_CONFIG, make_key
from tests.support.waiting import wait_for
from tests.tools.cases.hosts import Host, Link, require

SSH_PORT = 2222


@contextmanager
def postgres(link: Link) -> Iterator[str]:
    """Lend the address of a database at the far end of a link, which is open to one account with a password."""
    password = secrets.token_urlsafe(12)
    with private_server(more_options=f"-c listen_addresses={link.far_address} -c port=5433") as server:
        socket = f"postgresql://postgres@/postgres?host={server.folder}&port=5433"
        rules = server.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all postgres trust\nhost portal portal {link.near_address}/32 scram-sha-256\n")
        with psycopg.connect(socket, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"CREATE ROLE portal LOGIN PASSWORD '{password}'")
            connection.execute("CREATE DATABASE portal OWNER portal")
        yield f"postgres://portal:{password}@{link.far_address}:5433/portal"


@contextmanager
def redis(link: Link) -> Iterator[str]:
    """Lend the address of a Redis at the far end of a link."""
    password, folder = secrets.token_urlsafe(12), tempfile.mkdtemp(prefix="case-redis-")
    options = ["--bind", link.far_address, "--port", "6380", "--save", "", "--dir", folder, "--requirepass", password]
    with subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL) as process:
        try:
            yield f"redis://:{password}@{link.far_address}:6380/0"
        finally:
            process.kill()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def sshd(host: Host, folder: Path) -> Iterator[Path]:
    """Lend an sshd on all addresses of a host; keys stand in `authorized_keys` of its folder, by account."""
    folder.mkdir(mode=0o755)
    (folder / "authorized_keys").mkdir(mode=0o755)
    make_key(folder / "host_key")
    (folder / "config").write_text(f"{SSHD_CONFIG.format(port=SSH_PORT, folder=folder)}Subsystem sftp internal-sftp\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    log = folder / "log"
    command = host.inside(str(SSHD), "-D", "-f", str(folder / "config"), "-E", str(log))
    with subprocess.Popen(command) as process:
        try:
            wait_for(lambda: log.exists() and "listening" in log.read_text())
            yield folder
        finally:
            process.send_signal(signal.SIGTERM)


def pin(address: str, server: Path) -> str:
    """Return the line of `known_hosts` about an sshd."""
    return f"[{address}]:{SSH_PORT} {(server / 'host_key.pub').read_text()}"


def give(account: str, *places: Path, mode: str = "go=") -> None:
    """Give folders and files to an account."""
    for place in places:
        subprocess.run(["chown", "-R", f"{account}:", str(place)], check=True)
        subprocess.run(["chmod", "-R", mode, str(place)], check=True)


_SLURM = """ClusterName=case
SlurmctldHost={name}
SlurmUser=root
AuthType=auth/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={name}
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed
JobAcctGatherType=jobacct_gather/none
NodeName={name} NodeAddr=127.0.0.1 NodeHostname={name} CPUs=2 State=UNKNOWN
PartitionName=main Nodes={name} Default=YES State=UP
"""


_ACCOUNTING = """AuthType=auth/munge
DbdHost={name}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounting
"""
_MARIADB = ("--no-defaults", "--user=root")


@contextmanager
def slurm(host: Host, folder: Path) -> Iterator[Path]:
    """Lend Slurm on a host, which accounts in a MariaDB: its log of finished jobs."""
    for name in ("", "state", "spool", "munge"):
        (folder / name).mkdir(mode=0o755)
    _configure_slurm(host, folder)
    data = f"--datadir={folder}/data"
    require(host.run("mariadb-install-db", *_MARIADB, data, "--auth-root-authentication-method=normal"))
    munged = [f"--{name}={folder}/munge/{name}" for name in ("log-file", "pid-file", "seed-file", "key-file")]
    with ExitStack() as stack, (folder / "printed").open("wb") as printed:

        def start(*argv: str, account: str = "") -> None:
            process = subprocess.Popen(host.inside(*argv, account=account), stdout=printed, stderr=printed)
            stack.callback(process.kill)

        start("munged", "--foreground", *munged, account="munge")
        start("mariadbd", *_MARIADB, data, f"--socket={_SOCKET}", "--skip-networking")
        wait_for(lambda: host.run("test", "-S", _SOCKET).returncode == 0)
        start("slurmdbd", "-D")
        wait_for(lambda: host.run("sacctmgr", "--immediate", "add", "cluster", "case").returncode == 0)
        start("slurmctld", "-D")
        start("slurmd", "-D")
        wait_for(lambda: "idle" in host.run("sinfo", "--noheader").stdout)
        yield folder / "completed"


# Where slurmdbd looks for it.
_SOCKET = "/run/mysqld/mysqld.sock"


def _configure_slurm(host: Host, folder: Path) -> None:
    """Write the files of Slurm where its programs look for them, in the mounts of the host only."""
    (folder / "slurm.conf").write_text(_SLURM.format(name=host.name, folder=folder))
    accounting = folder / "slurmdbd.conf"
    accounting.write_text(_ACCOUNTING.format(name=host.name, folder=folder))
    accounting.chmod(0o600)
    require(host.run("mount", "-t", "tmpfs", "tmpfs", "/etc/slurm"))
    for name in ("slurm.conf", "slurmdbd.conf"):
        require(host.run("ln", "-s", str(folder / name), f"/etc/slurm/{name}"))
    require(host.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"))
    require(host.run("install", "-d", "-o", "munge", "-m", "755", "/run/munge"))
    require(host.run("install", "-d", "/run/sshd", "/run/mysqld"))
    require(host.run("sh", "-c", f"echo 127.0.0.1 localhost {host.name} > {folder}/hosts"))
    require(host.run("mount", "--bind", f"{folder}/hosts", "/etc/hosts"))
    (folder / "munge" / "key-file").write_bytes(secrets.token_bytes(1024))
    give("munge", folder / "munge")
