"""YAML and JSON that somebody may have written who means harm, as plain data.

YAML is read as YAML 1.2, as Autosubmit does: `48:00` and `yes` are texts, and no key stands twice in a mapping. PyYAML
reads YAML 1.1, so its rules for plain values are replaced; its parser in C is several times as fast as one in Python.
"""

import json
import math
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import yaml

MAX_DEPTH = 50
MAX_VALUES = 200_000


MOST_DIGITS = 1000
"""Of a number. Python itself writes none of more than 4,300 digits."""


class BadData(Exception):
    """A text is not YAML or JSON that is read here; the text says why and, where it can, in which line."""


class _Loader(yaml.CSafeLoader):
    """Plain values by the rules of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "").lower()
    if len(text) > MOST_DIGITS:
        raise ValueError(text)
    base = {"0b": 2, "0o": 8, "0x": 16}.get(text.lstrip("+-")[:2], 10)
    return int(text, base)


_INTEGER = r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)"
_FLOAT = r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9_]+(?:[eE][-+]?[0-9]+)?)"
_INFINITE = r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_PLAIN_VALUES = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", _INTEGER, "-+0123456789"),
    ("float", f"{_FLOAT}|{_INFINITE}", "-+0123456789."),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("merge", "<<", "<"),
    ("timestamp", _DATE, "0123456789"),
)
for _name, _pattern, _first in _PLAIN_VALUES:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def from_yaml(text: str) -> dict[str, Any]:
    """Return the mapping that a YAML text holds, as texts, numbers, truth values, None, lists and dicts with text keys.

    A text without a document is an empty mapping; dates, bytes and sets become texts and lists. Raises BadData for
    anything else, for a tag that is not YAML's own, and for what is too deep or, written out, too large.
    """
    try:
        _check_depth(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            _check_size(node)
            value = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise BadData(_reason(error)) from error
    return _mapping({} if value is None else value)


def from_json(text: str) -> dict[str, Any]:
    """Return the mapping that a JSON text holds; raise BadData as from_yaml does."""
    try:
        value = json.loads(text)
        if size(value) > MAX_VALUES:
            raise BadData(f"it holds more than {MAX_VALUES:,} values")
    except (ValueError, RecursionError) as error:
        raise BadData(_reason(error)) from error
    return _mapping(value)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadData("it holds no mapping at its top")
    return dict(_plain(value, MAX_DEPTH))


def _plain(value: Any, depth: int) -> Any:
    """Return a value with nothing in it but what JSON can say."""
    if depth < 0:
        raise BadData(f"it is nested more than {MAX_DEPTH} deep")
    match value:
        case dict():
            return {_encodable(str(key)): _plain(inner, depth - 1) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner, depth - 1) for inner in value]
        case float() if not math.isfinite(value):
            return str(value)
        case str():
            return _encodable(value)
        case bool() | int() | float() | None:
            return value
    return _as_text(value)


def _encodable(text: str) -> str:
    """Return a text without lone surrogates, which no answer can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _as_text(value: Any) -> Any:
    """Return what YAML can say and JSON cannot."""
    if isinstance(value, set):
        return sorted(map(str, value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, date) else str(value)


def size(value: Any) -> int:
    """Return how many values there are in a value, itself included."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(size, inner))


def _check_depth(text: str) -> None:
    """Refuse what is nested too deeply before anything recurses into it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise BadData(f"it is nested more than {MAX_DEPTH} deep")


def _check_size(root: yaml.Node | None) -> None:
    """Refuse what would be too large with each alias written out, and an alias inside of what it stands for."""
    sizes: dict[int, int] = {}

    def measure(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known is None:
            sizes[id(node)] = MAX_VALUES  # what is met again while it is measured contains itself
            known = sizes[id(node)] = 1 + sum(map(measure, _inner(node)))
        if known > MAX_VALUES:
            raise BadData(f"it holds more than {MAX_VALUES:,} values, or one that contains itself")
        return known

    if root is not None:
        measure(root)


def _inner(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in keys:
                    raise BadData(f"line {key.start_mark.line + 1}: a key stands twice in a mapping")
                keys.add(key.value)
            yield key
            yield value


def _reason(error: Exception) -> str:
    """Return what is wrong, and nothing of the text itself: it may hold secrets."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"it has a character that YAML forbids, at {error.position}"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}: {error.msg}"
    return "a value is not what its tag says, or has too many digits or levels"
