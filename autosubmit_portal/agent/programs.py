"""The Autosubmit programs of a site: one that is usual, and others by names, such as older versions."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autosubmit_portal.agent.protocol import ProtocolError, fields, strict_json
from autosubmit_portal.agent.scripts import SCRIPTS, make_argv, read_script
from autosubmit_portal.sentences import say

MOST_PATH = 4096
MOST_NAME = 50
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# A module has no options: what begins with a dash or a dot is none.
_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*")
_KINDS = ("program", "virtualenv", "conda", "modules")
_MODULES = read_script("modules")


@dataclass(frozen=True, slots=True)
class Program:
    """One Autosubmit program: a file, or what `load` puts on the path; `variables` are those of its environment."""

    path: Path = Path("autosubmit")
    version: str = ""
    load: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def search_path(self) -> str:
        """Where its commands find programs."""
        return os.defpath if self.load else f"{self.path.parent}:{os.defpath}"

    def make_argv(self, words: Sequence[str]) -> list[str]:
        """Return the argv of words that are a command of this Autosubmit, or of a script, which needs none."""
        argv = make_argv(str(self.path), words)
        if not self.load or words[0] in SCRIPTS:
            return argv
        return ["/bin/sh", "-c", _MODULES, "modules", *self.load, "--", *argv]


def take_path(message: strict_json.Message, name: str) -> Path:
    """Return an absolute path. Raises ProtocolError."""
    path = Path(fields.take_text(message, name, most=MOST_PATH))
    if not path.is_absolute():
        raise ProtocolError(f"“{name}” must be an absolute path")
    return path


def take_programs(message: strict_json.Message) -> dict[str, Program]:
    """Return the programs with names. Raises ProtocolError."""
    named = fields.take_object(message, "programs") if "programs" in message else {}
    return {name: _take_program(message, name, fields.take_object(named, name)) for name in named}


def _take_program(message: strict_json.Message, name: str, told: strict_json.Message) -> Program:
    if not _NAME.fullmatch(name) or len(name) > MOST_NAME:
        raise ProtocolError(
            say("{name} cannot be the name of a program: letters, digits, “.”, “_”, “+” and “-”", name=ascii(name))
        )
    fields.refuse_others(told, "version", *_KINDS)
    given = [kind for kind in _KINDS if kind in told]
    if len(given) != 1:
        raise ProtocolError(say("the program {name} needs one of: {names}", name=ascii(name), names=", ".join(_KINDS)))
    version = fields.take_text(told, "version", most=MOST_NAME)
    if given == ["modules"]:
        return Program(version=version, load=(*_take_modules_program(message), *_take_modules(told)))
    folder = take_path(told, given[0])
    if given == ["program"]:
        return Program(folder, version)
    variable = {"virtualenv": "VIRTUAL_ENV", "conda": "CONDA_PREFIX"}[given[0]]
    return Program(folder / "bin" / "autosubmit", version, variables={variable: str(folder)})


def _take_modules(told: strict_json.Message) -> list[str]:
    names = fields.take_texts(told, "modules")
    wrong = next((name for name in names if not _MODULE.fullmatch(name)), None)
    if wrong is not None or not names:
        raise ProtocolError(f"{wrong!a} cannot be the name of a module" if names else "“modules” names none")
    return names


def _take_modules_program(message: strict_json.Message) -> tuple[str, str]:
    """Return the program that loads modules, and the folders of their files, as MODULEPATH has them."""
    if "modules" not in message:
        raise ProtocolError('“modules” must say how they are loaded: {"program": "/usr/lib/…/modulecmd", "path": […]}')
    told = fields.take_object(message, "modules")
    fields.refuse_others(told, "program", "path")
    folders = fields.take_texts(told, "path")
    if not all(Path(folder).is_absolute() and ":" not in folder for folder in folders):
        raise ProtocolError("the “path” of “modules” must be absolute paths")
    return str(take_path(told, "program")), ":".join(folders)
