"""The options of an action kind as a serializer: the one place where parameters are validated."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from experiments.actions.refusals import InvalidParameters
from experiments.autosubmit.command import Option, OptionType
from experiments.catalogue.kinds import ActionKind
from jobs.autosubmit.secrets import has_credentials

CREDENTIALS = (
    "There is a password or a token in an address. Leave it out: it would be shown and kept. Give the account that "
    "runs Autosubmit an SSH key, or a credential helper of git."
)


class MaxBytesValidator:
    """Refuses text whose UTF-8 form is longer than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __call__(self, value: str) -> None:
        """Raise ValidationError when `value` is too long."""
        size = len(value.encode(errors="surrogatepass"))  # what is no text at all is refused by the field
        if size > self.limit:
            raise serializers.ValidationError(f"At most {self.limit:,} bytes; this has {size:,}.")


def refuse_credentials(text: str) -> None:
    """Raise ValidationError when there is an address with a password or a token in `text`: it would be kept."""
    if has_credentials(text):
        raise serializers.ValidationError(CREDENTIALS)


def _validators(option: Option) -> list[Any]:
    validators: list[Any] = [MaxBytesValidator(option.max_bytes), refuse_credentials]
    if option.pattern:
        validators.append(RegexValidator(rf"\A(?:{option.pattern})\Z", f"Allowed is: {option.pattern_help}."))
    return validators


def _choice(option: Option, **kwargs: Any) -> serializers.Field[Any, Any, Any, Any]:
    message = "“{input}” is not one of " + ", ".join(option.choices) + "."
    return serializers.ChoiceField(
        choices=option.choices, error_messages={"invalid_choice": message}, **kwargs
    )


def _text(option: Option, **kwargs: Any) -> serializers.Field[Any, Any, Any, Any]:
    # Not trimmed: a text arrives in Autosubmit exactly as typed.
    return serializers.CharField(trim_whitespace=False, validators=_validators(option), **kwargs)


def _list(option: Option, **kwargs: Any) -> serializers.Field[Any, Any, Any, Any]:
    child = _choice(option) if option.choices else _text(option)
    return serializers.ListField(child=child, **kwargs)


def make_field(option: Option) -> serializers.Field[Any, Any, Any, Any]:
    """Return the serializer field of one option."""
    kwargs: dict[str, Any] = {"required": option.required, "help_text": option.help}
    match option.type:
        case OptionType.FLAG:
            return serializers.BooleanField(**kwargs)
        case OptionType.CHOICE:
            return _choice(option, **kwargs)
        case OptionType.LIST:
            return _list(option, **kwargs)
    return _text(option, allow_blank=not option.required, **kwargs)


@cache
def make_serializer(kind: ActionKind) -> type[serializers.Serializer[Any]]:
    """Return the serializer class of the parameters of `kind`."""
    fields: dict[str, Any] = {option.name: make_field(option) for option in kind.options}
    name = "".join(word.capitalize() for word in kind.name.split("_")) + "Parameters"
    return type(name, (serializers.Serializer,), {"__doc__": kind.help, **fields})


def validate(kind: ActionKind, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the validated parameters; raise InvalidParameters naming each field that is wrong or unknown."""
    serializer = make_serializer(kind)(data=dict(parameters))
    unknown = sorted(set(parameters) - set(serializer.fields))
    errors: dict[str, list[str]] = {}
    if not serializer.is_valid():
        errors = {field: _messages(error) for field, error in serializer.errors.items()}
    known = ", ".join(serializer.fields) or "no parameters"
    errors.update({name: [f"Unknown parameter. {kind.title} takes: {known}."] for name in unknown})
    if not errors and kind.check:
        errors = {field: [message] for field, message in kind.check(serializer.validated_data).items()}
    if errors:
        raise InvalidParameters(errors)
    return dict(serializer.validated_data)


def _messages(error: Any) -> list[str]:
    """Flatten what DRF says of a field; items of a list come with their index."""
    if isinstance(error, dict):
        return [
            f"item {index}: {message}" for index, messages in error.items() for message in _messages(messages)
        ]
    return [str(message) for message in error]
