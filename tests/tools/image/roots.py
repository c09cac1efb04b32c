"""Folders that are file systems of images: a base of debootstrap, and the steps of a definition on it."""

import ast
import glob
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.containerfile import FILE, Instruction, Stage, read_stages

REPOSITORY = FILE.parents[2]
BASE = REPOSITORY / "var" / "image" / "bookworm"
NEEDED = ("debootstrap", "unshare", "setpriv", "chroot", "mount")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
LIMIT_SECONDS = 900


def explain_absence() -> str:
    """Return what is missing to make such folders here; blank for nothing."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if os.geteuid():
        return "Only root can make the folders of images: run it as root."
    return f"Install {', '.join(missing)} (Debian: apt-get install debootstrap util-linux)." if missing else ""


def make_roots(folder: Path) -> dict[str, "Root"]:
    """Make the file systems of all stages by their steps, in a folder that others may look into."""
    subprocess.run(["make", "--silent", "dist"], cwd=REPOSITORY, check=True)
    folder.chmod(0o755)
    made: dict[str, Root] = {}
    for name, stage in read_stages().items():
        made[name] = Root(folder / name, stage)
        made[name].build(make_base(BASE), REPOSITORY, made)
    return made


def make_base(folder: Path) -> Path:
    """Return a folder with Debian bookworm and nothing more, as the base of the images is; made once."""
    if not (folder / "etc" / "debian_version").exists():
        made = folder.with_name(f"{folder.name}-half")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(made, ignore_errors=True)
        options = ["--variant=minbase", "bookworm", str(made)]
        subprocess.run(["debootstrap", *options], check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_SECONDS)
        made.rename(folder)
    return folder


def read_pip_settings() -> dict[str, str]:
    """Return how pip finds packages here, as variables: a matter of this machine, not of the image."""
    words = [sys.executable, "-m", "pip", "config", "list"]
    printed = subprocess.run(words, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS).stdout
    settings = [line.partition("=") for line in sorted(printed.splitlines(), reverse=True)]  # the environment wins
    named = {name.rpartition(".")[2].upper().replace("-", "_"): value for name, _, value in settings}
    return {f"PIP_{name}": " ".join(ast.literal_eval(value).split()) for name, value in named.items()}


@dataclass
class Root:
    """The file system of a stage, while its steps are run."""

    folder: Path
    stage: Stage
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "/"

    def build(self, base: Path, context: Path, others: Mapping[str, "Root"]) -> None:
        """Do the steps in order; CalledProcessError for one that fails."""
        subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(self.folder)], check=True)
        for one in self.stage.instructions:
            match one.name:
                case "RUN":
                    self._run(one)
                case "COPY":
                    self._copy(one, context, others)
                case "ENV" | "ARG":
                    self.environment |= one.pairs
                case "WORKDIR":
                    self.directory = one.text
                    (self.folder / one.text.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _run(self, one: Instruction) -> None:
        borrowed = {name: os.environ[name] for name in PROXIES if name in os.environ} | read_pip_settings()
        borrowed.pop("PIP_CERT", None)  # those of this machine are lent below, whatever pip is told
        places = {word for value in borrowed.values() for word in value.split() if os.path.isabs(word)}
        command = ["/bin/sh", "-euc", one.text]
        binds = {CERTIFICATES: "/tmp/certificates", "/etc/resolv.conf": "/etc/resolv.conf"}
        binds |= {place: place for place in places if os.path.exists(place)}
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | self.environment | borrowed
        variables |= {"PIP_CERT": "/tmp/certificates", "DEBIAN_FRONTEND": "noninteractive"}
        lent = [self.folder / inside.lstrip("/") for inside in binds.values()]
        new = {place for one in lent for place in (one, *one.parents) if not place.exists()}
        enter(self.folder, command, variables, directory=self.directory, binds=binds)
        _forget(new)

    def _copy(self, one: Instruction, context: Path, others: Mapping[str, "Root"]) -> None:
        *words, target = one.words
        source = others[words.pop(0).partition("=")[2]].folder if one.text.startswith("--from=") else context
        for word in words:
            found = glob.glob(f"{source}/{word.lstrip('/')}")
            assert found, f"There is no {word} to copy"
            place = Path(os.path.normpath(f"{self.folder}{os.path.join(self.directory, target)}"))
            place.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", *found, str(place)], check=True)


def _forget(places: Iterable[Path]) -> None:
    """Remove the empty files and folders where something of this machine was."""
    for place in sorted(places, reverse=True):
        if place.is_file() and not place.stat().st_size:
            place.unlink()
        elif place.is_dir() and not any(place.iterdir()):
            place.rmdir()


def enter(
    folder: Path, command: list[str], variables: Mapping[str, str], *, directory: str, binds: Mapping[str, str]
) -> None:
    """Run a command as root in a folder that is the root of its file system; AssertionError if it fails."""
    argv = make_argv(folder, command, directory=directory, binds=binds)
    done = subprocess.run(argv, env={**variables}, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    assert not done.returncode, f"{command}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def make_argv(
    folder: Path,
    command: list[str],
    *,
    directory: str = "/",
    binds: Mapping[str, str] = {},
    account: str = "",
    groups: str = "",
    writable: Mapping[str, str] = {},
    readable: Mapping[str, str] = {},
) -> list[str]:
    """Return the command that runs another below a root of its own, in namespaces of its own for mounts and processes.

    With an `account` (uid:gid) it is that one, without any capability, and all but `writable` (places inside and the
    folders that stand for them) can only be read; so can `readable`.
    """
    lines = ["set -eu", f"root={shlex.quote(str(folder))}", "mount --make-rprivate /", 'mount --bind "$root" "$root"']
    lines += ['mount -t proc proc "$root/proc"', 'mount --rbind /dev "$root/dev"']
    for outside, inside in binds.items():
        make = "mkdir -p" if Path(outside).is_dir() else "touch"
        lines += [f'mkdir -p "$root{os.path.dirname(inside)}"', f'{make} "$root{inside}"']
        lines.append(f'mount --bind {shlex.quote(outside)} "$root{inside}"')
    lines += [f'mkdir -p "$root{inside}"' for inside in (*writable, *readable)]  # as an engine does
    if account:
        lines.append('mount -o remount,ro,bind "$root"')
    for inside, outside in {**writable, **readable}.items():
        lines.append(f'mount --bind {shlex.quote(outside)} "$root{inside}"')
    lines += [f'mount -o remount,ro,bind "$root{inside}"' for inside in readable]
    become = []
    if account:
        user, _, group = account.partition(":")
        more = f"--groups={groups}" if groups else "--clear-groups"
        drop = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        become = ["setpriv", f"--reuid={user}", f"--regid={group}", more, *drop]
    chroot = [f"{shutil.which('chroot')}", str(folder), "/usr/bin/env", f"--chdir={directory}", *become, *command]
    lines.append("exec " + shlex.join(chroot))
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", "\n".join(lines)]
