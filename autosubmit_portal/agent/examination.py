"""The examination of a host, in a process of its own: everything that an action would need, and what is wrong."""

import json
import os
import platform
import pwd
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from autosubmit_portal.agent import accounts
from autosubmit_portal.agent.findings import Finding, Level, encode
from autosubmit_portal.agent.host import read_identity
from autosubmit_portal.agent.mounts import find_mount
from autosubmit_portal.agent.programs import Program
from autosubmit_portal.agent.site_file import OTHERS, BadSiteFileError, SiteFile, read_site_file
from autosubmit_portal.sentences import add, say
from experiments.autosubmit.host_rules import BadRules, list_refused
from experiments.autosubmit.program import LONGEST_SECONDS, read_program_version, take_version
from experiments.autosubmit.store import BrokenStore, Store, locate, read_rc
from experiments.autosubmit.trusted import explain_distrust

LITTLE_BYTES, TOO_LITTLE_BYTES = 1024**3, 100 * 1024**2
# That of the host, of which all others are parts (PROC_PID_INIT_INO of Linux).
_FIRST_PID_NAMESPACE = 0xEFFFFFFC
_LOGIND = ("/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")
_LINGER = Path("/var/lib/systemd/linger")
_SYSTEMD = Path("/run/systemd/system")
_FIRST_PERSON = 1000
# Variables that name a file. One that is not there makes no error.
_FILES = {"AS_ENV_PLATFORMS_PATH", "AS_ENV_SSH_CONFIG_PATH"}


def main(site_file: str) -> None:
    """Print, a line of JSON each, what is looked at next and what was found."""
    for step in examine(Path(site_file)):
        print(json.dumps({"at": step} if isinstance(step, str) else encode(step)), flush=True)


def examine(site_file: Path) -> Iterator[str | Finding]:
    """Yield the name of each check before it, and its findings; a blank name at the end."""
    try:
        site = read_site_file(site_file)
    except BadSiteFileError as error:
        yield Finding(Level.FAIL, "site file", str(error), say("Correct it."))
        yield ""
        return
    yield from _check_files(site_file)
    for what, check in CHECKS.items():
        yield what
        try:
            yield from check(site)
        except (OSError, ValueError) as error:
            yield Finding(Level.FAIL, what, say("It cannot be examined: {error}.", error=error))
    yield ""


def _check_files(site_file: Path) -> Iterator[Finding]:
    """What others may change decides what is run."""
    remedy = say("They should be root's, in folders that only root writes.")
    for what, file in (("site file", site_file), ("agent", Path(os.path.realpath(sys.path[0])))):
        reason = explain_distrust(file)
        yield (
            Finding(Level.WARN, what, say("Others can change it: {reason}.", reason=reason), remedy)
            if reason
            else _say(what, f"{file}")
        )


def _check_python(_: SiteFile) -> Iterator[Finding]:
    yield _say(
        "python", say("Python {version}, as {account}.", version=platform.python_version(), account=_get_account())
    )


def _check_program(site: SiteFile) -> Iterator[Finding]:
    yield from _check_usual_program(site)
    yield from _check_programs(site)


def _check_usual_program(site: SiteFile) -> Iterator[Finding]:
    what = "program"
    if not os.access(site.program, os.X_OK):
        text = say(
            "There is no program {program} that {account} may run.", program=site.program, account=_get_account()
        )
        yield Finding(
            Level.FAIL, what, text, say("Correct “program” in the file of the site, or the rights of the program.")
        )
        return
    if reason := explain_distrust(site.program):
        yield Finding(
            Level.WARN,
            what,
            say("Others can change what is run: {reason}.", reason=reason),
            say("Take the right to write away."),
        )
    try:
        version = read_program_version(site.program, _get_home(site), site.spool / "caches")
    except BrokenStore as error:
        yield Finding(Level.FAIL, what, str(error))
        return
    yield _say(what, f"Autosubmit {version}, {site.program}.")


