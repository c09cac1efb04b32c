"""The sentences of a language, to find again those that the database holds in English."""

from collections.abc import Iterator, Mapping
from functools import cache
from gettext import GNUTranslations, find
from pathlib import Path

import rest_framework
from django.conf import settings
from django.utils.translation import to_locale

from autosubmit_portal.sentences import Forms

_FOLDERS = (*map(Path, settings.LOCALE_PATHS), Path(rest_framework.__file__).parent / "locale")


class _Catalogue(GNUTranslations):
    _catalog: Mapping[str | tuple[str, int], str]

    def list_texts(self) -> list[str]:
        """Return the texts that are translated, without those that have a plural."""
        return [text for text in self._catalog if isinstance(text, str)]


@cache
def get_forms(language: str) -> Forms:
    """Return the forms of a language, ours and those of what checks parameters; none for one without a catalogue."""
    return Forms({text for folder in _FOLDERS for text in _list_texts(folder, language)})


def _list_texts(folder: Path, language: str) -> Iterator[str]:
    if file := find("django", str(folder), [to_locale(language)]):
        with open(file, "rb") as opened:
            yield from _Catalogue(opened).list_texts()
