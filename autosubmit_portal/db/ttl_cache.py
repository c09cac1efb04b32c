"""What requests that only read may have learnt a moment ago, so that a burst of them asks the database once.

For who holds a token, and where the store of an experiment is. What an experiment and its jobs do is always asked for,
and so is everything that an action depends on.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar, cast

from cachetools import TTLCache, cached

Asked = TypeVar("Asked", bound=Callable[..., Any])

SECONDS = 1.0
_kept: list[TTLCache[Any, Any]] = []


def lately(ask: Asked) -> Asked:
    """Have a function of hashable values answer what it answered within SECONDS; all threads share the answer."""
    cache: TTLCache[Any, Any] = TTLCache(maxsize=1000, ttl=SECONDS)
    _kept.append(cache)
    return cast(Asked, cached(cache, lock=Lock())(ask))


def forget() -> None:
    """Have everything asked for again."""
    for cache in _kept:
        cache.clear()
