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
from experiments.shell_echo import list_own_lines

OWN = Path(__file__).with_name("failure_reasons.yml")
MOST_SHOWN = 3
LONGEST_LINE = 300
_FIELDS = {"title", "texts", "meaning", "advice", "shows", "sites", "aftermath"}
_WRITTEN = ("title", "meaning", "advice")
_LINE, _END_OF_BLOCK = "line", "end of block"


class BadCatalogue(Exception):
    """A catalogue cannot be read; the text says which entry and which field, and what belongs there."""


@dataclass(frozen=True, slots=True)
class Reason:
    """An entry: any of `texts` (in lower case) in a log tells it; blank `sites` are all sites.

    `is_aftermath` is of what other failures bring about, `is_added` of entries of an institution.
    """

    name: str
    title: str
    meaning: str
    advice: str
    texts: tuple[str, ...]
    shows: str = _LINE
    sites: tuple[str, ...] = ()
    is_aftermath: bool = False
    is_added: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason, the line of a log that tells it, and its place among the lines that the shell did not echo."""

    reason: Reason
    line: str
    place: int


@cache
def load(more: Path | None = None) -> tuple[Reason, ...]:
    """Return the entries of an institution, if it has a file, and behind them the portal's own.

    An entry of the institution replaces one of the portal that has its name. Raises BadCatalogue.
    """
    added = parse(_read(more), is_added=True) if more else ()
    names = {reason.name for reason in added}
    return (*added, *(reason for reason in parse(OWN.read_text()) if reason.name not in names))


def parse(text: str, *, is_added: bool = False) -> tuple[Reason, ...]:
    """Return the entries of a catalogue, which an institution may have added. Raises BadCatalogue."""
    try:
        entries = parse_strict_yaml(text)
    except BadData as error:
        raise BadCatalogue(f"It is not read: {error}") from error
    return tuple(_take(name, entry, is_added=is_added) for name, entry in entries.items())


def find(log: str, reasons: Sequence[Reason], site: str = "", script: str = "") -> list[Finding]:
    """Return what the text of a log tells, at most MOST_SHOWN: of each reason the last line that tells it.

    Reasons of an institution come first, then those that stand nearest the end, of the same line in their order. What
    other failures bring about comes last. `site` is the slug of where the job ran, `script` what the shell may have
    echoed.
    """
    lines = list_own_lines(log, script)
    lowered = [line.lower() for line in lines]
    told = (_find_one(lines, lowered, reason) for reason in reasons if not reason.sites or site in reason.sites)
    found = sorted((finding for finding in told if finding), key=_rank)
    causes = {finding.place for finding in found if not finding.reason.is_aftermath}
    return [one for one in found if not one.reason.is_aftermath or one.place not in causes][:MOST_SHOWN]


def _rank(finding: Finding) -> tuple[bool, bool, int]:
    return finding.reason.is_aftermath, not finding.reason.is_added, -finding.place


def _find_one(lines: Sequence[str], lowered: Sequence[str], reason: Reason) -> Finding | None:
    for number in range(len(lines) - 1, -1, -1):
        if any(text in lowered[number] for text in reason.texts):
            place = _find_end_of_block(lines, number) if reason.shows == _END_OF_BLOCK else number
            return Finding(reason, lines[place].strip()[:LONGEST_LINE], place)
    return None


def _find_end_of_block(lines: Sequence[str], begin: int) -> int:
    """Return the place of the first line after `begin` that is neither indented nor blank; without one `begin`."""
    after = range(begin + 1, len(lines))
    return next((place for place in after if lines[place].strip() and not lines[place][0].isspace()), begin)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadCatalogue(f"It cannot be read: {error}") from error


def _take(name: str, entry: Any, *, is_added: bool) -> Reason:
    if not isinstance(entry, dict):
        raise BadCatalogue(f"“{name}” must be a mapping with {', '.join(sorted(_FIELDS))}.")
    unknown = sorted(str(field) for field in entry.keys() - _FIELDS)
    if unknown:
        raise BadCatalogue(f"{name}: “{unknown[0]}” is no field. There are {', '.join(sorted(_FIELDS))}.")
    title, meaning, advice = (_take_text(entry.get(field), f"{name}: “{field}”") for field in _WRITTEN)
    shows = entry.get("shows", _LINE)
    if shows not in (_LINE, _END_OF_BLOCK):
        raise BadCatalogue(f"{name}: “shows” must be “{_LINE}” or “{_END_OF_BLOCK}”.")
    texts = tuple(text.lower() for text in _take_texts(entry.get("texts"), f"{name}: “texts”"))
    sites = tuple(_take_texts(entry["sites"], f"{name}: “sites”")) if "sites" in entry else ()
    aftermath = entry.get("aftermath", False)
    if not isinstance(aftermath, bool):
        raise BadCatalogue(f"{name}: “aftermath” must be true or false.")
    return Reason(name, title, meaning, advice, texts, shows, sites, aftermath, is_added)


def _take_texts(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, list) or not value:
        raise BadCatalogue(f"{where} must be a list of texts, with at least one.")
    return (_take_text(text, where) for text in value)


def _take_text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadCatalogue(f"{where} must be a text that is not blank.")
    return value.strip()
