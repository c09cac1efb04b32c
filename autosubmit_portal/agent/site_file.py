"""What the owner of a site allows, in a file at the site: no program, path or variable comes from the portal."""

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autosubmit_portal.agent.programs import MOST_PATH, Program, take_path, take_programs
from autosubmit_portal.agent.protocol import ProtocolError, fields, strict_json

USUAL_PLACE = Path("/etc/autosubmit-portal/agent.json")
_UMASK = re.compile(r"0?[0-7]{3}")
COMMAND, PACKAGE = "command", "package"
# What all have where the file names no profiles, and what the portal asks for where it maps no people.
USUAL_PROFILE = "usual"
# Whoever is not named among the people.
OTHERS = "*"


class BadSiteFileError(Exception):
    """The file of the site cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class SiteFile:
    """The programs of Autosubmit, the folder of the spool, what may be started how and as whom, variables of profiles.

    `program` is the usual one, `programs` are others by their names. `kinds` names the first words of the commands that
    each kind of action may start. `procedures` tells of a kind whether a process of its own runs its commands, or a
    warm one that has imported Autosubmit. `people` maps those who ask to their profiles; where it is empty all have the
    usual one. `home` is the folder of `.autosubmitrc`, unless `configuration` names another file. Nothing is read
    without it. `legacy` is the folder of what a portal of before agents has started.
    """

    program: Path
    spool: Path
    umask: int
    kinds: Mapping[str, frozenset[str]]
    accounts: frozenset[str]
    profiles: Mapping[str, Mapping[str, str]]
    procedures: Mapping[str, str]
    people: Mapping[str, str]
    home: Path | None = None
    configuration: Path | None = None
    legacy: Path | None = None
    programs: Mapping[str, Program] = field(default_factory=dict)

    def find_program(self, name: str) -> Program | None:
        """Return the program with a name, the usual one for none; None if there is no such one."""
        return self.programs.get(name) if name else Program(self.program)

    def choose_profile(self, usual: str, person: str) -> str:
        """Return the profile of whoever asks; blank for somebody whom the site does not map."""
        return self.people.get(person, self.people.get(OTHERS, "")) if self.people else usual

    def make_environment(
        self, profile: str, account: str, program: Program | None = None, person: str = ""
    ) -> dict[str, str]:
        """Return the variables of a command: those of its program and profile, and what any program needs.

        A profile may name another path, but not for a program with a name. Commands use the configuration by which the
        store is read, whatever their home is. Autosubmit takes SUDO_USER for the person behind a shared account, and
        heeds AS_ENV_SSH_CONFIG_PATH only where that is not the owner of the experiment.
        """
        own = pwd.getpwuid(os.getuid())
        usual = {
            "HOME": own.pw_dir,
            "LANG": "C.UTF-8",
            "LOGNAME": own.pw_name,
            "PATH": f"{self.program.parent}:{os.defpath}",
            "TERM": "dumb",
            "USER": own.pw_name,
        }
        if person in self.people and person != OTHERS:
            usual["SUDO_USER"] = person
        variables = {**usual, **self.profiles[profile]}
        if program and program.path != self.program:
            variables |= {"PATH": program.search_path, **program.variables}
        if rc := self._find_rc(profile, account):
            variables.setdefault("AUTOSUBMIT_CONFIGURATION", rc)
        return variables

    def _find_rc(self, profile: str, account: str) -> str:
        """Return the configuration by which the store is read; blank where a command finds it by its HOME."""
        if self.configuration:
            return str(self.configuration)
        home = self.profiles[profile].get("HOME", "")
        if home or not self.home:
            return f"{home or pwd.getpwuid(os.getuid()).pw_dir}/.autosubmitrc" if account else ""
        return f"{self.home}/.autosubmitrc"


def read_site_file(file: Path) -> SiteFile:
    """Read the file of the site, which is JSON. Raises BadSiteFileError."""
    try:
        message = strict_json.decode(file.read_bytes())
        return SiteFile(
            program=take_path(message, "program"),
            spool=take_path(message, "spool"),
            umask=_take_umask(message),
            kinds=_take_kinds(message),
            accounts=frozenset(fields.take_texts(message, "accounts")) if "accounts" in message else frozenset(),
            legacy=take_path(message, "legacy") if "legacy" in message else None,
            profiles=_take_profiles(message),
            procedures=_take_procedures(message),
            people=_take_people(message),
            home=take_path(message, "home") if "home" in message else None,
            configuration=take_path(message, "configuration") if "configuration" in message else None,
            programs=take_programs(message),
        )
    except (OSError, ProtocolError) as error:
        raise BadSiteFileError(f"{file} cannot be used: {error}.") from error


def _take_umask(message: strict_json.Message) -> int:
    text = fields.take_text(message, "umask")
    if not _UMASK.fullmatch(text):
        raise ProtocolError("“umask” must be three octal digits in quotes")
    return int(text, 8)


def _take_kinds(message: strict_json.Message) -> Mapping[str, frozenset[str]]:
    named = message.get("kinds")
    if not isinstance(named, dict):
        raise ProtocolError(
            "“kinds” must name the first words of the commands that each kind may start, such as "
            '{"run": ["run"], "restart": ["recovery", "run"]}'
        )
    return {kind: frozenset(fields.take_texts(named, kind)) for kind in named}


def _take_profiles(message: strict_json.Message) -> Mapping[str, Mapping[str, str]]:
    if "profiles" not in message:
        return {USUAL_PROFILE: {}}
    named = fields.take_object(message, "profiles")
    return {profile: _take_variables(fields.take_object(named, profile)) for profile in named}


def _take_variables(variables: strict_json.Message) -> Mapping[str, str]:
    return {name: fields.take_text(variables, name, most=MOST_PATH) for name in variables}


def _take_people(message: strict_json.Message) -> Mapping[str, str]:
    """Return the profile of each person."""
    if "people" not in message:
        return {}
    named = fields.take_object(message, "people")
    people = {person: fields.take_text(named, person) for person in named}
    for person, profile in people.items():
        if profile not in _take_profiles(message):
            raise ProtocolError(f"“people” gives {person!a} the profile {profile!a}, which is not among “profiles”")
    return people


def take_procedure(message: strict_json.Message, name: str) -> str:
    """Return how commands are to be started. Raises ProtocolError."""
    procedure = fields.take_text(message, name)
    if procedure not in (COMMAND, PACKAGE):
        raise ProtocolError(f"the procedure of “{name}” must be “{COMMAND}” or “{PACKAGE}”")
    return procedure


def _take_procedures(message: strict_json.Message) -> Mapping[str, str]:
    """Return the procedure of each kind for which the site has the last word."""
    if "procedures" not in message:
        return {}
    named = fields.take_object(message, "procedures")
    procedures = {kind: take_procedure(named, kind) for kind in named}
    for kind, procedure in procedures.items():
        if kind == "run" and procedure != COMMAND:
            raise ProtocolError("the procedure of “run” is always “command”: a run lives for months")
    return procedures
