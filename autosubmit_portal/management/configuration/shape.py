"""What values a file may have. A check returns the value as the portal keeps it; or WRONG, and notes why."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.dateparse import parse_datetime

WRONG: Any = object()
_BARE = re.compile(r"[\w@+-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place of the file, and what to do about it."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path or 'the file'}: {self.text}"


Problems = list[Problem]
Check = Callable[[Any, str, Problems], Any]


def join(path: str, key: str) -> str:
    """Return the path of what stands under a key; a key that is no simple word is in quotes."""
    shown = key if _BARE.fullmatch(key) else json.dumps(key)
    return f"{path}.{shown}" if path else shown


def refuse(path: str, text: str, problems: Problems) -> Any:
    """Note a problem."""
    problems.append(Problem(path, text))
    return WRONG


def be_text(value: Any, path: str, problems: Problems) -> Any:
    """Take a text that says something."""
    if isinstance(value, str) and value.strip():
        return value
    return refuse(path, "It must be a text that is not blank. Put numbers, true and false into quotes.", problems)


def be_time(value: Any, path: str, problems: Problems) -> Any:
    """Take a time with its zone, or null, and return it as UTC."""
    if value is None:
        return None
    try:
        time = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        return refuse(path, "It must be a time with its zone, such as 2026-12-24T18:00:00Z, or null.", problems)
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return refuse(path, "There is no such year in UTC.", problems)


def be_one_of(*choices: Any) -> Check:
    """Return the check of a value that is one of these."""

    def check(value: Any, path: str, problems: Problems) -> Any:
        found = next((one for one in choices if type(one) is type(value) and one == value), WRONG)
        if found is WRONG:
            named = ", ".join(json.dumps(one, ensure_ascii=False) for one in choices)
            return refuse(path, f"It must be one of: {named}.", problems)
        return found

    return check


def be_field(model: type[models.Model], name: str) -> Check:
    """Return the check of a value of a column, by the type and the validators of the column."""
    field: Any = model._meta.get_field(name)
    kinds: tuple[type, ...] = {models.FloatField: (float, int), models.PositiveSmallIntegerField: (int,)}.get(
        type(field), (str,)
    )

    def check(value: Any, path: str, problems: Problems) -> Any:
        if value is None and field.null:
            return None
        if not isinstance(value, kinds) or isinstance(value, bool):
            return refuse(path, f"It must be a {'text; put it into quotes' if str in kinds else 'number'}.", problems)
        try:
            return field.clean(value, None)
        except ValidationError as error:
            return refuse(path, " ".join(error.messages), problems)

    return check


def be_list(child: Check) -> Check:
    """Return the check of a list in which nothing stands twice."""

    def check(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, list):
            return refuse(path, "It must be a list: [one, another].", problems)
        found: list[Any] = []
        for number, item in enumerate(value):
            place = f"{path}[{number}]"
            taken = child(item, place, problems)
            if taken in found:
                refuse(place, "It stands here twice. Remove one of them.", problems)
            elif taken is not WRONG:
                found.append(taken)
        return found

    return check


def be_mapping(child: Check, key: Check = be_text) -> Check:
    """Return the check of a mapping from names to values of one kind."""

    def check(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            return refuse(path, "It must be a mapping of names: {name: …}.", problems)
        taken = {
            name: child(item, join(path, name), problems)
            for name, item in value.items()
            if key(name, join(path, name), problems) is not WRONG
        }
        return {name: item for name, item in taken.items() if item is not WRONG}

    return check


def be_record(fields: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """Return the check of a mapping with these keys and no others."""

    def check(value: Any, path: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            return refuse(path, f"It must be a mapping with some of: {', '.join(fields)}.", problems)
        for name in value.keys() - fields.keys():
            refuse(join(path, name), f"There is no such setting. There are: {', '.join(fields)}.", problems)
        missing = [name for name in required if name not in value]
        for name in missing:
            refuse(join(path, name), "It is missing. Add it.", problems)
        taken = {name: fields[name](value[name], join(path, name), problems) for name in fields if name in value}
        return WRONG if missing else {name: item for name, item in taken.items() if item is not WRONG}

    return check
