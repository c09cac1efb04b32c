"""The type of what a page shows: words, or words that become those of the language when the page is made."""

from typing import TYPE_CHECKING, TypeAlias, Union

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Text: TypeAlias = Union[str, "_StrPromise"]
