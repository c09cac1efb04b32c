"""Reads the definition of the images: stages and their instructions, as an engine for containers does."""

import json
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "deploy" / "container" / "Containerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """Its arguments: of the exec form (JSON) as they are, otherwise apart at blanks."""
        return list(map(str, json.loads(self.text))) if self.is_exec else self.text.split()

    @property
    def is_exec(self) -> bool:
        """Return whether it is in the exec form."""
        return self.text.startswith("[")

    @property
    def pairs(self) -> dict[str, str]:
        """Return the names and values of ENV or ARG."""
        return {name: value for name, _, value in (word.partition("=") for word in self.words)}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, named, and what it begins with."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def find(self, name: str) -> list[Instruction]:
        """Return its instructions of one kind."""
        return [one for one in self.instructions if one.name == name]

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that its processes have."""
        return {name: value for one in self.find("ENV") for name, value in one.pairs.items()}


def read_stages(file: Path = FILE) -> dict[str, Stage]:
    """Return the stages by their names."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for one in _read_instructions(file.read_text()):
        if one.name == "FROM":
            base, _, name = one.words
            stages[name] = Stage(name, expand(base, arguments))
        elif stages:
            [*stages.values()][-1].instructions.append(one)
        else:
            arguments |= one.pairs
    return stages


def expand(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of ${NAME}."""
    return string.Template(text).substitute(values)


def _read_instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, rest = line.partition(" ")
        yield Instruction(name, rest.strip())
