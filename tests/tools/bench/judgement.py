"""Figures, their targets, and whether these were met."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure: its row `what`, its column, such as a database, and its target, if it has one."""

    what: str
    column: str
    measured: str
    target: str = ""
    is_met: bool = True

    @property
    def cell(self) -> str:
        """The figure as a cell of a table."""
        return self.measured if self.is_met else f"**{self.measured}, missed**"


def at_least(what: str, column: str, target: float, measured: float) -> Verdict:
    """Judge a figure of which more is better."""
    return Verdict(what, column, figure(measured), f"≥ {target:g}", measured >= target)


def at_most(what: str, column: str, target: float, measured: float) -> Verdict:
    """Judge a figure of which less is better."""
    return Verdict(what, column, figure(measured), f"≤ {target:g}", measured <= target)


def untargeted(what: str, column: str, measured: float) -> Verdict:
    """Note a figure for which there is no target."""
    return Verdict(what, column, figure(measured))


def figure(value: float) -> str:
    """Return a figure with as many digits as it is worth: three."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(title: str, verdicts: Sequence[Verdict]) -> str:
    """Return figures as a table: a row for each `what`, a column for each `column`, and one for targets that differ."""
    columns = list(dict.fromkeys(verdict.column for verdict in verdicts))
    all_targets = {verdict.target for verdict in verdicts}
    if len(all_targets) == 1:
        title, has_column = f"{title} (target: {all_targets.pop()})", False
    else:
        has_column = True
    rows = [[title, *["target"] * has_column, *columns], ["---"] * (len(columns) + 1 + has_column)]
    for what in dict.fromkeys(verdict.what for verdict in verdicts):
        found = {verdict.column: verdict for verdict in verdicts if verdict.what == what}
        targets = dict.fromkeys(verdict.target for verdict in found.values())
        cells = [found[column].cell if column in found else "" for column in columns]
        rows.append([what, *[", ".join(targets)] * has_column, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
