"""The form of an action kind: one widget per option. The serializer has the rules; its errors are shown here."""

import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.forms.utils import pretty_name
from django.http import QueryDict
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.console.parts.presentation import translate
from experiments.actions.refusals import InvalidParameters
from experiments.autosubmit.command import Option, OptionType
from experiments.autosubmit.ways import Question, Way
from experiments.catalogue.kinds import ActionKind
from experiments.models import Experiment

REASON = "reason"
KEY = "idempotency_key"


class RuledForm(forms.Form):
    """A form whose rules stand elsewhere, and whose errors come back from there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.label = gettext(pretty_name(name)) if field.label is None else field.label

    def clean(self) -> dict[str, Any]:
        """Refuse a field that says two things, which no browser sends: Django would take the last one."""
        for name in self.fields:
            if name in self.cleaned_data and self._is_contradictory(name):
                self.add_error(name, gettext("Given more than once. Give it once."))
        return self.cleaned_data

    def show_errors(self, refusal: Any) -> None:
        """Put each of its `errors` at the field; those of fields that are not shown go above the form."""
        for name, messages in refusal.errors.items():
            field = name if name in self.fields else None
            for message in map(translate, messages):
                if message not in self.errors.get(name, ()):
                    self.add_error(field, message)

    def _is_contradictory(self, name: str) -> bool:
        if isinstance(self.cleaned_data[name], list) or not isinstance(self.data, QueryDict):
            return False
        return len(set(self.data.getlist(self.add_prefix(name)))) > 1


class ActionForm(RuledForm):
    """The options of a kind, then the reason that goes into the audit trail, and what the browser calls the request."""

    options: tuple[Option, ...] = ()
    questions: tuple[Question, ...] = ()

    def list_rows(self) -> "Iterator[tuple[BoundField, list[tuple[Any, list[BoundField]]]]]":
        """Yield a question with its ways, and leave out the fields that stand below one of them."""
        below = {name for question in self.questions for way in question.ways for name in way.options}
        asked = {question.name: question for question in self.questions if has_own_options(question)}
        for field in self:
            if field.name in asked:
                ways = asked[field.name].ways
                yield field, [(box, [self[name] for name in way.options]) for box, way in zip(field, ways, strict=True)]
            elif field.name not in below:
                yield field, []

    def read_parameters(self) -> dict[str, Any]:
        """Return what was filled in, as the parameters of a request; what was left blank is left out.

        Raises InvalidParameters for what is no value of its field at all, or two.
        """
        if not self.is_valid():
            raise InvalidParameters({name: [str(text) for text in texts] for name, texts in self.errors.items()})
        cleaned = {option.name: _clean_value(option, self.cleaned_data.get(option.name)) for option in self.options}
        values = {name: value for name, value in cleaned.items() if value not in (None, "", [], False)}
        for question in self.questions:
            way = question.get_way(self.cleaned_data[question.name]) or question.recognise(values)
            values = self._answer(question, way, values)
        return values

    def _answer(self, question: Question, way: Way, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values without those of other ways and with those that the way sets; refuse what it lacks."""
        others = {name for other in question.ways for name in other.options} - {*way.options}
        kept = {name: value for name, value in values.items() if name not in others}
        examples = {option.name: option.example for option in self.options}
        missing = [name for name in way.needs if name not in kept]
        if missing:
            raise InvalidParameters({name: [_say_needed(way, examples[name])] for name in missing})
        return {**kept, **way.sets}

    def read_reason(self) -> str:
        """Return the reason that was given."""
        self.is_valid()
        return str(self.cleaned_data.get(REASON, ""))

    @staticmethod
    def new_key() -> str:
        """Return a name for the request that a newly shown form will make, however often it is sent."""
        return secrets.token_urlsafe(24)

    def read_key(self) -> str:
        """Return what the browser calls this request, blank if nothing."""
        return str(self.data.get(KEY, ""))


def _say_needed(way: Way, example: Any) -> str:
    said = gettext("“{way}” needs it. Fill it in, such as {example}.")
    return said.format(way=gettext(way.title), example=example)


