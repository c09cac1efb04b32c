"""The stores that the bench serves: thousands of experiments, made by a tool from a few that Autosubmit really made.

They take minutes to make and are kept for the next run; `store.json`, which the tool writes last, says that one is
whole.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


class NoTools(Exception):
    """The tool that makes stores is not there; the message says how to name it."""


@dataclass(frozen=True, slots=True)
class Store:
    """An Autosubmit home with many experiments: `big` has the most `jobs`, `word` is in some descriptions."""

    home: Path
    big: str
    jobs: int
    word: str = "ocean"

    @property
    def configuration(self) -> Path:
        """The rc file, which names the folders."""
        return self.home / ".autosubmitrc"


@dataclass(frozen=True, slots=True)
class Plan:
    """How many experiments a store holds, and the numbers of jobs of the big ones among them."""

    experiments: int
    big: tuple[int, ...]

    def made(self, folder: Path, tools: Path, program: Path) -> Store:
        """Return the store in `folder`, made now unless it is there. Raises NoTools, CalledProcessError."""
        target = folder / f"{self.experiments}-experiments-{sum(self.big)}-jobs"
        index = target / "store.json"
        if not index.exists():
            self._make(target, tools / "make_store.py", program)
        facts = json.loads(index.read_text())
        biggest = max(facts["experiments"], key=lambda experiment: experiment["jobs"])
        return Store(Path(facts["home"]), biggest["expid"], biggest["jobs"])

    def _make(self, target: Path, tool: Path, program: Path) -> None:
        if not tool.exists():
            raise NoTools(f"There is no {tool}, which makes the stores. Name its folder: make bench TOOLS=…")
        print(f"Making a store of {self.experiments:,} experiments in {target} …", flush=True)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        big = ",".join(map(str, self.big))
        command = [sys.executable, str(tool), str(program), str(target), str(self.experiments), big]
        with (target / "log").open("w") as log:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