def _check_programs(site: SiteFile) -> Iterator[Finding]:
    """Ask each program with a name for its version: as a command of it is started, with its modules."""
    for name, program in sorted(site.programs.items()):
        what = f"program {name}"
        if not program.load and (reason := explain_distrust(program.path)):
            remedy = say("Take the right to write away.")
            yield Finding(Level.WARN, what, say("Others can change what is run: {reason}.", reason=reason), remedy)
        try:
            version = _ask_version(site, program)
        except (BrokenStore, OSError, subprocess.TimeoutExpired) as error:
            yield Finding(
                Level.FAIL, what, str(error), say("Correct it in “programs” of the file of the site, or repair it.")
            )
            continue
        if version == program.version or version.startswith(f"{program.version}."):
            yield _say(what, f"Autosubmit {version}, {' '.join(program.load[2:]) or program.path}.")
        else:
            text = say(
                "It is Autosubmit {version}, and the file of the site says {known}.",
                version=version,
                known=program.version,
            )
            yield Finding(
                Level.WARN, what, text, say("Experiments are given the program of their version: correct it.")
            )


def _ask_version(site: SiteFile, program: Program) -> str:
    environment = site.make_environment(next(iter(site.profiles)), "", program)
    with subprocess.Popen(
        program.make_argv(["--version"]),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            return take_version(program.path, process, LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _check_store(site: SiteFile) -> Iterator[Finding]:
    what = "store"
    try:
        store = locate(_get_home(site), site.configuration)
    except BrokenStore as error:
        yield Finding(Level.FAIL, what, str(error))
        return
    yield from _check_rights(store) or [
        _say(what, say("{root}, and {account} may write there.", root=store.root, account=_get_account()))
    ]
    yield from _check_room(what, store.root, say("Job lists become empty files when it is full."))


def _check_rights(store: Store) -> list[Finding]:
    """What the account cannot do with a store."""
    account, database = _get_account(), store.database
    found = []
    if not os.access(store.root, os.R_OK | os.W_OK | os.X_OK):
        remedy = say("Creating an experiment needs it: give the account or its group the right.")
        found.append(
            Finding(
                Level.FAIL,
                "store",
                say("{account} may not write in {folder}.", account=account, folder=store.root),
                remedy,
            )
        )
    if not store.postgres_url and not os.access(database, os.R_OK | os.W_OK):
        text = say("{account} may not write the database {database}.", account=account, database=database)
        found.append(Finding(Level.FAIL, "store", text, say("Give the account or its group the right.")))
    return found


def _check_spool(site: SiteFile) -> Iterator[Finding]:
    what, folder = "spool", _find_existing(site.spool)
    mount = find_mount(folder)
    remedy = say("Name a folder on a disk of this host as “spool” in the file of the site, such as one in /var/lib.")
    if not os.access(folder, os.W_OK | os.X_OK):
        text = say("{account} may not write in {folder}.", account=_get_account(), folder=folder)
        yield Finding(Level.FAIL, what, text, say("Give the account a folder there, or name another one."))
    elif mount.is_of_network:
        text = say(
            "{spool} is on {kind}, which other hosts may share: commands could start twice.",
            spool=site.spool,
            kind=mount.kind,
        )
        yield Finding(Level.FAIL, what, text, remedy)
    elif mount.is_in_memory:
        text = say(
            "{spool} is on {kind}: a restart of the host loses how commands ended.", spool=site.spool, kind=mount.kind
        )
        yield Finding(Level.WARN, what, text, remedy)
    else:
        yield _say(what, f"{site.spool}, on {mount.kind}.")
    yield from _check_room(what, folder, say("Nothing can be started without room."))


def _check_room(what: str, folder: Path, consequence: str) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    if free < LITTLE_BYTES:
        level = Level.FAIL if free < TOO_LITTLE_BYTES else Level.WARN
        text = say(
            "There are {free} MiB left at {folder}. {consequence}",
            free=free // 1024**2,
            folder=folder,
            consequence=consequence,
        )
        yield Finding(level, what, text, say("Make room."))


def _check_processes(_: SiteFile) -> Iterator[Finding]:
    """What the agent needs to see whether an experiment runs."""
    what, found = "processes", []
    options = {option.partition("=")[::2] for option in find_mount(Path("/proc")).options}
    hidden = dict(options).get("hidepid", "0")
    group = dict(options).get("gid", "")
    if hidden not in ("0", "off") and os.getuid() and group not in map(str, (os.getegid(), *os.getgroups())):
        text = say("/proc is mounted with hidepid={hidden}: runs of other accounts are not seen.", hidden=hidden)
        remedy = say("Mount it with gid= of a group, and put the account into that group.")
        found.append(Finding(Level.FAIL, what, text, remedy))
    if not os.access("/proc/locks", os.R_OK):
        text = say("/proc/locks cannot be read: whether an experiment runs is not seen.")
        found.append(Finding(Level.FAIL, what, text, say("Let the account read it.")))
    if Path("/proc/self/ns/pid").stat().st_ino != _FIRST_PID_NAMESPACE:
        text = say("The agent is in a PID namespace of its own, as in a container: it sees only what runs in there.")
        found.append(Finding(Level.WARN, what, text, say("Run Autosubmit in the same one.")))
    yield from found or [_say(what, say("Locks and processes of all accounts are seen."))]


def _check_restarts(_: SiteFile) -> Iterator[Finding]:
    what = "machine"
    identity = read_identity()
    if "-" in (identity.machine, identity.boot):
        text = say("The host has no id: that it was restarted cannot be told, and so not that its commands have ended.")
        yield Finding(Level.WARN, what, text, say("Run systemd-machine-id-setup."))
    else:
        yield _say(what, platform.node())


def _check_sessions(_: SiteFile) -> Iterator[Finding]:
    """What systemd does to an account that has signed out."""
    what, account = "sessions", _get_account()
    values = _read_logind()
    if not _SYSTEMD.exists() or (_LINGER / account).exists():
        yield _say(what, say("Commands go on when the agent's session ends."))
        return
    remedy = say("Run loginctl enable-linger {account}", account=account)
    if values.get("KillUserProcesses") == "yes":
        text = say("KillUserProcesses=yes of logind.conf ends commands with the session of the agent.")
        yield Finding(Level.FAIL, what, text, say("{remedy}, or set it to no.", remedy=remedy))
    elif values.get("RemoveIPC") != "no" and os.getuid() >= _FIRST_PERSON:
        text = say(
            "RemoveIPC of logind.conf takes shared memory away from commands when the session of the agent ends."
        )
        yield Finding(Level.WARN, what, text, say("{remedy}, or set it to no.", remedy=remedy))
    else:
        yield _say(what, say("Commands go on when the agent's session ends."))


def _read_logind() -> dict[str, str]:
    """Return what the files of logind set; later ones count (logind.conf(5))."""
    files = [Path(folder) / "logind.conf" for folder in _LOGIND]
    for folder in _LOGIND:
        files += sorted((Path(folder) / "logind.conf.d").glob("*.conf"))
    text = "\n".join(file.read_text(errors="replace") for file in files if file.is_file())
    return dict(re.findall(r"^\s*(\w+)\s*=\s*(\S*)", text, re.MULTILINE))


def _check_kinds(site: SiteFile) -> Iterator[Finding]:
    allowed = (f"{kind} ({', '.join(sorted(words))})" for kind, words in sorted(site.kinds.items()))
    yield _say("kinds", say("The site lets these start: {names}.", names=", ".join(allowed) or "none"))


def _check_profiles(site: SiteFile) -> Iterator[Finding]:
    """What the variables of profiles name, as whoever runs commands finds it."""
    what, found = "profiles", []
    for profile, variables in site.profiles.items():
        for name in sorted(_FILES & variables.keys()):
            if not os.access(_expand(name, variables[name]), os.R_OK):
                text = say(
                    "{name} of the profile {profile} is {value}, which {account} cannot read: Autosubmit would go on "
                    "without",
                    name=name,
                    profile=ascii(profile),
                    value=variables[name],
                    account=_get_account(),
                )
                found.append(text)
        if "SSH_AUTH_SOCK" in variables and (reason := _try_socket(variables["SSH_AUTH_SOCK"])):
            found.append(say("SSH_AUTH_SOCK of the profile {profile}: {reason}", profile=ascii(profile), reason=reason))
    remedy = say("Correct “profiles” in the file of the site, or what they name.")
    yield from [Finding(Level.WARN, what, say("{found}.", found=text), remedy) for text in found] or [
        _say(what, _tell_people(site))
    ]


def _expand(name: str, path: str) -> Path:
    """Return the file that Autosubmit opens: it expands `~` in the path of an SSH configuration only."""
    return Path(path).expanduser() if name == "AS_ENV_SSH_CONFIG_PATH" else Path(path)


def _try_socket(path: str) -> str:
    """Return why nobody answers at a socket; blank if somebody does."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError as error:
            return say("no SSH agent answers at {path} ({error})", path=path, error=error.strerror or error)
    return ""


def _tell_people(site: SiteFile) -> str:
    names = ", ".join(sorted(site.profiles))
    if not site.people:
        return say("All have the same profile, of {names}.", names=names)
    mapped = ", ".join(
        say("{person} has {profile}", person=person, profile=profile) for person, profile in sorted(site.people.items())
    )
    if OTHERS in site.people:
        return say("{people}; all others are mapped.", people=mapped)
    return say("{people}; nobody else is mapped.", people=mapped)


def _check_accounts(site: SiteFile) -> Iterator[Finding]:
    """Whether commands can run as the people whom the file names, and be ended; sudo is asked, nothing is run."""
    what, found = "accounts", []
    names = [name for name in sorted(site.accounts) if not accounts.is_own(name)]
    for name in names:
        if reason := accounts.explain_unusable(name):
            remedy = say("Make it, or take it from “accounts” in the file of the site.")
            found.append(Finding(Level.FAIL, what, reason, remedy))
        elif reason := accounts.explain_sudo(name, (str(site.program), accounts.KILL)):
            remedy = say("Add the lines of sudo in docs/duty.md, with visudo.")
            found.append(Finding(Level.FAIL, what, reason, remedy))
        elif "set_status_live" in site.kinds and (reason := accounts.explain_sudo(name, ("/bin/sh",))):
            remedy = say("Add it to the line of sudo, or leave “set_status_live” out of the file of the site.")
            found.append(Finding(Level.WARN, what, add(reason, say("Set status while running needs it.")), remedy))
    yield from found
    if not found:
        own, people = _get_account(), ", ".join(names)
        as_people = say("sudo lets {account} run Autosubmit as {names}.", account=own, names=people)
        yield _say(what, as_people if names else say("Commands run as {account} only.", account=own))


def _check_rules(site: SiteFile) -> Iterator[Finding]:
    what = "rules"
    try:
        refused = ", ".join(list_refused(read_rc(_get_home(site), site.configuration), platform.node()))
    except BadRules as error:
        text = say("{error}. Autosubmit runs nothing with that.", error=error)
        yield Finding(Level.FAIL, what, text, say("Correct the rc file: [command,command host,host] [command all]."))
    except BrokenStore:  # which is told as what is wrong with the store
        return
    else:
        text = say("[hosts] in the rc file lets {host} run everything.", host=platform.node())
        but = say(
            "[hosts] in the rc file lets {host} run everything but {refused}.", host=platform.node(), refused=refused
        )
        yield _say(what, but if refused else text)


def _check_umask(site: SiteFile) -> Iterator[Finding]:
    what = "umask"
    if site.umask & 0o002:
        yield _say(what, f"{site.umask:04o}")
    else:
        text = say("With the umask {umask} everybody may change what commands write.", umask=f"{site.umask:04o}")
        yield Finding(Level.WARN, what, text, say("Set “umask” in the file of the site to 0022, or 0002 for a group."))


CHECKS: dict[str, Callable[[SiteFile], Iterator[Finding]]] = {
    "python": _check_python,
    "spool": _check_spool,
    "processes": _check_processes,
    "machine": _check_restarts,
    "sessions": _check_sessions,
    "umask": _check_umask,
    "kinds": _check_kinds,
    "accounts": _check_accounts,
    "profiles": _check_profiles,
    "rules": _check_rules,
    "store": _check_store,
    "program": _check_program,
}
"""The slow ones last."""


def _say(what: str, text: str) -> Finding:
    return Finding(Level.OK, what, text)


def _get_account() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _get_home(site: SiteFile) -> Path:
    return site.home or Path(pwd.getpwuid(os.getuid()).pw_dir)


def _find_existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())