def make_form(kind: ActionKind, *, fixed: Collection[str] = ()) -> type[ActionForm]:
    """Return the form of `kind` without the options in `fixed`.

    When the jobs are fixed, the other ways to choose jobs are left out with them.
    """
    without = {*fixed, *(name for question in kind.questions for name in question.replaced)}
    ways = {option.name for option in kind.options if option.choose}
    if without & ways:
        without |= ways
    options = tuple(option for option in kind.options if option.name not in without)
    first = {option.name: make_field(option) for option in options if option.required}
    asked = {question.name: make_question_field(question) for question in kind.questions}
    fields: dict[str, Any] = first | asked | {option.name: make_field(option) for option in options}
    fields[REASON] = forms.CharField(
        required=False,
        widget=forms.TextInput(attrs={"maxlength": 500, "autocomplete": "off"}),
        help_text=gettext_lazy("Why. Kept in the audit trail next to your name."),
    )
    return type("ActionForm", (ActionForm,), {"options": options, "questions": kind.questions, **fields})


def get_initial_values(kind: ActionKind, experiment: Experiment | None) -> dict[str, Any]:
    """Return what the experiment already has under the name of an option, such as its description."""
    values = {option.name: getattr(experiment, option.name, None) for option in kind.options}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def read_linked_values(kind: ActionKind, query: QueryDict) -> dict[str, Any]:
    """Return what the address of a form says of its options, such as `?force=on`."""
    given = (option for option in kind.options if option.name in query)
    answers = {question.name: query[question.name] for question in kind.questions if question.name in query}
    return answers | {
        option.name: query.getlist(option.name)
        if option.choices and option.type is OptionType.LIST
        else query[option.name]
        for option in given
    }


def recognise_answers(kind: ActionKind, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the answers to the questions of a kind that go with the values of its options."""
    return {question.name: question.recognise(values).name for question in kind.questions}


def make_field(option: Option) -> forms.Field:
    """Return the form field of an option. Nothing is required here: the serializer says so, once."""
    common: dict[str, Any] = {"label": get_label(option), "help_text": gettext(option.help), "required": False}
    choices = [(choice, choice) for choice in option.choices]
    match option.type:
        case OptionType.FLAG:
            field: forms.Field = forms.BooleanField(**common)
        case OptionType.CHOICE:
            field = forms.CharField(widget=forms.Select(choices=[("", gettext("Choose…")), *choices]), **common)
        case OptionType.LIST if option.choices:
            field = forms.MultipleChoiceField(choices=choices, widget=forms.CheckboxSelectMultiple, **common)
        case OptionType.LIST | OptionType.LONG_TEXT:
            field = forms.CharField(widget=forms.Textarea(attrs=_get_text_attributes(option)), strip=False, **common)
        case _:
            field = forms.CharField(widget=forms.TextInput(attrs=_get_text_attributes(option)), strip=False, **common)
    if option.required:
        field.widget.attrs |= {"required": True, "aria-required": "true"}
    return field


def make_question_field(question: Question) -> forms.Field:
    """Return the field of a question: boxes where a way has fields of its own, which stand below its box."""
    choices = [(way.name, gettext(way.title)) for way in question.ways]
    widget: type[forms.Widget] = forms.RadioSelect if has_own_options(question) else forms.Select
    return forms.ChoiceField(label=gettext(question.label), choices=choices, widget=widget, required=False)


def has_own_options(question: Question) -> bool:
    """Answer whether any way of a question has options that the others do not have."""
    return any(way.options for way in question.ways)


def get_label(option: Option) -> str:
    """Return the name of an option for people: that of the experiment's field where there is one."""
    names = {field.name: str(field.verbose_name) for field in Experiment._meta.concrete_fields}
    name = names.get(option.name) or gettext(option.name.replace("_", " "))
    return name[:1].upper() + name[1:]


def _get_text_attributes(option: Option) -> dict[str, Any]:
    example = option.example
    attributes: dict[str, Any] = {"spellcheck": "false", "autocomplete": "off"}
    if option.type in (OptionType.LIST, OptionType.LONG_TEXT):
        attributes["rows"] = 4
    if example:
        attributes["placeholder"] = " ".join(example) if isinstance(example, list) else str(example)
    return attributes


def _clean_value(option: Option, value: Any) -> Any:
    """Return what was typed in as the serializer wants it; browsers send line ends as CR LF."""
    if option.type is OptionType.LIST and isinstance(value, str):
        return value.split()
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def restore_values(kind: ActionKind, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an earlier action as the initial values of the form of its kind."""
    known = {option.name: option for option in kind.options}
    return {
        name: "\n".join(value) if isinstance(value, list) and not known[name].choices else value
        for name, value in parameters.items()
        if name in known
    }
