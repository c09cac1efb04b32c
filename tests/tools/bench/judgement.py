"""Targets, and whether they were met."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was aimed at, what was measured, and whether that is good enough."""

    what: str
    target: str
    measured: str
    is_met: bool

    @property
    def row(self) -> str:
        """The verdict as a row of a table."""
        return f"| {self.what} | {self.target} | {self.measured} | {'met' if self.is_met else '**missed**'} |"


def at_least(what: str, target: float, measured: float, unit: str = "") -> Verdict:
    """Judge a figure of which more is better."""
    return Verdict(what, f"≥ {target:g}{unit}", f"{figure(measured)}{unit}", measured >= target)


def at_most(what: str, target: float, measured: float, unit: str = "") -> Verdict:
    """Judge a figure of which less is better."""
    return Verdict(what, f"≤ {target:g}{unit}", f"{figure(measured)}{unit}", measured <= target)


def figure(value: float) -> str:
    """Return a figure with as many digits as it is worth: three."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(verdicts: list[Verdict]) -> str:
    """Return the verdicts as a table, the missed ones first."""
    rows = sorted(verdicts, key=lambda verdict: verdict.is_met)
    return "\n".join(
        ["| what | target | measured | |", "| --- | --- | --- | --- |", *(row.row for row in rows)]
    )
