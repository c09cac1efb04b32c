"""English sentences that remember how they were made, so that a page can say them in another language.

Plain Python: what knows Autosubmit knows no Django. Everywhere but in the console such a sentence is the English text
that it is: in answers of the API, in the trail, in what commands print.
"""

from typing import Any


class Sentence(str):
    """A text that was made of a `form`, which is looked up in the catalogue of a language, and of `values`."""

    __slots__ = ("form", "values")
    form: str
    values: dict[str, Any]


def say(form: str, **values: Any) -> Sentence:
    """Return a sentence: the form with the values in the places of their names. Values may be sentences too."""
    made = Sentence(form.format(**values))
    made.form, made.values = form, values
    return made


def marked(form: str) -> str:
    """Return a form as it is; so it is found that it is to be translated."""
    return form


def translate(text: object, get_text: Any) -> str:
    """Return a sentence in the language that `get_text` looks forms up in; any other text is looked up as it is."""
    if not isinstance(text, Sentence):
        return str(get_text(text))
    values = {
        name: translate(value, get_text) if isinstance(value, Sentence) else value
        for name, value in text.values.items()
    }
    return str(get_text(text.form)).format(**values)
