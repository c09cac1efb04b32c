"""Why a job failed, told from its logs: a catalogue of texts with their meaning and with advice.

The catalogue is `failure_reasons.yml`, and what an institution adds (PORTAL_FAILURE_REASONS); docs/failure-reasons.md
explains the format. Texts are looked for as they are, whatever their case: no pattern of a catalogue can be slow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from experiments.autosubmit.plain_data import BadData, parse_strict_yaml

OWN = Path(__file__).with_name("failure_reasons.yml")
MOST_SHOWN = 3
LONGEST_LINE = 300
_FIELDS = {"title", "texts", "meaning", "advice", "shows", "sites"}
_WRITTEN = ("title", "meaning", "advice")
_LINE, _END_OF_BLOCK = "line", "end of block"


class BadCatalogue(Exception):
    """A catalogue cannot be read; the text says which entry and which field, and what belongs there."""


@dataclass(frozen=True, slots=True)
class Reason:
    """An entry: any of `texts` (in lower case) in a log tells it; blank `sites` are all sites."""

    name: str
    title: str
    meaning: str
    advice: str
    texts: tuple[str, ...]
    shows: str = _LINE
    sites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason, and the line of a log that tells it."""

    reason: Reason
    line: str


@cache
def load(more: Path | None = None) -> tuple[Reason, ...]:
    """Return the entries of an institution, if it has a file, and behind them the portal's own.

    An entry of the institution replaces one of the portal that has its name. Raises BadCatalogue.
    """
    added = parse(_read(more)) if more else ()
    names = {reason.name for reason in added}
    return (*added, *(reason for reason in parse(OWN.read_text()) if reason.name not in names))


def parse(text: str) -> tuple[Reason, ...]:
    """Return the entries of a catalogue. Raises BadCatalogue."""
    try:
        entries = parse_strict_yaml(text)
    except BadData as error:
        raise BadCatalogue(f"It is not read: {error}") from error
    return tuple(_take(name, entry) for name, entry in entries.items())


def find(log: str, reasons: Sequence[Reason], site: str = "") -> list[Finding]:
    """Return what the text of a log tells, the most certain first and at most MOST_SHOWN.

    Of each reason it is the last line that tells it. `site` is the slug of where the job ran.
    """
    lines = log.splitlines()
    lowered = [line.lower() for line in lines]
    found = (_find_one(lines, lowered, reason) for reason in reasons if not reason.sites or site in reason.sites)
    return [finding for finding in found if finding][:MOST_SHOWN]


def _find_one(lines: Sequence[str], lowered: Sequence[str], reason: Reason) -> Finding | None:
    for number in range(len(lines) - 1, -1, -1):
        if any(text in lowered[number] for text in reason.texts):
            shown = _find_end_of_block(lines, number) if reason.shows == _END_OF_BLOCK else lines[number]
            return Finding(reason, shown.strip()[:LONGEST_LINE])
    return None


def _find_end_of_block(lines: Sequence[str], begin: int) -> str:
    """Return the first line after `begin` that is neither indented nor blank; the first itself if there is none."""
    after = (line for line in lines[begin + 1 :] if line.strip() and not line[0].isspace())
    return next(after, lines[begin])


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadCatalogue(f"It cannot be read: {error}") from error


def _take(name: str, entry: Any) -> Reason:
    if not isinstance(entry, dict):
        raise BadCatalogue(f"“{name}” must be a mapping with {', '.join(sorted(_FIELDS))}.")
    unknown = sorted(str(field) for field in entry.keys() - _FIELDS)
    if unknown:
        raise BadCatalogue(f"{name}: “{unknown[0]}” is no field. There are {', '.join(sorted(_FIELDS))}.")
    written = {field: _take_text(entry.get(field), f"{name}: “{field}”") for field in _WRITTEN}
    shows = entry.get("shows", _LINE)
    if shows not in (_LINE, _END_OF_BLOCK):
        raise BadCatalogue(f"{name}: “shows” must be “{_LINE}” or “{_END_OF_BLOCK}”.")
    texts = tuple(text.lower() for text in _take_texts(entry.get("texts"), f"{name}: “texts”"))
    sites = tuple(_take_texts(entry["sites"], f"{name}: “sites”")) if "sites" in entry else ()
    return Reason(name, **written, texts=texts, shows=shows, sites=sites)


def _take_texts(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, list) or not value:
        raise BadCatalogue(f"{where} must be a list of texts, with at least one.")
    return (_take_text(text, where) for text in value)


def _take_text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadCatalogue(f"{where} must be a text that is not blank.")
    return value.strip()
