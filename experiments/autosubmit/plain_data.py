"""YAML and JSON that somebody may have written who means harm, as plain data.

YAML is read as Autosubmit does, by ruamel.yaml: as YAML 1.2 unless it says otherwise (`48:00` and `yes` are texts),
with any tag, any key and any anchor, and with no key twice in a mapping. A tag that is not YAML's own changes
nothing: its value is the text, the list or the mapping. PyYAML reads YAML 1.1, so its rules for plain values are
replaced. Its parser in C, which is several times as fast as the one in Python, is taken where there is one.
"""

import json
import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from autosubmit_portal.sentences import say

MAX_DEPTH = 50
MAX_VALUES = 200_000


MOST_DIGITS = 1000
"""Of a number. Python itself writes none of more than 4,300 digits."""


_PARSER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
# Each value has two at most, and the text four.
_MOST_EVENTS = 2 * MAX_VALUES + 4
_MERGE = "tag:yaml.org,2002:merge"
# More than the character that is in the way: a part of the text.
_QUOTED = re.compile(r"'[^'\n]{2,}'|\"[^\"\n]{2,}\"")


class BadData(Exception):
    """A text is not YAML or JSON that is read here; the text says why and, where it can, in which line and column."""


class _Loader11(Composer, SafeConstructor, Resolver):
    """Makes values of the events of a text that says that it is YAML 1.1."""

    def __init__(self, events: Iterable[yaml.Event]) -> None:
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self._events = deque(events)

    def check_event(self, *kinds: type[yaml.Event]) -> bool:
        """Return whether the next event is of one of these kinds."""
        return bool(self._events) and isinstance(self._events[0], kinds)

    def peek_event(self) -> yaml.Event:
        """Return the next event."""
        return self._events[0]

    def get_event(self) -> yaml.Event:
        """Return the next event, and go on."""
        return self._events.popleft()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node; an anchor may be given again, and then stands for the later value."""
        event = self.peek_event()
        if isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value; where it is not what its tag says, raise ConstructorError with its place."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError) as error:
            mark = node.start_mark
            raise yaml.constructor.ConstructorError(
                None, None, say("a value is not what its tag says"), mark
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping whose keys may be lists and mappings."""
        if not isinstance(node, yaml.MappingNode):
            raise yaml.constructor.ConstructorError(None, None, say("expected a mapping"), node.start_mark)
        self.flatten_mapping(node)
        return {
            _make_hashable(self.construct_object(key, deep=True)): self.construct_object(value, deep=deep)
            for key, value in node.value
        }


class _Loader(_Loader11):
    """Plain values by the rules of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


def _make_hashable(key: Any) -> Any:
    """Return a key that is a list or a mapping as that which Autosubmit makes of it, and writes as text."""
    if isinstance(key, list):
        return tuple(map(_make_hashable, key))
    if isinstance(key, dict):
        return f"ordereddict({list(key.items())!r})" if key else "ordereddict()"
    return key


def _construct_tagged(loader: Any, node: yaml.Node) -> Any:
    """Construct a value with a tag that nobody knows, as if it had none, and a scalar as text."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_yaml_map(node)
    return loader.construct_yaml_seq(node) if isinstance(node, yaml.SequenceNode) else node.value


def _construct_ordered(loader: Any, node: yaml.Node) -> dict[Any, Any]:
    (pairs,) = loader.construct_yaml_omap(node)
    return {_make_hashable(key): value for key, value in pairs}


def _construct_integer(loader: Any, node: yaml.ScalarNode) -> int:
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
_Loader11.add_constructor(None, _construct_tagged)
_Loader11.add_constructor("tag:yaml.org,2002:omap", _construct_ordered)
_Loader.add_constructor(None, _construct_tagged)
_Loader.add_constructor("tag:yaml.org,2002:omap", _construct_ordered)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_integer)


def parse_yaml(text: str) -> dict[str, Any]:
    """Return the mapping that a YAML text holds, as texts, numbers, truth values, None, lists and dicts with text keys.

    A text without a document is an empty mapping, and so is a list, which Autosubmit passes over; dates, bytes and
    sets become texts and lists. Raises BadData, with line and column, for anything else, and for what is too deep or,
    written out, too large.
    """
    try:
        events = _parse_events(text)
        loader = _Loader11(events) if _find_version(events) == (1, 1) else _Loader(events)
        node = loader.get_single_node()
        _check_size(loader, node)
        value = None if node is None else loader.construct_document(node)
    except yaml.reader.ReaderError as error:
        raise BadData(_describe_forbidden(text)) from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise BadData(_explain_error(error)) from error
    return _require_mapping({} if value is None or isinstance(value, list) else value)


def parse_strict_yaml(text: str) -> dict[str, Any]:
    """Return the mapping of a YAML text without tags, anchors and directives: what nobody needs to write settings.

    Raises BadData, with line and column, for these, and for all that `parse_yaml` refuses.
    """
    try:
        events = _parse_events(text)
    except yaml.reader.ReaderError as error:
        raise BadData(_describe_forbidden(text)) from error
    except yaml.YAMLError as error:
        raise BadData(_explain_error(error)) from error
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
            raise BadData(say("{place}: directives are not read here", place=_describe_place(event.start_mark)))
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise BadData(
                say("{place}: tags, anchors and aliases are not read here", place=_describe_place(event.start_mark))
            )
    if not any(isinstance(event, yaml.MappingStartEvent) for event in events[2:3]):
        raise BadData(say("it holds no mapping at its top"))
    return parse_yaml(text)


