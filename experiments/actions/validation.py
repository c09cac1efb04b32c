"""From what a client says to the values that a shape describes, or to what is wrong with each."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from django.utils.translation import override
from rest_framework import serializers

from autosubmit_portal.sentences import say
from experiments.actions.parameters import make_serializer
from experiments.actions.refusals import InvalidParameters
from experiments.catalogue.kinds import ActionKind

Shape = type[serializers.Serializer[Any]]


def validate(
    shape: Shape, given: Mapping[str, Any], what: str, known: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """Return the values of `given` as `shape` describes them.

    Raises InvalidParameters naming each that is wrong, those that are `known` to be, and each `what` that is unknown:
    it would be ignored.
    """
    serializer, values, errors = _make(shape), {}, dict(known or {})
    try:
        with override(None):  # a page translates what is wrong; the trail has it in English
            values = dict(serializer.run_validation(dict(given)))
    except serializers.ValidationError as wrong:
        errors |= group_by_field(wrong.detail)
    legal = ", ".join(serializer.fields) or "none"
    unknown = sorted(given.keys() - serializer.fields.keys())
    errors |= {name: [say("Unknown {what}. Legal: {legal}.", what=what, legal=legal)] for name in unknown}
    if errors:
        raise InvalidParameters(errors)
    return values


def validate_parameters(kind: ActionKind, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the validated parameters of an action; raise InvalidParameters as `validate` does."""
    values = validate(make_serializer(kind), parameters, "parameter")
    wrong = kind.check(values) if kind.check else {}
    if wrong:
        raise InvalidParameters({field: [message] for field, message in wrong.items()})
    return values


@cache
def _make(shape: Shape) -> serializers.Serializer[Any]:
    """Return the one of its kind, which keeps nothing of a request: making forty fields takes longer than a query."""
    return shape()


def group_by_field(detail: Any) -> dict[str, list[str]]:
    """Return what DRF says is wrong as the messages about each field."""
    if not isinstance(detail, dict):
        return {"non_field_errors": [str(message) for message in detail]}
    return {name: list(_list_messages(messages)) for name, messages in detail.items()}


def _list_messages(messages: Any) -> Iterator[str]:
    """Yield the messages about a field; those about a part of it begin with which part."""
    if isinstance(messages, dict):
        yield from (f"{part}: {text}" for part, inner in messages.items() for text in _list_messages(inner))
    else:
        yield from map(str, messages)
