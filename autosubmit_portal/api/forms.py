"""Forms for people, made of the serializers of the bodies, and what such a form says in the words of JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ParseError

from autosubmit_portal.api.serializers.fields import AUTOSUBMIT, DryRunField

Field = serializers.Field[Any, Any, Any, Any]
CSRF = "csrfmiddlewaretoken"
FLAG = (("", "–"), ("true", "yes"), ("false", "no"))
DRY_RUN = (("true", "only tell what it would do"), ("", "do it"), (AUTOSUBMIT, "have Autosubmit tell"))
LAST = ("reason", "dry_run")
# Python refuses to read numbers of thousands of digits. What is longer is told to be wrong as the text that it is.
MOST_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a form. `type` is `select`, `textarea`, or what HTML calls the input."""

    name: str
    label: str
    type: str
    help: str
    is_required: bool
    choices: tuple[tuple[str, str], ...]
    value: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """What one request of a person may say: in fields, if it has any, and as JSON."""

    id: str
    title: str
    help: str
    method: str
    url: str
    inputs: tuple[Input, ...]
    raw: str
    is_open: bool = False


def inputs_of(
    shape: type[serializers.Serializer[Any]], said: Mapping[str, Any], errors: Mapping[str, Iterable[str]]
) -> Iterator[Input]:
    """Yield a field for each value of a body or a query that a person can type, with what was `said` before."""
    fields = shape().fields
    for name in sorted(fields, key=LAST.__contains__):
        field = fields[name]
        if not _is_nested(field):
            yield Input(
                name,
                str(field.label or name),
                _type(field),
                str(field.help_text or ""),
                field.required,
                _choices(field),
                str(said.get(name, "" if said else _first(field))),
                tuple(errors.get(name, ())),
            )


def is_typed(shape: type[serializers.Serializer[Any]]) -> bool:
    """Answer whether a person can type the body in fields; else it is sent as JSON."""
    return not any(_is_nested(field) and field.required for field in shape().fields.values())


def spoken(data: QueryDict, shape: type[serializers.Serializer[Any]] | None) -> dict[str, Any]:
    """Return what a form says, as JSON would say it. A field that was left empty says nothing."""
    fields = shape().fields if shape else {}
    values = {name: str(data[name]) for name in data if name != CSRF and data[name] != ""}
    return {name: _value(fields.get(name), value) for name, value in values.items()}


def _value(field: Field | None, text: str) -> Any:
    match field:
        case serializers.BooleanField():
            return {"true": True, "false": False}.get(text, text)
        case serializers.IntegerField():
            return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else text
        case serializers.ListField() | serializers.DictField() if _is_nested(field):
            return _json(text)
        case serializers.ListField():
            return [line.strip() for line in text.splitlines() if line.strip()]
    return text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ParseError(f"JSON parse error - {error}") from error


def _is_nested(field: Any) -> bool:
    child = getattr(field, "child", None)
    is_flat_list = isinstance(field, serializers.ListField) and not isinstance(
        child, serializers.BaseSerializer
    )
    return isinstance(field, serializers.BaseSerializer | serializers.DictField) or (
        isinstance(field, serializers.ListField) and not is_flat_list
    )


def _first(field: Any) -> str:
    """Return what a form proposes: to see first what an action would do."""
    return DRY_RUN[0][0] if isinstance(field, DryRunField) else ""


def _type(field: Any) -> str:
    match field:
        case serializers.BooleanField() | serializers.ChoiceField():
            return "select"
        case serializers.ListField():
            return "textarea"
        case serializers.IntegerField():
            return "number"
        case serializers.DateTimeField():
            return "datetime-local"
    return "text"


def _choices(field: Any) -> tuple[tuple[str, str], ...]:
    match field:
        case DryRunField():
            return DRY_RUN
        case serializers.BooleanField():
            return FLAG
        case serializers.ChoiceField():
            blank = () if field.required else (("", "–"),)
            return (*blank, *((str(value), str(title)) for value, title in field.choices.items()))
    return ()
