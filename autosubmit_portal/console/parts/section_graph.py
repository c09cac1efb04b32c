"""The graph of the sections as a drawing of the page: each is a link, with a bar of the statuses of its jobs."""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext

from autosubmit_portal.console.parts import presentation
from experiments.models import Experiment
from jobs.pictures.sections import SectionEdge, SectionNode, lay_out_sections

WIDTH, HEIGHT = 190, 58
COLUMN, ROW = 230, 84
MARGIN, PADDING = 12, 10
BASELINE, BAR = 22, 34
BELOW = 24
LONGEST_NAME = 20

Place = tuple[float, float]


def draw_sections(
    experiment: Experiment, counts: Mapping[str, Mapping[str, int]], edges: Iterable[SectionEdge]
) -> SafeString:
    """Return the sections of an experiment as SVG; blank without any. `counts` are their jobs by status."""
    known = [edge for edge in edges if edge.parent != edge.child]
    nodes = {node.name: node for node in lay_out_sections(counts, known)}
    if not nodes:
        return SafeString("")
    width = max(node.column for node in nodes.values()) * COLUMN + WIDTH + 2 * MARGIN
    height = max(node.row for node in nodes.values()) * ROW + HEIGHT + BELOW + 2 * MARGIN
    return format_html(
        '<svg class="sections" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="group" '
        'aria-label="{4}">{2}{3}</svg>',
        width,
        height,
        format_html_join("", "{}", ((line,) for line in _draw_edges(nodes, known))),
        format_html_join("", "{}", ((_draw_node(experiment, node),) for node in nodes.values())),
        gettext("Sections and what they wait for"),
    )


def _draw_edges(nodes: Mapping[str, SectionNode], edges: Iterable[SectionEdge]) -> Iterator[SafeString]:
    for edge in edges:
        yield format_html(
            '<path class="{}" d="{}"><title>{}</title></path>',
            "edge" if edge.inner else "edge edge-next",
            _draw_line(_place(nodes[edge.parent]), _place(nodes[edge.child])),
            _describe_edge(edge),
        )


def _describe_edge(edge: SectionEdge) -> str:
    said = ngettext("{parent}: {count} edge to {child}", "{parent}: {count} edges to {child}", edge.number)
    return said.format(parent=edge.parent, count=presentation.number(edge.number), child=edge.child)


def _draw_line(parent: Place, child: Place) -> str:
    """Return a curve from the right of a parent to the left of its child; one back to the next chunk goes below."""
    (x, y), (to_x, to_y) = parent, child
    if to_x <= x:
        x, to_x, y, to_y = x + WIDTH / 2, to_x + WIDTH / 2, y + HEIGHT, to_y + HEIGHT
        return f"M{x:g} {y:g}C{x:g} {y + BELOW:g} {to_x:g} {to_y + BELOW:g} {to_x:g} {to_y:g}"
    x, y, to_y = x + WIDTH, y + HEIGHT / 2, to_y + HEIGHT / 2
    middle = (x + to_x) / 2
    return f"M{x:g} {y:g}C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}"


def _draw_node(experiment: Experiment, node: SectionNode) -> SafeString:
    told = ", ".join(f"{presentation.number(count)} {status}" for status, count in presentation.legend(node.counts))
    return format_html(
        '<a href="{}?{}" aria-label="{}: {}"><title>{}</title>{}</a>',
        reverse("admin:experiments_experiment_graph", args=[experiment]),
        urlencode({"view": "jobs", "section": node.name}),
        node.name,
        told,
        told,
        _draw_box(*_place(node), node),
    )


def _draw_box(x: float, y: float, node: SectionNode) -> SafeString:
    return format_html(
        '<rect class="node" x="{}" y="{}" width="{}" height="{}" rx="7"/><text x="{}" y="{}">{}</text>'
        '<text class="quiet" x="{}" y="{}" text-anchor="end">{}</text>{}',
        *(x, y, WIDTH, HEIGHT),
        *(x + PADDING, y + BASELINE, Truncator(node.name or "–").chars(LONGEST_NAME)),
        *(x + WIDTH - PADDING, y + BASELINE, presentation.number(sum(node.counts.values()))),
        format_html_join(
            "", '<rect class="{}" x="{}" y="{}" width="{}" height="12"/>', _list_shares(x + PADDING, y, node.counts)
        ),
    )


def _list_shares(x: float, y: float, counts: Mapping[str, int]) -> Iterator[tuple[str, float, float, float]]:
    """Yield what the parts of the bar of a section are drawn with."""
    length = (WIDTH - 2 * PADDING) / 100
    for css, start, share in presentation.share_out(presentation.legend(counts)):
        yield css, round(x + start * length, 2), y + BAR, round(share * length, 2)


def _place(node: SectionNode) -> Place:
    return MARGIN + node.column * COLUMN, MARGIN + node.row * ROW
