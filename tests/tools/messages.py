"""The catalogues of the console's languages: `make messages` adds what is new, drops what is gone, and compiles them.

It needs no GNU gettext. The files are its own: any editor of .po files reads and writes them.
"""

import ast
import re
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent.parent
LOCALE = ROOT / "autosubmit_portal" / "locale"
CODE = ("autosubmit_portal", "experiments", "jobs")
# What Django and Python call the functions that translate, with where context, text and plural stand.
FUNCTIONS = {
    **dict.fromkeys(("gettext", "gettext_lazy", "gettext_noop", "say", "marked", "_"), (None, 0, None)),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (None, 0, 1)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), (0, 1, None)),
}
# Inside the key of an entry of a .mo file.
CONTEXT_END, PLURAL_BEGIN = "\x04", "\0"
_CALL = re.compile(r"\b(gettext|ngettext|pgettext|_)\(\s*(?=u?['\"])")
_STRING = re.compile(r"\s*,?\s*(u?'(?:[^'\\]|\\.)*'|u?\"(?:[^\"\\]|\\.)*\")")


class Key(NamedTuple):
    """What a text is looked up by; a blank `plural` is of a text without one."""

    text: str
    plural: str = ""
    context: str = ""


@dataclass
class Catalogue:
    """A .po file: its head as it stands there, and the translations, one or as many as the language has plurals."""

    head: str = ""
    texts: dict[Key, list[str]] = field(default_factory=dict)


def collect() -> set[Key]:
    """Return all texts that are marked for translation."""
    from autosubmit_portal.console.words import list_words

    found = {Key(text) for text in list_words() if text}
    for folder in CODE:
        for file in (ROOT / folder).rglob("*.py"):
            found |= set(_list_of_code(file.read_text()))
    for file in (ROOT / "templates").rglob("*.html"):
        found |= set(_list_of_template(file.read_text()))
    return found


def _list_of_code(source: str) -> Iterator[Key]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
            texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            yield from _make_key(name, texts)


def _list_of_template(source: str) -> Iterator[Key]:
    code = templatize(source)
    for call in _CALL.finditer(code):
        texts, place = [], call.end()
        while found := _STRING.match(code, place):
            texts.append(ast.literal_eval(found[1]))
            place = found.end()
        yield from _make_key(call[1], texts)


def _make_key(name: str, texts: list[str]) -> Iterator[Key]:
    context, text, plural = FUNCTIONS.get(name, (None, None, None))
    if text is not None and len(texts) > max(text, plural or 0, context or 0):
        yield Key(texts[text], texts[plural] if plural else "", texts[context] if context is not None else "")


def read(path: Path) -> Catalogue:
    """Return what a .po file holds."""
    head, _, rest = path.read_text().partition("\n\n")
    found = Catalogue(head)
    for block in re.split(r"\n\n+", rest):
        parts = {name: _join(lines) for name, lines in re.findall(_PART, block, re.MULTILINE)}
        if "msgid" in parts:
            key = Key(parts["msgid"], parts.get("msgid_plural", ""), parts.get("msgctxt", ""))
            found.texts[key] = [text for name, text in parts.items() if name.startswith("msgstr")]
    return found


_PART = r'^(msgid_plural|msgid|msgctxt|msgstr(?:\[\d\])?)((?:\s+".*")+)$'


def _join(lines: str) -> str:
    return "".join(ast.literal_eval(line) for line in re.findall(r'".*"', lines))


def write(path: Path, catalogue: Catalogue) -> None:
    """Write a .po file, in the order of the texts."""
    blocks = [catalogue.head, *(_describe(key, catalogue.texts[key]) for key in sorted(catalogue.texts))]
    path.write_text("\n\n".join(blocks) + "\n")


def _describe(key: Key, translated: list[str]) -> str:
    lines = [f"msgctxt {_quote(key.context)}"] if key.context else []
    lines.append(f"msgid {_quote(key.text)}")
    if not key.plural:
        return "\n".join([*lines, f"msgstr {_quote(translated[0])}"])
    forms = [f"msgstr[{number}] {_quote(text)}" for number, text in enumerate(translated)]
    return "\n".join([*lines, f"msgid_plural {_quote(key.plural)}", *forms])


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def compile_catalogue(catalogue: Catalogue) -> bytes:
    """Return the .mo file of a catalogue, as the module gettext of Python reads it."""
    head = _join("\n".join(catalogue.head.partition("msgstr")[2].splitlines()))
    entries = {_name(key): "\0".join(texts) for key, texts in catalogue.texts.items() if all(texts)}
    return _pack(sorted((key.encode(), text.encode()) for key, text in {"": head, **entries}.items()))


def _name(key: Key) -> str:
    context, plural = f"{key.context}{CONTEXT_END}" if key.context else "", f"{PLURAL_BEGIN}{key.plural}"
    return f"{context}{key.text}{plural if key.plural else ''}"


def _pack(entries: list[tuple[bytes, bytes]]) -> bytes:
    count = len(entries)
    begin = 28 + 16 * count
    tables: list[list[tuple[int, int]]] = [[], []]
    data = bytearray()
    for column, table in enumerate(tables):
        for entry in entries:
            table.append((len(entry[column]), begin + len(data)))
            data += entry[column] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, begin)
    return head + b"".join(struct.pack("<2I", *place) for table in tables for place in table) + bytes(data)


def list_languages() -> Iterable[Path]:
    """Return the .po file of each language."""
    return sorted(LOCALE.glob("*/LC_MESSAGES/django.po"))


def list_missing(catalogue: Catalogue, marked: set[Key]) -> list[Key]:
    """Return the texts that are marked and not translated."""
    return sorted(key for key in marked if not all(catalogue.texts.get(key, [""])))


def update(path: Path, marked: set[Key]) -> list[Key]:
    """Bring a .po file and its .mo file up to date; return what is to be translated."""
    old = read(path)
    texts = {key: old.texts.get(key, [""] * (2 if key.plural else 1)) for key in marked}
    new = Catalogue(old.head, texts)
    write(path, new)
    path.with_suffix(".mo").write_bytes(compile_catalogue(new))
    return list_missing(new, marked)


def main() -> int:
    """Update all catalogues, and say what is to be translated."""
    import django

    django.setup()
    marked = collect()
    for path in list_languages():
        missing = update(path, marked)
        sys.stdout.write(f"{path.relative_to(ROOT)}: {len(marked)} texts, {len(missing)} to translate.\n")
        sys.stdout.writelines(f"  {key.text}\n" for key in missing)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
