"""What a file changes: each difference once, with what makes it true."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from autosubmit_portal.management.configuration.shape import join


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `+` is new, `~` is changed, `-` is removed."""

    sign: str
    path: str
    text: str
    make: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.sign} {': '.join(filter(None, (self.path, self.text)))}"


@dataclass(slots=True)
class Changes:
    """All of them: what is taken away comes first, so that its name is free. `kept` is what the file does not name.

    `left_out` is what it names and is not there yet.
    """

    is_pruning: bool
    removals: list[Change] = field(default_factory=list)
    additions: list[Change] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Change]:
        return iter([*reversed(self.removals), *self.additions])

    def add(self, sign: str, path: str, text: str, make: Callable[[], None]) -> None:
        """Note a change."""
        chosen = self.removals if sign == "-" else self.additions
        chosen.append(Change(sign, path, text, make))

    def compare_names(
        self,
        path: str,
        wanted: Mapping[str, Any] | None,
        current: Mapping[str, Any],
        *,
        put: Callable[[str, Any], object],
        drop: Callable[[str], object],
    ) -> None:
        """Note what differs between named values; None has no names. What only we have goes if we prune."""
        for name, value in (wanted or {}).items():
            if name not in current:
                self.add("+", join(path, name), _show_new(value), _call(put, name, value))
            elif value != current[name]:
                self.add("~", join(path, name), _show_both(current[name], value), _call(put, name, value))
        for name in [] if wanted is None else self.list_spare(path, wanted, current):
            self.add("-", join(path, name), "", _call(drop, name))

    def compare_lists(
        self,
        path: str,
        wanted: Iterable[str] | None,
        current: Iterable[str],
        put: Callable[[str], object],
        drop: Callable[[str], object],
    ) -> None:
        """Note the same of names without values."""
        names = None if wanted is None else dict.fromkeys(wanted)
        self.compare_names(path, names, dict.fromkeys(current), put=lambda name, _: put(name), drop=drop)

    def compare_settings(
        self, path: str, wanted: Mapping[str, Any], current: Mapping[str, Any], put: Callable[[Mapping[str, Any]], None]
    ) -> None:
        """Note, as one change, which settings of a thing differ; those that the file does not have stay."""
        changed = {name: value for name, value in wanted.items() if value != current[name]}
        if changed:
            text = "; ".join(f"{name} {_show_both(current[name], value)}" for name, value in changed.items())
            self.add("~", path, text, _call(put, changed))

    def list_spare(self, path: str, wanted: Iterable[str], current: Iterable[str]) -> list[str]:
        """Return what the file does not name and is to be removed; note it as kept otherwise."""
        spare = [name for name in current if name not in set(wanted)]
        if self.is_pruning:
            return spare
        self.kept += [join(path, name) for name in spare]
        return []


def show(value: Any) -> str:
    """Return a value in one line, without characters that a terminal obeys."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _show_new(value: Any) -> str:
    return "" if value is None else show(value)


def _show_both(old: Any, new: Any) -> str:
    return f"{show(old)} → {show(new)}"


def _call(make: Callable[..., object], *arguments: Any) -> Callable[[], None]:
    def call() -> None:
        make(*arguments)

    return call
