"""HTML forms made from the serializers of bodies, and from a sent form to the JSON that it means."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from rest_framework import serializers

from autosubmit_portal.api.serializers.fields import AUTOSUBMIT, DryRunField
from experiments.actions.refusals import InvalidParameters
from experiments.actions.validation import Shape

Field = serializers.Field[Any, Any, Any, Any]
CSRF = "csrfmiddlewaretoken"
FLAG = (("", "–"), ("true", "yes"), ("false", "no"))
DRY_RUN = (("true", "only tell what it would do"), ("", "do it"), (AUTOSUBMIT, "have Autosubmit tell"))
LAST = ("reason", "dry_run")
# Python refuses to read numbers of thousands of digits. What is longer is told to be wrong as the text that it is.
MOST_DIGITS = 18
CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a form. `type` is `select`, `textarea`, or what HTML calls the input."""

    name: str
    label: str
    type: str
    help: SafeString
    is_required: bool
    choices: tuple[tuple[str, str], ...]
    value: str
    errors: tuple[str, ...]
    example: str


@dataclass(frozen=True, slots=True)
class Form:
    """What one request of a person may say: in fields, and as JSON (`raw`) if it has a body.

    `is_sent`: it has just been sent, `is_raw` as JSON, and `problem` is what was against it.
    """

    id: str
    title: str
    help: SafeString
    method: str
    url: str
    inputs: tuple[Input, ...]
    raw: str
    is_sent: bool
    is_raw: bool
    problem: str


def list_inputs(
    shape: Shape,
    values: Mapping[str, Any],
    errors: Mapping[str, Iterable[str]],
    may_choose: Callable[[str, str], bool] = lambda name, value: True,
) -> Iterator[Input]:
    """Yield a field for each value of a body or a query, with those that it has now, and what may be chosen in it."""
    fields = shape().fields
    for name in sorted(fields, key=LAST.__contains__):
        field = fields[name]
        yield Input(
            name,
            str(field.label or name),
            _choose_type(field),
            mark_code(escape(str(field.help_text or "").partition("\n\n")[0])),
            field.required,
            tuple(choice for choice in _list_choices(field) if may_choose(name, choice[0])),
            _write_text(values.get(name)) if name in values else _propose(field),
            tuple(errors.get(name, ())),
            _make_example(field),
        )


def mark_code(html: str) -> SafeString:
    """Return HTML in which the names that stand in backticks are set as code."""
    return mark_safe(CODE.sub(r"<code>\1</code>", html))  # noqa: S308


def read_form(data: QueryDict, shape: Shape | None) -> dict[str, Any]:
    """Return the values of a form as JSON. An empty field counts as not sent."""
    fields = shape().fields if shape else {}
    values = {name: str(data[name]) for name in data if name != CSRF and data[name] != ""}
    return {name: _parse_value(name, fields.get(name), value) for name, value in values.items()}


def _parse_value(name: str, field: Any, text: str) -> Any:
    match field:
        case serializers.BooleanField():
            return {"true": True, "false": False}.get(text, text)
        case serializers.IntegerField():
            return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else text
        case serializers.DictField():
            return _parse_json(name, text)
        case serializers.ListField(child=serializers.Serializer() as child):
            # One in each line: its first fields, in their order.
            return [dict(zip(child.fields, line.split(), strict=False)) for line in _split_lines(text)]
        case serializers.ListField():
            return _split_lines(text)
    return text


def _split_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _parse_json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidParameters({name: [f"This is no JSON: {error}"]}) from error


def _write_text(value: Any) -> str:
    """Return a JSON value as the text of a form field."""
    match value:
        case None:
            return ""
        case str():
            return value
        case list():
            return "\n".join(" ".join(map(str, row.values())) if isinstance(row, dict) else str(row) for row in value)
    return json.dumps(value)


def _propose(field: Any) -> str:
    """Return the first value that a form proposes: the dry run."""
    return "true" if field.field_name == "dry_run" else ""


def _choose_type(field: Any) -> str:
    match field:
        case serializers.BooleanField() | serializers.ChoiceField():
            return "select"
        case serializers.ListField() | serializers.DictField():
            return "textarea"
        case serializers.IntegerField():
            return "number"
    return "text"


def _make_example(field: Any) -> str:
    match field:
        case serializers.ListField(child=serializers.Serializer() as child):
            return f"One in each line: {' '.join(list(child.fields)[:2])}"
        case serializers.ListField(allow_null=True):
            return "One in each line; none means null"
        case serializers.ListField():
            return "One in each line"
        case serializers.DictField():
            return '{"name": "value"}'
        case serializers.DateTimeField():
            return "2026-11-24T09:00:00Z"
    return ""


def _list_choices(field: Any) -> tuple[tuple[str, str], ...]:
    match field:
        case DryRunField():
            return DRY_RUN
        case serializers.BooleanField():
            return FLAG
        case serializers.ChoiceField():
            blank = () if field.required else (("", "–"),)
            return (*blank, *((str(value), str(title)) for value, title in field.choices.items()))
    return ()