class _Dumper(yaml.SafeDumper):
    """Writes texts in quotes where YAML 1.1 or 1.2 would read something else."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Return the node of a text."""
        text = "tag:yaml.org,2002:str"
        loader: Any = _Loader([])
        is_plain = loader.resolve(yaml.ScalarNode, data, (True, False)) == text
        return self.represent_scalar(text, data, style=None if is_plain else "'")

    def ignore_aliases(self, data: Any) -> bool:
        """Write what stands twice twice."""
        return True


_Dumper.add_representer(str, _Dumper.represent_str)


def write_yaml(value: Mapping[str, Any]) -> str:
    """Return plain data as a YAML text, in the order that it has, which `parse_strict_yaml` reads as the same."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def parse_json(text: str) -> dict[str, Any]:
    """Return the mapping that a JSON text holds; raise BadData as from_yaml does."""
    try:
        value = json.loads(text)
        if count_values(value) > MAX_VALUES:
            raise BadData(say("it holds more than {most} values", most=f"{MAX_VALUES:,}"))
    except (ValueError, RecursionError) as error:
        raise BadData(_explain_error(error)) from error
    return _require_mapping(value)


def _require_mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadData(say("it holds no mapping at its top"))
    return dict(_make_plain(value, MAX_DEPTH))


def _make_plain(value: Any, depth: int) -> Any:
    """Return a value with nothing in it but what JSON can say."""
    if depth < 0:
        raise BadData(say("it is nested more than {most} deep", most=MAX_DEPTH))
    match value:
        case dict():
            return {_make_encodable(str(key)): _make_plain(inner, depth - 1) for key, inner in value.items()}
        case list() | tuple():
            return [_make_plain(inner, depth - 1) for inner in value]
        case float() if not math.isfinite(value):
            return str(value)
        case str():
            return _make_encodable(value)
        case bool() | int() | float() | None:
            return value
    return _convert_to_text(value)


def _describe_forbidden(text: str) -> str:
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    before = text[: found.start()] if found else ""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return say("line {line}, column {column}: it has a character that YAML forbids", line=line, column=column)


def _make_encodable(text: str) -> str:
    """Return a text without lone surrogates, which no answer can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _convert_to_text(value: Any) -> Any:
    """Return what YAML can say and JSON cannot."""
    if isinstance(value, set):
        return sorted(map(str, value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, date) else str(value)


def count_values(value: Any) -> int:
    """Return how many values there are in a value, itself included."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count_values, inner))


def _parse_events(text: str) -> list[yaml.Event]:
    """Return what a text consists of. Refuse what is too long or nests too deeply before anything recurses into it."""
    depth, events = 0, []
    for event in yaml.parse(text, Loader=_PARSER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise BadData(
                say(
                    "{place}: it is nested more than {most} deep",
                    place=_describe_place(event.start_mark),
                    most=MAX_DEPTH,
                )
            )
        events.append(event)
        if len(events) > _MOST_EVENTS:
            raise BadData(
                say(
                    "{place}: it holds more than {most} values",
                    place=_describe_place(event.start_mark),
                    most=f"{MAX_VALUES:,}",
                )
            )
    return events


def _find_version(events: Iterable[yaml.Event]) -> tuple[int, int] | None:
    """Return the version of YAML that a text names."""
    versions = [event.version for event in events if isinstance(event, yaml.DocumentStartEvent)]
    return versions[-1] if versions else None


def _check_size(loader: _Loader11, root: yaml.Node | None) -> None:
    """Refuse what would be too large with each alias written out, and an alias inside of what it stands for."""
    sizes: dict[int, int] = {}

    def measure(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known is None:
            sizes[id(node)] = MAX_VALUES  # what is met again while it is measured contains itself
            known = sizes[id(node)] = 1 + sum(map(measure, _list_inner(loader, node)))
        if known > MAX_VALUES:
            what = say("it holds more than {most} values, or one that contains itself", most=f"{MAX_VALUES:,}")
            raise BadData(f"{_describe_place(node.start_mark)}: {what}")
        return known

    if root is not None:
        measure(root)


def _list_inner(loader: _Loader11, node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                said = _MERGE if key.tag == _MERGE else loader.construct_object(key)
                if said in keys:
                    raise BadData(
                        say("{place}: a key stands twice in a mapping", place=_describe_place(key.start_mark))
                    )
                keys.add(said)
            yield key
            yield value


def _describe_place(mark: Any) -> str:
    return say("line {line}, column {column}", line=mark.line + 1, column=mark.column + 1)


def _explain_error(error: Exception) -> str:
    """Return what is wrong and where, and nothing of the text itself: it may hold secrets."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        within = ""
        if error.context and error.context_mark:
            within = say(
                " ({context}, which begins in {context_mark})",
                context=error.context,
                context_mark=_describe_place(error.context_mark),
            )
        return _QUOTED.sub("…", f"{_describe_place(error.problem_mark)}: {error.problem}{within}")
    if isinstance(error, json.JSONDecodeError):
        return say("line {line}, column {column}: {error}", line=error.lineno, column=error.colno, error=error.msg)
    return say("a value is not what its tag says, or has too many digits or levels")
