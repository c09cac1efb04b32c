"""Fields that the shapes and the query parameters are made of."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, Lookup, Q
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from experiments.actions.validation import validate
from jobs.ranges import parse_periods, parse_ranges

AUTOSUBMIT = "autosubmit"
BLANK_BEFORE_OFFSET = re.compile(r" (\d\d:?\d\d)$")
WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)
INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII | re.IGNORECASE
)
LONGEST_LIST = 2000


class InstantField(serializers.DateTimeField):
    """A point in time, as ISO 8601 with its offset; always UTC in answers."""

    def to_internal_value(self, value: Any) -> Any:
        """Read a time; the `+` of an offset that was not encoded arrives as a blank."""
        read = BLANK_BEFORE_OFFSET.sub(r"+\1", value) if isinstance(value, str) else value
        if isinstance(read, str) and not INSTANT.fullmatch(
            read
        ):  # the parser behind also takes weeks, and digits alone
            self.fail("invalid", format="YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+hh:mm|-hh:mm|Z]")
        return super().to_internal_value(read)

    def to_representation(self, value: datetime) -> str:
        """Write a time."""
        return write_instant(value) or ""


def write_instant(value: datetime | None) -> str | None:
    """Return a time as the API writes it, without building a field."""
    return value.astimezone(UTC).isoformat() if value else None


class WholeNumberField(serializers.IntegerField):
    """A whole number in plain digits. What Python or JSON would also take for one, `1_0` or `1.0`, is refused."""

    def to_internal_value(self, data: Any) -> int:
        """Read a number."""
        if type(data) is not int and not (isinstance(data, str) and WHOLE.fullmatch(data)):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class TextOrNullField(serializers.CharField):
    """A text that is null where Autosubmit says nothing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]
        """Write the text."""
        return value or None


class CountField(serializers.IntegerField):
    """The number of jobs of an experiment in one status."""

    def __init__(self, status: str) -> None:
        super().__init__(source="status_counts", help_text=f"Number of {status} jobs.")
        self.status = status

    def to_representation(self, value: dict[str, int]) -> int:  # type: ignore[override]
        """Write the number that the counts per status have; zeros are left out there."""
        return int(value.get(self.status, 0))


def make_texts(**kwargs: Any) -> serializers.ListField:
    """Return a field that holds texts."""
    return serializers.ListField(child=serializers.CharField(), **kwargs)


def make_choice(values: list[str] | tuple[str, ...], **kwargs: Any) -> serializers.ChoiceField:
    """Return a field that takes one of `values` and names them to whoever sends another."""
    message = "“{input}” is not one of " + ", ".join(values) + "."
    return serializers.ChoiceField(choices=values, error_messages={"invalid_choice": message}, **kwargs)


def make_flag(**kwargs: Any) -> serializers.BooleanField:
    """Return a field that takes true or false."""
    return serializers.BooleanField(error_messages={"invalid": "This must be true or false."}, **kwargs)


@extend_schema_field({"oneOf": [{"type": "boolean"}, {"type": "string", "enum": [AUTOSUBMIT]}]})
class DryRunField(serializers.BooleanField):
    """Whether only to tell what an action would do, and who tells it: the portal, or Autosubmit."""

    default_error_messages = {"invalid": f"This must be true, false or {AUTOSUBMIT}."}

    def __init__(self, help_text: str = "") -> None:
        told = (
            "`true`: answer the exact commands and what they would change, worked out from the mirror, and change "
            f"nothing. `{AUTOSUBMIT}`: have Autosubmit itself tell, where it can (set status, restart); that is an "
            "action with `is_dry_run`, whose command saves nothing, and its `job_changes` are what would change."
        )
        super().__init__(required=False, help_text=f"{told} {help_text}".strip())

    def to_internal_value(self, data: Any) -> Any:
        """Read true, false or the name."""
        return data if data == AUTOSUBMIT else super().to_internal_value(data)


class NamesField(serializers.CharField):
    """Names separated by commas; of those in `legal`, if there are any."""

    def __init__(self, help_text: str, legal: Sequence[str] = ()) -> None:
        super().__init__(
            required=False, max_length=LONGEST_LIST, help_text=f"{help_text} Several, separated by commas."
        )
        self.legal = legal

    def to_internal_value(self, data: Any) -> Any:
        """Read the names, each once, in the order given."""
        text: str = super().to_internal_value(data)
        if "\0" in text:  # the validator of texts does not look into lists
            raise serializers.ValidationError("Null characters are not allowed.")
        names = list(dict.fromkeys(name.strip() for name in text.split(",")))
        unknown = [name for name in names if self.legal and name not in self.legal]
        if unknown:
            raise serializers.ValidationError(f"“{', '.join(unknown)}” is not one of {', '.join(self.legal)}.")
        return names


class StartDatesField(NamesField):
    """Start dates and ranges of them, separated by commas: YYYYMMDD, with an hour or a minute where they have one."""

    def to_internal_value(self, data: Any) -> Any:
        """Read each as the period that it means."""
        try:
            return [period for name in super().to_internal_value(data) for period in parse_periods(name)]
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class RangesField(serializers.CharField):
    """Whole numbers and ranges of them, such as `1,4-6`."""

    def __init__(self, help_text: str) -> None:
        super().__init__(required=False, max_length=LONGEST_LIST, help_text=f"{help_text} Numbers and ranges: `1,4-6`.")

    def to_internal_value(self, data: Any) -> Any:
        """Read them as pairs of the first and the last number."""
        try:
            return parse_ranges(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class Query(serializers.Serializer[Any]):
    """Query parameters: an unknown one is refused, as it would be ignored, and one that says two things.

    A blank one counts as not given where somebody only reads, as clients of Autosubmit API send it.
    """

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """Return the validated parameters of a request; raise InvalidParameters naming each that is wrong."""
        is_change, said = request.method not in SAFE_METHODS, request.query_params.items()
        given = {name: value for name, value in said if (value or is_change) and name != "format"}
        return validate(cls, given, "query parameter", _find_contradictions(request))


def _find_contradictions(request: Request) -> dict[str, list[str]]:
    said = {name: list(dict.fromkeys(values)) for name, values in request.query_params.lists()}
    return {
        name: [f"Given more than once: {', '.join(f'“{value:.100}”' for value in values)}. Give it once."]
        for name, values in said.items()
        if len(values) > 1
    }


class Like(Lookup):
    """SQL's LIKE, upper and lower case alike on every database. Its cost is bounded, unlike a regular expression's."""

    lookup_name = "like"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Return the condition."""
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"UPPER({left}) LIKE UPPER({right}) ESCAPE '\\'", [*left_params, *right_params]


def match_wildcard(field: str, text: str, *, is_part: bool = False) -> Q:
    """Return the condition that `field` matches `text`, where `*` stands for anything and a leading `!` negates.

    A text without `*` must be the whole value, or any part of it if `is_part`.
    """
    wanted = text.removeprefix("!")
    pattern = re.sub(r"([\\%_])", r"\\\1", wanted).replace("*", "%")
    if is_part and "*" not in wanted:
        pattern = f"%{pattern}%"
    condition = Q(Like(F(field), pattern))
    return ~condition if text.startswith("!") else condition
