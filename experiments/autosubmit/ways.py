"""The questions of a form that stand for options which only make sense together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One answer to a question: the parameters that it `sets`, and the names of the options that only it has.

    Those in `needs` must be given: Autosubmit refuses the command without them, or does something else.
    """

    name: str
    title: str
    sets: Mapping[str, bool] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a form asks in place of the options that its ways set; the first way is the usual one."""

    name: str
    label: str
    ways: tuple[Way, ...]

    @property
    def replaced(self) -> set[str]:
        """The names of the options that a form does not show, because the answer sets them."""
        return {name for way in self.ways for name in way.sets}

    def list_ways_of(self, option: str) -> list[str]:
        """Return the names of the ways that have an option of their own; none for an option that all have."""
        return [way.name for way in self.ways if option in way.options]

    def get_way(self, name: str) -> Way | None:
        """Return the way of a name; None if there is none."""
        return next((way for way in self.ways if way.name == name), None)

    def recognise(self, parameters: Mapping[str, Any]) -> Way:
        """Return the way by which these parameters were given: one by its own options, else one by what it sets."""
        own = (way for way in self.ways if any(parameters.get(name) for name in way.options))
        as_set = (way for way in self.ways if way.sets and all(parameters.get(name) for name in way.sets))
        return next(own, None) or next(as_set, self.ways[0])
