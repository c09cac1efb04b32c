"""Bars of what the chunks of a section took, as a drawing of the page: the queue pale, the run above it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from django.utils.translation import gettext, ngettext

from autosubmit_portal.console.parts.presentation import number, rounded
from experiments.performance.costs import Cost

WIDTH, HEIGHT = 960, 160
MOST_BARS = 240
"""Of more chunks each bar stands for several: it shows the longest of them."""

SMALLEST_GAP, WIDEST = 1.0, 40.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a bar, where it is drawn."""

    look: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class ChunkBars:
    """The chunks of a section, and the seconds at the top of the drawing."""

    chunks: Sequence[Cost]
    section: str

    @property
    def top(self) -> float:
        """Of the highest bar, in seconds."""
        return max((chunk.queue + chunk.run for chunk in self.chunks), default=0.0)

    @property
    def summary(self) -> str:
        """What a screen reader says of the drawing."""
        runs = [chunk.run for chunk in self.chunks if chunk.runs]
        if not runs:
            return gettext("No chunk of {section} is measured.").format(section=self.section)
        said = ngettext(
            "Time of {count} chunk of {section}: a job runs between {least} and {most} seconds.",
            "Time of {count} chunks of {section}: a job runs between {least} and {most} seconds.",
            len(runs),
        )
        least, most = rounded(min(runs), 0), rounded(max(runs), 0)
        return said.format(count=number(len(runs)), section=self.section, least=least, most=most)

    def list_bars(self) -> Iterator[Bar]:
        """Yield the parts of the bars, from the left."""
        size = max(1, ceil(len(self.chunks) / MOST_BARS))
        groups = [self.chunks[start : start + size] for start in range(0, len(self.chunks), size)]
        step = min(WIDEST, WIDTH / max(1, len(groups)))
        width = max(1.0, step - SMALLEST_GAP)
        for place, group in enumerate(groups):
            longest = max(group, key=lambda chunk: chunk.queue + chunk.run)
            yield from self._draw(longest, place * step, width)

    def _draw(self, chunk: Cost, x: float, width: float) -> Iterator[Bar]:
        scale, y = HEIGHT / (self.top or 1.0), float(HEIGHT)
        for look, seconds in (("queue", chunk.queue), ("run", chunk.run)):
            height = seconds * scale
            y -= height
            if height:
                title = f"{chunk.name or gettext('no chunk')}: {gettext(look)} {rounded(seconds, 0)} s"
                yield Bar(look, round(x, 1), round(y, 2), round(width, 1), round(height, 2), title)
