"""Markdown of notes as HTML that holds nothing of its authors but text, and links that run nothing."""

from collections.abc import Sequence
from typing import Any

from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML

from jobs.autosubmit.secrets import mask_text


def _open_link(renderer: RendererHTML, tokens: Sequence[Any], index: int, options: Any, env: Any) -> str:
    """Tell no other host where somebody comes from."""
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return renderer.renderToken(tokens, index, options, env)


# HTML is shown as text. Headings would come between those of the page, and pictures from other hosts.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True})
_MARKDOWN.enable("table").disable(["heading", "lheading", "image", "html_block", "html_inline"])
_MARKDOWN.add_render_rule("link_open", _open_link)


def render_markdown(text: str) -> SafeString:
    """Show Markdown, without its secrets."""
    return SafeString(_MARKDOWN.render(mask_text(text)))  # the library escapes all that is not its own
