"""English sentences that remember how they were made, so that a page can say them in another language.

Plain Python: what knows Autosubmit knows no Django. Everywhere but in the console such a sentence is the English text
that it is: in answers of the API, in the trail, in what commands print.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

# So many letters of a form tell its sentences from others, fewer where a number stands in it. Longer texts and more
# sentences are not the portal's own.
_LEAST_LETTERS, _LEAST_BESIDE_NUMBERS, _MOST_CHARACTERS, _MOST_SENTENCES = 7, 4, 1000, 8
_MOST_RECALLED = 4096
_VALUE = re.compile(r"\{(\w+)\}")
# Values of these names are numbers.
_NUMBERS = frozenset(["count", "number"])
_END = re.compile(r"(?<=[.:]) (?=[A-Z“])")


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


def add(first: str, other: str) -> str:
    """Return two sentences, one after the other; a blank one is left out."""
    return say("{first} {other}", first=first, other=other) if first and other else first or other


def marked(form: str) -> str:
    """Return a form as it is; so it is found that it is to be translated."""
    return form


class Forms:
    """Forms, by which sentences are found again that were kept as text: what the database holds is English."""

    def __init__(self, forms: Iterable[str]) -> None:
        """Take all texts of a catalogue. Single words, and forms that fit anything, find nothing."""
        told = sorted(filter(_is_telling, forms), key=_count_letters)
        self._whole = {form for form in told if not _VALUE.search(form) and form.count(" ") > 1}
        self._patterns = [(form, _make_pattern(form)) for form in reversed(told) if _VALUE.search(form)]
        self.recall = lru_cache(_MOST_RECALLED)(self._recall)

    def __iter__(self) -> Iterator[str]:
        """Yield those with values by which sentences are found."""
        return (form for form, _ in self._patterns)

    def _recall(self, text: str) -> str:
        """Return the sentence that a text is, or the sentences, one after the other; the text itself for no such."""
        if len(text) > _MOST_CHARACTERS or len(_END.findall(text)) >= _MOST_SENTENCES:
            return text
        if text in self._whole:
            return say(text)
        if isinstance(counts := self._recall_counts(text), Sentence):
            return counts
        for form, pattern in self._patterns:
            if found := pattern.fullmatch(text):
                return say(form, **{name: self._recall(value) for name, value in found.groupdict().items()})
        first, *others = _END.split(text, maxsplit=1)
        return add(self._recall(first), self._recall(others[0])) if others else text

    def _recall_counts(self, text: str) -> str:
        """Return a list of counts, such as “1 job to READY, 2 jobs to WAITING”, each of which is a sentence."""
        first, comma, others = text.partition(", ")
        if not comma or not text[0].isdigit() or not isinstance(told := self._recall(first), Sentence):
            return text
        other = self._recall(others)
        return say("{first}, {other}", first=told, other=other) if isinstance(other, Sentence) else text


def _make_pattern(form: str) -> re.Pattern[str]:
    """Return what fits the sentences of a form; a value that it has twice is the same in both places."""
    pattern, names = "", set[str]()
    for number, part in enumerate(_VALUE.split(form)):
        if number % 2 == 0:
            pattern += re.escape(part)
        else:
            value = r"\d[\d,]*" if part in _NUMBERS else ".+?"
            pattern += f"(?P={part})" if part in names else f"(?P<{part}>{value})"
            names.add(part)
    return re.compile(pattern, re.DOTALL)


def _is_telling(form: str) -> bool:
    least = _LEAST_BESIDE_NUMBERS if _NUMBERS & {*_VALUE.findall(form)} else _LEAST_LETTERS
    return _count_letters(form) >= least and not set("{}") & set(_VALUE.sub("", form))


def _count_letters(form: str) -> int:
    return sum(map(str.isalpha, _VALUE.sub("", form)))


def translate(text: object, get_text: Any, show: Callable[[Any], Any]) -> str:
    """Return a sentence in the language that `get_text` looks forms up in; any other text is looked up as it is.

    `show` writes the values that are no sentences.
    """
    if not isinstance(text, Sentence):
        return str(get_text(text))
    values = {
        name: translate(value, get_text, show) if isinstance(value, Sentence) else show(value)
        for name, value in text.values.items()
    }
    return str(get_text(text.form)).format(**values)
