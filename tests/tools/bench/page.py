"""docs/performance.md: one section for each part of the bench, and one about the machine."""

import os
import platform
import sqlite3
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.support.postgres import binaries

HEAD = """# Performance

`make bench` measures and writes this page, on one machine. Figures are orders of magnitude; a missed target says
so.
"""
TITLES = (
    *("Reads", "Changes", "Lists", "Pages", "Pictures", "Load", "The mirror"),
    *("The mirror while many lists change", "Sites and agents"),
    *("From request to command", "Several hosts", "Procedures", "The machine"),
)
_MARK = "\n## "


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its title is one of TITLES, its text is Markdown."""

    title: str
    text: str


def renewed(page: str, sections: list[Section]) -> str:
    """Return the page with these sections in their places; those that were not measured now stay as they are."""
    parts = (part.partition("\n") for part in page.split(_MARK)[1:])
    texts = {title: text.strip() for title, _, text in parts}
    texts |= {section.title: section.text.strip() for section in sections}
    written = [f"## {title}\n\n{texts[title]}\n" for title in TITLES if title in texts]
    return "\n".join([HEAD, *written])


def context() -> str:
    """Say when a section was begun and what else the machine did."""
    now = datetime.now(UTC)
    return f"Measured on {now:%Y-%m-%d at %H:%M} UTC, load average {os.getloadavg()[0]:.1f}."


def machine() -> Section:
    """Describe the machine and what runs on it."""
    facts = {
        "Cores": f"{os.cpu_count()}, {_processor()}, shared with other work",
        "System": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "Django, django-q2": f"{version('django')}, {version('django-q2')}",
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": _said(str(binaries() / "postgres"), "--version").split()[2],
        "Redis": f"{_said('redis-server', '--version').split()[2].removeprefix('v=')}, client {version('redis')}",
    }
    return Section("The machine", "\n".join(f"- {name}: {fact}" for name, fact in facts.items()))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
