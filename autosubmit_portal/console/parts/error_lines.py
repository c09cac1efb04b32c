"""Lines of an output that tell of an error, apart from the others, so that they are seen in a long one."""

from collections.abc import Iterator
from itertools import groupby

from django.conf import settings

from experiments.error_lines import tells_error
from experiments.failure_reasons import load


def split_by_errors(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the text in parts of whole lines, and whether they tell of an error."""
    lowered = text.lower()
    known = [words for reason in load(settings.FAILURE_REASONS) for words in reason.texts if words in lowered]
    for is_error, lines in groupby(text.splitlines(keepends=True), lambda line: tells_error(line, known)):
        yield is_error, "".join(lines)
