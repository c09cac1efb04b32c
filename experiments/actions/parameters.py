"""The options of an action kind as a serializer."""

from functools import cache
from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from autosubmit_portal.sentences import say
from experiments.autosubmit.command import Option, OptionType
from experiments.catalogue.kinds import ActionKind
from jobs.autosubmit.secrets import has_credentials

CREDENTIALS = say(
    "There is a password or a token in an address. Leave it out: it would be shown and "
    "kept. Give the account that runs Autosubmit an SSH key, or a credential helper of "
    "git."
)


class MaxBytesValidator:
    """Refuses text whose UTF-8 form is longer than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __call__(self, value: str) -> None:
        """Raise ValidationError when `value` is too long."""
        size = len(value.encode(errors="surrogatepass"))  # what is no text at all is refused by the field
        if size > self.limit:
            raise serializers.ValidationError(
                say("At most {limit} bytes; this has {size}.", limit=f"{self.limit:,}", size=f"{size:,}")
            )


def refuse_credentials(text: str) -> None:
    """Raise ValidationError when there is an address with a password or a token in `text`: it would be kept."""
    if has_credentials(text):
        raise serializers.ValidationError(CREDENTIALS)


def _make_validators(option: Option) -> list[Any]:
    validators: list[Any] = [MaxBytesValidator(option.max_bytes), refuse_credentials]
    if option.pattern:
        validators.append(
            RegexValidator(
                rf"\A(?:{option.pattern})\Z", say("Allowed is: {pattern_help}.", pattern_help=option.pattern_help)
            )
        )
    return validators


def _make_choice(option: Option, **kwargs: Any) -> serializers.Field[Any, Any, Any, Any]:
    message = say("“{input}” is not one of {choices}.", input="{input}", choices=", ".join(option.choices))
    return serializers.ChoiceField(choices=option.choices, error_messages={"invalid_choice": message}, **kwargs)


def _make_text(option: Option, **kwargs: Any) -> serializers.Field[Any, Any, Any, Any]:
    # Not trimmed: a text arrives in Autosubmit exactly as typed.
    return serializers.CharField(trim_whitespace=False, validators=_make_validators(option), **kwargs)


def _make_list(option: Option, **kwargs: Any) -> serializers.Field[Any, Any, Any, Any]:
    child = _make_choice(option) if option.choices else _make_text(option)
    return serializers.ListField(child=child, **kwargs)


def make_field(option: Option) -> serializers.Field[Any, Any, Any, Any]:
    """Return the serializer field of one option."""
    kwargs: dict[str, Any] = {"required": option.required, "help_text": option.help}
    match option.type:
        case OptionType.FLAG:
            return serializers.BooleanField(**kwargs)
        case OptionType.CHOICE:
            return _make_choice(option, **kwargs)
        case OptionType.LIST:
            return _make_list(option, **kwargs)
    return _make_text(option, allow_blank=not option.required, **kwargs)


@cache
def make_serializer(kind: ActionKind) -> type[serializers.Serializer[Any]]:
    """Return the serializer class of the parameters of `kind`."""
    fields: dict[str, Any] = {option.name: make_field(option) for option in kind.options}
    name = "".join(word.capitalize() for word in kind.name.split("_")) + "Parameters"
    return type(name, (serializers.Serializer,), {"__doc__": kind.help, **fields})
